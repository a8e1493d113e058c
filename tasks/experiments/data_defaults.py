"""Default hyperparameters that depend on the data set, not on the network."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.regularizers.base import Scalar

# Madry et al. 2018 (arXiv:1706.06083), section 5: 7 steps of size 2/255 within radius 8/255, from a random start.
_MADRY_CIFAR: Mapping[str, Scalar] = {
    "radius": 8 / 255,
    "num_steps": 7,
    "step_size": 2 / 255,
    "step_decay": 1.0,
    "step": "sign",
    "box": "unit",
    "random_start": True,
}
_CIFAR_ATTACKS = {
    f"{name}.{field}": value
    for name in ("adversarial_training", "reflected_adversarial_training")
    for field, value in _MADRY_CIFAR.items()
}

# DeVries and Taylor 2017 (arXiv:1708.04552), experiments: squares of 8 of 32 pixels on CIFAR-100, of 16 (the default of
# the regularizer) on CIFAR-10.
DATA_DEFAULTS: Mapping[str, Mapping[str, Scalar]] = {
    "cifar10": _CIFAR_ATTACKS,
    "cifar100": {"cutout.side_fraction": 0.25, **_CIFAR_ATTACKS},
}


def defaults_for(dataset: str, defaults: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
    """The defaults of a task on `dataset`: those of the data set, updated by `defaults`.

    >>> defaults = defaults_for("cifar100", {"where": "conv"})
    >>> defaults["cutout.side_fraction"], defaults["where"], defaults["adversarial_training.num_steps"]
    (0.25, 'conv', 7)
    """
    return {**DATA_DEFAULTS.get(dataset, {}), **(defaults or {})}
