"""The networks and data of the feature map distortion paper as tasks (Tang et al. 2020, experiments)."""

from __future__ import annotations

from tasks.classification import IMAGENET_METRICS, Classification
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.distortion.protocols import DISTORTION_CNN, DISTORTION_RESNET
from tasks.experiments.shared_protocols import IMAGENET_270
from tasks.regularizers.base import Scalar


def _dense(dataset: str) -> Classification:
    """Behind dense layers alone, for every method; RDdrop with the norms of the row that the paper quotes.

    Its baselines are the block of dense dropout in Zhai and Wang 2018, of which RDdrop's is the row p = inf, q = 1.
    """
    return Classification(
        dataset=dataset,
        architecture="zhai_cnn",
        protocol=DISTORTION_CNN,
        options={"places": "dense"},
        defaults=defaults_for(dataset, {"adaptive_dropout_rc.norms": "inf,1"}),
        pins={"where": "dense"},
    )


def _resnet56(dataset: str) -> Classification:
    """Masks in the last group alone, blocks of 6; the rest as in the released code."""
    return Classification(
        dataset=dataset,
        architecture="resnet56",
        protocol=DISTORTION_RESNET,
        options={"variant": "pre_activation", "first_group": 3},
        defaults=defaults_for(
            dataset, {"where": "conv", "max_norm.where": "all", "block_size": 6, "dropout.drop_rate": 0.1}
        ),
    )


# Rates are those of the DropBlock paper's table 1, which is where the paper's baselines come from: dropout keeps 0.7,
# DropPath, SpatialDropout and DropBlock 0.9; the paper's own: blocks of 6 at 0.05, units at 0.5, steps of 5 in units of
# eq. 22, which are 5 / 1024 of the next layer's weights at this batch size: nearly zeros.
_IMAGENET_DEFAULTS: dict[str, Scalar] = {
    "group_factor": 0.25,
    "where": "conv",
    "max_norm.where": "all",
    "dropout.drop_rate": 0.3,
    "drop_path.drop_rate": 0.1,
    "block_feature_map_distortion.distortion_rate": 0.05,
    "mode": "paper",
    "autoaugment.policy": "imagenet",
}

CIFAR10_ZHAI_TANG = _dense("cifar10")
"""The conv net of Zhai and Wang on CIFAR-10 as Tang et al. train it: whitened, a fifth held out (their table 1)."""

CIFAR100_ZHAI_TANG = _dense("cifar100")
"""The conv net of Zhai and Wang on CIFAR-100 as Tang et al. train it: whitened, a fifth held out (their table 1)."""

CIFAR10_RESNET56 = _resnet56("cifar10")
"""Pre-activation ResNet-56 on CIFAR-10 with crop, flip, rotation, masks in the last group (Tang et al., table 2)."""

CIFAR100_RESNET56 = _resnet56("cifar100")
"""Pre-activation ResNet-56 on CIFAR-100 with crop, flip, rotation, masks in the last group (Tang et al., table 2)."""

IMAGENET_RESNET50_TANG = Classification(
    dataset="imagenet",
    architecture="resnet50",
    protocol=IMAGENET_270,
    options={"places": "behind_norm", "first_group": 3},
    defaults=_IMAGENET_DEFAULTS,
    metrics=IMAGENET_METRICS,
)
"""ResNet-50 on ImageNet, 270 epochs, masks in the last two groups and on shortcuts (Tang et al., table 3)."""
