"""The networks and data of the LocalDrop paper as tasks (Lu et al. 2021, section 5)."""

from __future__ import annotations

from dataclasses import replace

from tasks.classification import IMAGENET_METRICS, Classification
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.localdrop.protocols import (
    LOCALDROP_CNN,
    LOCALDROP_CNN_NARROW,
    LOCALDROP_DEEP,
    LOCALDROP_DEEP_AUGMENTED,
)
from tasks.experiments.shared_protocols import IMAGENET_270
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar

# The keep rates of dropout are those of Zhai and Wang 2018, section 4: 0.9 at the input, 0.75 after conv layers and 0.5
# after dense layers.
_CNN_DEFAULTS: dict[str, Scalar] = {
    "dropout.where": "all",
    "dropout.conv_factor": 0.5,
    "dropout.input_drop_rate": 0.1,
}
# In deep networks dropout acts after conv layers only; the paper does not give its rate.
DEEP_DEFAULTS: dict[str, Scalar] = {"where": "conv", "max_norm.where": "all", "dropout.drop_rate": 0.1}


def _cnn(dataset: str, width: int = 2048) -> Classification:
    return Classification(
        dataset=dataset,
        architecture="zhai_cnn",
        protocol=LOCALDROP_CNN,
        options={"width": width},
        defaults=defaults_for(dataset, _CNN_DEFAULTS),
    )


def _deep(dataset: str, architecture: str, protocol: Protocol = LOCALDROP_DEEP) -> Classification:
    defaults = defaults_for(dataset, DEEP_DEFAULTS)
    return Classification(dataset=dataset, architecture=architecture, protocol=protocol, defaults=defaults)


def _imagenet(architecture: str) -> Classification:
    return replace(_deep("imagenet", architecture, IMAGENET_270), metrics=IMAGENET_METRICS)


CIFAR10_ZHAI = _cnn("cifar10")
"""LocalDrop's first model: the conv net of Zhai and Wang on CIFAR-10, whitened, without augmentation."""

CIFAR100_ZHAI = _cnn("cifar100")
"""LocalDrop's first model: the conv net of Zhai and Wang on CIFAR-100, whitened, without augmentation."""

CIFAR10_ZHAI_WIDTH_200 = _cnn("cifar10", 200)
"""LocalDrop's first model with dense layers of 200 units (figure 1a)."""

CIFAR10_ZHAI_WIDTH_400 = _cnn("cifar10", 400)
"""LocalDrop's first model with dense layers of 400 units (figure 1a)."""

CIFAR10_ZHAI_WIDTH_800 = _cnn("cifar10", 800)
"""LocalDrop's first model with dense layers of 800 units (figure 1a)."""

CIFAR10_ZHAI_WIDTH_1600 = _cnn("cifar10", 1600)
"""LocalDrop's first model with dense layers of 1600 units (figure 1a)."""

CIFAR10_FCN = Classification(
    dataset="cifar10",
    architecture="mlp",
    protocol=LOCALDROP_CNN,
    options={"width": 2048, "depth": 3},
)
"""Three dense layers of 2048 units on whitened CIFAR-10 (figure 2, whose network the paper does not describe)."""

CIFAR10_RESNET50 = _deep("cifar10", "resnet50")
"""ResNet-50 on CIFAR-10, without augmentation, as LocalDrop's table 2 says."""

CIFAR100_RESNET50 = _deep("cifar100", "resnet50")
"""ResNet-50 on CIFAR-100, without augmentation, as LocalDrop's table 2 says."""

IMAGENET_RESNET50 = _imagenet("resnet50")
"""ResNet-50 on ImageNet, 270 epochs with crops and flips (LocalDrop's table 2 says without)."""

CIFAR10_PREACT_RESNET18 = _deep("cifar10", "preact_resnet18")
"""PreActResNet-18 on CIFAR-10, without augmentation, as LocalDrop's table 2 says."""

CIFAR100_PREACT_RESNET18 = _deep("cifar100", "preact_resnet18")
"""PreActResNet-18 on CIFAR-100, without augmentation, as LocalDrop's table 2 says."""

IMAGENET_PREACT_RESNET18 = _imagenet("preact_resnet18")
"""PreActResNet-18 on ImageNet, 270 epochs with crops and flips (LocalDrop's table 2 says without)."""

CIFAR10_DENSENET121 = _deep("cifar10", "densenet121")
"""DenseNet-121 on CIFAR-10, without augmentation, as LocalDrop's table 2 says."""

CIFAR100_DENSENET121 = _deep("cifar100", "densenet121")
"""DenseNet-121 on CIFAR-100, without augmentation, as LocalDrop's table 2 says."""

IMAGENET_DENSENET121 = _imagenet("densenet121")
"""DenseNet-121 on ImageNet, 270 epochs with crops and flips (LocalDrop's table 2 says without)."""

CIFAR10_DPN92 = _deep("cifar10", "dpn92")
"""DPN-92 on CIFAR-10, without augmentation, as LocalDrop's table 2 says."""

CIFAR100_DPN92 = _deep("cifar100", "dpn92")
"""DPN-92 on CIFAR-100, without augmentation, as LocalDrop's table 2 says."""

IMAGENET_DPN92 = _imagenet("dpn92")
"""DPN-92 on ImageNet, 270 epochs with crops and flips (LocalDrop's table 2 says without)."""

CIFAR10_RESNET50_AUGMENTED = _deep("cifar10", "resnet50", LOCALDROP_DEEP_AUGMENTED)
"""ResNet-50 on CIFAR-10 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR100_RESNET50_AUGMENTED = _deep("cifar100", "resnet50", LOCALDROP_DEEP_AUGMENTED)
"""ResNet-50 on CIFAR-100 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR10_PREACT_RESNET18_AUGMENTED = _deep("cifar10", "preact_resnet18", LOCALDROP_DEEP_AUGMENTED)
"""PreActResNet-18 on CIFAR-10 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR100_PREACT_RESNET18_AUGMENTED = _deep("cifar100", "preact_resnet18", LOCALDROP_DEEP_AUGMENTED)
"""PreActResNet-18 on CIFAR-100 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR10_DENSENET121_AUGMENTED = _deep("cifar10", "densenet121", LOCALDROP_DEEP_AUGMENTED)
"""DenseNet-121 on CIFAR-10 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR100_DENSENET121_AUGMENTED = _deep("cifar100", "densenet121", LOCALDROP_DEEP_AUGMENTED)
"""DenseNet-121 on CIFAR-100 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR10_DPN92_AUGMENTED = _deep("cifar10", "dpn92", LOCALDROP_DEEP_AUGMENTED)
"""DPN-92 on CIFAR-10 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR100_DPN92_AUGMENTED = _deep("cifar100", "dpn92", LOCALDROP_DEEP_AUGMENTED)
"""DPN-92 on CIFAR-100 with crop and flip, as the baselines in LocalDrop's table 2 suggest."""

CIFAR10_ZHAI_NARROW = Classification(
    dataset="cifar10",
    architecture="zhai_cnn",
    protocol=LOCALDROP_CNN_NARROW,
    options={"width": 256, "channel_divisor": 4},
    defaults=_CNN_DEFAULTS,
)
"""LocalDrop's first model with a quarter of its channels and dense layers of 256 units, on CIFAR-10."""
