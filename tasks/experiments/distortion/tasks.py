"""The networks and data of the feature map distortion paper as tasks (Tang et al. 2020, experiments)."""

from __future__ import annotations

from tasks.classification import IMAGENET_METRICS, Classification
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.distortion.protocols import DISTORTION_CNN, DISTORTION_RESNET
from tasks.experiments.shared_protocols import IMAGENET_270
from tasks.regularizers.base import Scalar


def _dense(dataset: str) -> Classification:
    """A task in which every method acts after dense layers only, with the norms (p, q) = (inf, 1) for RDdrop.

    The paper's baselines are those of Zhai and Wang 2018 with dropout of dense layers; its RDdrop is their row with
    p = inf, q = 1.
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
    """A task with masks in the last group only and blocks of 6; otherwise as in the released code."""
    return Classification(
        dataset=dataset,
        architecture="resnet56",
        protocol=DISTORTION_RESNET,
        options={"variant": "pre_activation", "first_group": 3},
        defaults=defaults_for(
            dataset, {"where": "conv", "max_norm.where": "all", "block_size": 6, "dropout.drop_rate": 0.1}
        ),
    )


# The rates of the baselines are those of the DropBlock paper's table 1, from which the paper takes them: keep rate 0.7
# for dropout, 0.9 for DropPath, SpatialDropout and DropBlock. The paper's own: blocks of 6 at rate 0.05, units at 0.5,
# step size 5 in eq. 22, which is 5 / 1024 of the next layer's weights at this batch size: nearly no noise.
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
