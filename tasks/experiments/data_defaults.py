"""Hyperparameters that follow from a data set, whatever is trained on it."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.regularizers.base import Scalar

# DeVries and Taylor 2017 (arXiv:1708.04552), experiments: squares of 8 of 32 pixels on CIFAR-100, of 16 (the default of
# the regularizer) on CIFAR-10.
DATA_DEFAULTS: Mapping[str, Mapping[str, Scalar]] = {"cifar100": {"cutout.side_fraction": 0.25}}


def defaults_for(dataset: str, defaults: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
    """The defaults of a task on `dataset`, with those that follow from it.

    >>> defaults_for("cifar100", {"where": "conv"})
    {'cutout.side_fraction': 0.25, 'where': 'conv'}
    """
    return {**DATA_DEFAULTS.get(dataset, {}), **(defaults or {})}
