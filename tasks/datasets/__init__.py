"""Data sets: from a data folder to training, validation and test samples, in memory or streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.table import Table

if TYPE_CHECKING:
    from tasks.datasets.dataset import Dataset

DATASETS: Table[Dataset] = Table(
    "dataset",
    "regarena.datasets",
    {
        "digits": "tasks.datasets.digits:DIGITS",
        "digits_200": "tasks.datasets.few_images:DIGITS_200",
        "digits_200_noisy": "tasks.datasets.few_images:DIGITS_200_NOISY",
        "mnist": "tasks.datasets.mnist:MNIST",
        "fashion_mnist": "tasks.datasets.mnist:FASHION_MNIST",
        "mnist_1k": "tasks.datasets.few_images:MNIST_1K",
        "fashion_mnist_1k": "tasks.datasets.few_images:FASHION_1K",
        "fashion_mnist_1k_noisy": "tasks.datasets.few_images:FASHION_1K_NOISY",
        "mnist_0v1": "tasks.datasets.pairs:MNIST_0V1",
        "mnist_4v7": "tasks.datasets.pairs:MNIST_4V7",
        "mnist_4v7_symmetrised": "tasks.datasets.pairs:MNIST_4V7_SYMMETRISED",
        "fashion_mnist_4v7": "tasks.datasets.pairs:FASHION_4V7",
        "fashion_mnist_4v7_symmetrised": "tasks.datasets.pairs:FASHION_4V7_SYMMETRISED",
        "separable_d10_margin0.3": "tasks.datasets.separable:SEPARABLE_MARGIN_03",
        "separable_d10_margin0.5": "tasks.datasets.separable:SEPARABLE_MARGIN_05",
        "cifar10": "tasks.datasets.cifar:CIFAR10",
        "cifar10_1k": "tasks.datasets.few_images:CIFAR10_1K",
        "cifar10_1k_noisy": "tasks.datasets.few_images:CIFAR10_1K_NOISY",
        "cifar100": "tasks.datasets.cifar:CIFAR100",
        "imagenet": "tasks.datasets.imagenet:IMAGENET",
        "synthetic": "tasks.datasets.synthetic:SYNTHETIC",
        "movielens_100k": "tasks.datasets.movielens:MOVIELENS_100K",
        "movielens_1m": "tasks.datasets.movielens:MOVIELENS_1M",
        "movielens_1m_partial": "tasks.datasets.movielens:MOVIELENS_1M_PARTIAL",
        "movielens_10m": "tasks.datasets.movielens:MOVIELENS_10M",
        "synthetic_ratings": "tasks.datasets.synthetic_ratings:SYNTHETIC_RATINGS",
    },
    fault_of="tasks.examination:fault_of_dataset",
)
