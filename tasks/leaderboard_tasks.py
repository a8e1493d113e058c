"""CIFAR tasks for the architectures that no table of the papers trains, so that the leaderboard has every one."""

from __future__ import annotations

from tasks.classification import Classification
from tasks.protocols import CIFAR_PLAIN, LOCALDROP_DEEP_AUGMENTED, Protocol


def _task(dataset: str, architecture: str, protocol: Protocol) -> Classification:
    return Classification(dataset=dataset, architecture=architecture, protocol=protocol)


CIFAR10_PREACT_RESNET50 = _task("cifar10", "preact_resnet50", LOCALDROP_DEEP_AUGMENTED)
"""PreActResNet-50 on CIFAR-10 with crop and flip."""

CIFAR100_PREACT_RESNET50 = _task("cifar100", "preact_resnet50", LOCALDROP_DEEP_AUGMENTED)
"""PreActResNet-50 on CIFAR-100 with crop and flip."""

CIFAR10_DENSENET_BC = _task("cifar10", "densenet_bc_100_12", LOCALDROP_DEEP_AUGMENTED)
"""DenseNet-BC (100 layers, growth 12) on CIFAR-10 with crop and flip."""

CIFAR100_DENSENET_BC = _task("cifar100", "densenet_bc_100_12", LOCALDROP_DEEP_AUGMENTED)
"""DenseNet-BC (100 layers, growth 12) on CIFAR-100 with crop and flip."""

CIFAR10_LENET = _task("cifar10", "lenet", CIFAR_PLAIN)
"""LeNet on CIFAR-10 with crop and flip."""

CIFAR100_LENET = _task("cifar100", "lenet", CIFAR_PLAIN)
"""LeNet on CIFAR-100 with crop and flip."""

CIFAR10_CONVNET = _task("cifar10", "convnet_small", CIFAR_PLAIN)
"""The small conv net on CIFAR-10 with crop and flip."""

CIFAR100_CONVNET = _task("cifar100", "convnet_small", CIFAR_PLAIN)
"""The small conv net on CIFAR-100 with crop and flip."""

CIFAR10_MLP = _task("cifar10", "mlp", CIFAR_PLAIN)
"""Two dense layers on CIFAR-10 with crop and flip."""

CIFAR100_MLP = _task("cifar100", "mlp", CIFAR_PLAIN)
"""Two dense layers on CIFAR-100 with crop and flip."""

CIFAR10_TWO_LAYER_MLP = _task("cifar10", "two_layer_mlp", CIFAR_PLAIN)
"""One dense layer of 100 units on CIFAR-10 with crop and flip."""

CIFAR100_TWO_LAYER_MLP = _task("cifar100", "two_layer_mlp", CIFAR_PLAIN)
"""One dense layer of 100 units on CIFAR-100 with crop and flip."""
