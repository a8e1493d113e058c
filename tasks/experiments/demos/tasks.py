"""Small tasks on digits, MNIST and Fashion-MNIST."""

from __future__ import annotations

from tasks.classification import Classification
from tasks.experiments.demos.protocols import DIGITS, LENET

DIGITS_CONVNET = Classification(dataset="digits", architecture="convnet_small", protocol=DIGITS)
"""Small conv net (two conv sites, one dense) on scikit-learn's 8x8 digits."""


DIGITS_MLP = Classification(dataset="digits", architecture="mlp", protocol=DIGITS)
"""Two hidden layers of 128 units on scikit-learn's 8x8 digits."""


MNIST_LENET = Classification(dataset="mnist", architecture="lenet", protocol=LENET)
"""LeNet with a top dense layer of 500 units on MNIST."""


FASHION_LENET = Classification(dataset="fashion_mnist", architecture="lenet", protocol=LENET)
"""LeNet with a top dense layer of 500 units on Fashion-MNIST."""
