"""The policies that AutoAugment found (Cubuk et al. 2019, arXiv:1805.09501, tables 7 and 9), as data.

A policy is a list of sub-policies, one per line. Each has two operations with the probability of being applied and the
magnitude (0 to 9), which some operations do not have.
"""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """The operation `name`, applied with probability `chance` at `magnitude` 0 to 9."""

    name: str
    chance: float
    magnitude: int


def policy(text: str) -> tuple[tuple[Operation, Operation], ...]:
    """The sub-policies written in `text`.

    Example:
        >>> policy("invert 0.1 | contrast 0.2 6")
        ((Operation(name='invert', chance=0.1, magnitude=0), Operation(name='contrast', chance=0.2, magnitude=6)),)
    """
    lines = [[_operation(*part.split()) for part in line.split("|")] for line in text.strip().splitlines()]
    return tuple((first, second) for first, second in lines)


def _operation(name: str, chance: str, magnitude: str = "0") -> Operation:
    return Operation(name, float(chance), int(magnitude))


POLICIES = {
    "cifar10": policy("""
        invert 0.1 | contrast 0.2 6
        rotate 0.7 2 | translate_x 0.3 9
        sharpness 0.8 1 | sharpness 0.9 3
        shear_y 0.5 8 | translate_y 0.7 9
        autocontrast 0.5 | equalize 0.9
        shear_y 0.2 7 | posterize 0.3 7
        color 0.4 3 | brightness 0.6 7
        sharpness 0.3 9 | brightness 0.7 9
        equalize 0.6 | equalize 0.5
        contrast 0.6 7 | sharpness 0.6 5
        color 0.7 7 | translate_x 0.5 8
        equalize 0.3 | autocontrast 0.4
        translate_y 0.4 3 | sharpness 0.2 6
        brightness 0.9 6 | color 0.2 8
        solarize 0.5 2 | invert 0.0
        equalize 0.2 | autocontrast 0.6
        equalize 0.2 | equalize 0.6
        color 0.9 9 | equalize 0.6
        autocontrast 0.8 | solarize 0.2 8
        brightness 0.1 3 | color 0.7 0
        solarize 0.4 5 | autocontrast 0.9
        translate_y 0.9 9 | translate_y 0.7 9
        autocontrast 0.9 | solarize 0.8 3
        equalize 0.8 | invert 0.1
        translate_y 0.7 9 | autocontrast 0.9
    """),
    "imagenet": policy("""
        posterize 0.4 8 | rotate 0.6 9
        solarize 0.6 5 | autocontrast 0.6
        equalize 0.8 | equalize 0.6
        posterize 0.6 7 | posterize 0.6 6
        equalize 0.4 | solarize 0.2 4
        equalize 0.4 | rotate 0.8 8
        solarize 0.6 3 | equalize 0.6
        posterize 0.8 5 | equalize 1.0
        rotate 0.2 3 | solarize 0.6 8
        equalize 0.6 | posterize 0.4 6
        rotate 0.8 8 | color 0.4 0
        rotate 0.4 9 | equalize 0.6
        equalize 0.0 | equalize 0.8
        invert 0.6 | equalize 1.0
        color 0.6 4 | contrast 1.0 8
        rotate 0.8 8 | color 1.0 2
        color 0.8 8 | solarize 0.8 7
        sharpness 0.4 7 | invert 0.6
        shear_x 0.6 5 | equalize 1.0
        color 0.4 0 | equalize 0.6
        equalize 0.4 | solarize 0.2 4
        solarize 0.6 5 | autocontrast 0.6
        invert 0.6 | equalize 1.0
        color 0.6 4 | contrast 1.0 8
        equalize 0.8 | equalize 0.6
    """),
}
