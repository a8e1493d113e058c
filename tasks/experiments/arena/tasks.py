"""Tasks with few images, drawn by seed: a training takes seconds, and networks overfit without a regularizer."""

from __future__ import annotations

from tasks.classification import Classification
from tasks.experiments.arena.protocols import FEW_DIGITS, FEW_IMAGES, FEW_IMAGES_BRIEFLY, FEW_IMAGES_WITH_BATCH_NORM
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.localdrop.tasks import DEEP_DEFAULTS

PINS = {"attack": "fgsm"}
"""Adversarial training takes one step for each batch. With the paper's forty it would take most of the hours of the
arena; the suite `adversarial` ranks it with these, by errors under attack."""

DIGITS_200_CONVNET = Classification(dataset="digits_200", architecture="convnet_small", protocol=FEW_DIGITS, pins=PINS)
"""Small conv net on 200 digits of 8x8 pixels."""

DIGITS_200_MLP = Classification(dataset="digits_200", architecture="mlp", protocol=FEW_DIGITS, pins=PINS)
"""Two hidden layers of 128 units on 200 digits of 8x8 pixels."""

DIGITS_200_NOISY_CONVNET = Classification(
    dataset="digits_200_noisy", architecture="convnet_small", protocol=FEW_DIGITS, pins=PINS
)
"""Small conv net on 200 digits of 8x8 pixels, 20 % of them with a wrong label."""

MNIST_1K_LENET = Classification(dataset="mnist_1k", architecture="lenet", protocol=FEW_IMAGES, pins=PINS)
"""LeNet on 1,000 images of MNIST."""

FASHION_1K_LENET = Classification(dataset="fashion_mnist_1k", architecture="lenet", protocol=FEW_IMAGES, pins=PINS)
"""LeNet on 1,000 images of Fashion-MNIST."""

FASHION_1K_NOISY_LENET = Classification(
    dataset="fashion_mnist_1k_noisy", architecture="lenet", protocol=FEW_IMAGES, pins=PINS
)
"""LeNet on 1,000 images of Fashion-MNIST, 20 % of them with a wrong label."""

CIFAR10_1K_CONVNET = Classification(
    dataset="cifar10_1k",
    architecture="convnet_small",
    options={"channels": 8},
    protocol=FEW_IMAGES_BRIEFLY,
    pins=PINS,
    defaults=defaults_for("cifar10"),
)
"""Small conv net with 8 channels on 1,000 images of CIFAR-10."""

CIFAR10_1K_RESNET8 = Classification(
    dataset="cifar10_1k",
    architecture="resnet56",
    options={"blocks_per_group": 1, "channel_divisor": 2, "pooled_site": True},
    protocol=FEW_IMAGES_WITH_BATCH_NORM,
    pins=PINS,
    defaults=defaults_for("cifar10", {**DEEP_DEFAULTS, "flow_penalty.where": "dense"}),
)
"""ResNet of 8 layers with 8, 16 and 32 channels on 1,000 images of CIFAR-10; it has branches to drop."""
