"""The result of a training: metrics, curves, counts and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from numbers import Real

from torch import Tensor

from tasks.runtime.state import State, attributes_of


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a curve; epoch 0 is the network before training.

    `train_seconds` is the training time until then, without evaluations; None if it is not known. Two points with
    different times are equal, because the time of a training is not the same when it runs again.
    """

    epoch: int
    split: str
    metric: str
    value: float
    train_seconds: float | None = field(default=None, compare=False)


def number_of(value: object, what: str) -> float:
    """A measured value as a float; tensors with one element are allowed.

    Raises:
        TypeError: if it is not a number; the message calls it `what`.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"The {what} must be a number, got {value!r:.100}.")
    return float(value)


@dataclass
class Trained:
    """The result of a training: `final` and `best` map split -> metric -> value."""

    epochs_run: int = 0
    stopped_early: bool = False
    train_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    num_steps: int = 0
    final: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    best: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: list[Point] = field(default_factory=list)
    paused: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # the metrics at a pause

    def values(self, split: str, metric: str) -> list[float]:
        """The values of a metric on a split during training, from epoch 1 on."""
        return [p.value for p in self.curves if (p.split, p.metric) == (split, metric) and p.epoch > 0]

    def add_points(self, epoch: int, measured: Mapping[str, Mapping[str, float]]) -> None:
        """Add values (split -> metric -> value) to the curves, at the present training time."""
        self.curves += [
            Point(epoch=epoch, split=split, metric=metric, value=value, train_seconds=self.train_seconds)
            for split, metrics in measured.items()
            for metric, value in metrics.items()
        ]

    def state(self) -> State:
        """The state as plain values."""
        return {**attributes_of(self), "curves": [astuple(point) for point in self.curves]}

    @classmethod
    def of(cls, state: State) -> Trained:
        """The result with this state."""
        names = [each.name for each in fields(Point)]
        curves = [Point(**dict(zip(names, point, strict=True))) for point in state["curves"]]
        return cls(**{**state, "curves": curves})
