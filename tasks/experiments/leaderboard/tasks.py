"""CIFAR tasks for the architectures that are in no table of the papers, so that the leaderboard has all of them."""

from __future__ import annotations

from tasks.classification import Classification
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.localdrop.protocols import LOCALDROP_DEEP_AUGMENTED
from tasks.experiments.localdrop.tasks import DEEP_DEFAULTS
from tasks.experiments.shared_protocols import CIFAR_PLAIN


def _deep(dataset: str, architecture: str) -> Classification:
    return Classification(
        dataset=dataset,
        architecture=architecture,
        protocol=LOCALDROP_DEEP_AUGMENTED,
        defaults=defaults_for(dataset, DEEP_DEFAULTS),
    )


def _plain(dataset: str, architecture: str) -> Classification:
    return Classification(
        dataset=dataset, architecture=architecture, protocol=CIFAR_PLAIN, defaults=defaults_for(dataset)
    )


CIFAR10_PREACT_RESNET50 = _deep("cifar10", "preact_resnet50")
"""PreActResNet-50 on CIFAR-10 with crop and flip."""

CIFAR100_PREACT_RESNET50 = _deep("cifar100", "preact_resnet50")
"""PreActResNet-50 on CIFAR-100 with crop and flip."""

CIFAR10_DENSENET_BC = _deep("cifar10", "densenet_bc_100_12")
"""DenseNet-BC (100 layers, growth 12) on CIFAR-10 with crop and flip."""

CIFAR100_DENSENET_BC = _deep("cifar100", "densenet_bc_100_12")
"""DenseNet-BC (100 layers, growth 12) on CIFAR-100 with crop and flip."""

CIFAR10_LENET = _plain("cifar10", "lenet")
"""LeNet on CIFAR-10 with crop and flip."""

CIFAR100_LENET = _plain("cifar100", "lenet")
"""LeNet on CIFAR-100 with crop and flip."""

CIFAR10_CONVNET = _plain("cifar10", "convnet_small")
"""The small conv net on CIFAR-10 with crop and flip."""

CIFAR100_CONVNET = _plain("cifar100", "convnet_small")
"""The small conv net on CIFAR-100 with crop and flip."""

CIFAR10_MLP = _plain("cifar10", "mlp")
"""Two dense layers on CIFAR-10 with crop and flip."""

CIFAR100_MLP = _plain("cifar100", "mlp")
"""Two dense layers on CIFAR-100 with crop and flip."""

CIFAR10_TWO_LAYER_MLP = _plain("cifar10", "two_layer_mlp")
"""One dense layer of 100 units on CIFAR-10 with crop and flip."""

CIFAR100_TWO_LAYER_MLP = _plain("cifar100", "two_layer_mlp")
"""One dense layer of 100 units on CIFAR-100 with crop and flip."""
