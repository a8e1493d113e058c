"""Data sets: functions from a data folder to splits in memory."""

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
        "mnist": "tasks.datasets.mnist:MNIST",
        "fashion_mnist": "tasks.datasets.mnist:FASHION_MNIST",
    },
)
