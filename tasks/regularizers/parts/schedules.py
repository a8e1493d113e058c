"""Schedules of drop rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tasks.regularizers.base import Hooks
from tasks.regularizers.fused.rates import Level, Rate, ScheduledRate


class ScheduledMask(nn.Module):
    """A module that masks at `drop_rate`, which a schedule may change."""

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self._final_rate = drop_rate
        self._level: Level | None = None

    def follow(self, level: Level) -> None:
        """From now on, `drop_rate` is its present value times the level, which the owner of both sets."""
        self._final_rate, self._level = self.drop_rate, level

    @property
    def kernel_rate(self) -> Rate:
        """The drop rate as fused kernels take it: compiled code must not read a number that changes."""
        if self._level is None or self._level.on_device is None:
            return self.drop_rate
        return ScheduledRate(self._final_rate, self._level.on_device)


def linear(fraction: float) -> float:
    """The course of a rate that grows linearly from 0."""
    return fraction


@dataclass(frozen=True)
class RateSchedule(Hooks):
    """Sets the drop rate of each mask to its final rate times a function of the fraction of training done."""

    masks: Sequence[ScheduledMask]
    final_drop_rates: Sequence[float]
    course: Callable[[float], float]
    level: Level

    @classmethod
    def of(
        cls, masks: Sequence[ScheduledMask], device: torch.device, course: Callable[[float], float] = linear
    ) -> RateSchedule:
        """A schedule whose final rates are the current rates of the masks, on this device."""
        level = Level(device)
        for mask in masks:
            mask.follow(level)
        return cls(masks, [mask.drop_rate for mask in masks], course, level)

    def progress(self, fraction: float) -> None:
        """drop_rate = final rate * course(fraction)."""
        value = self.course(fraction)
        self.level.set(value)
        for mask, rate in zip(self.masks, self.final_drop_rates, strict=True):
            mask.drop_rate = rate * value
