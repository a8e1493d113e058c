"""What a task reports of a network that it trained: numbers that can be stored and compared, or an error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pyarrow as pa

from harness.records import CurvePoint, TrialRecord, schema_of
from tasks.errors import Diverged
from tasks.runtime.trained import Trained, number_of

Measured = Mapping[str, Mapping[str, float]]  # split -> metric -> value


def reported(measured: Mapping[str, Mapping[str, object]], metric: str, splits: Iterable[str], when: str) -> Measured:
    """The values of all splits as floats; `splits` must be there, and their `metric`, which is ranked, finite.

    Raises:
        TypeError: where a value is no number.
        LookupError: where a split or the metric is missing.
        Diverged: where the metric is not finite.
    """
    for split in splits:
        if split not in measured or metric not in measured[split]:
            known = ", ".join(f"{name} ({', '.join(values)})" for name, values in measured.items()) or "nothing"
            raise LookupError(f"The task must report {metric} on the split {split} {when}; it reports {known}.")
    values = {
        split: {name: number_of(value, f"{split} {name} {when}") for name, value in metrics.items()}
        for split, metrics in measured.items()
    }
    for split, metrics in values.items():
        if metric in metrics and not math.isfinite(metrics[metric]):
            raise Diverged(f"The {split} {metric} {when} is {metrics[metric]}.")
    return values


def check_storable(record: TrialRecord) -> None:
    """Make a row of the record, as the store will.

    Raises:
        Exception: what Arrow, or the making of the row, raises where a value is not of its column's type.
    """
    row = record.row()
    pa.Table.from_pylist([row], schema=schema_of(row))


def curves_of(trained: Trained) -> tuple[CurvePoint, ...]:
    """The points of all curves.

    Raises:
        TypeError: where a value is no number, an epoch no whole number, or a name no text.
    """
    for point in trained.curves:
        if type(point.epoch) is not int or not isinstance(point.split, str) or not isinstance(point.metric, str):
            raise TypeError(f"A point of a curve must have a whole epoch and names of split and metric, got {point}.")
    return tuple(
        CurvePoint(
            epoch=point.epoch,
            split=point.split,
            metric=point.metric,
            value=number_of(point.value, f"{point.split} {point.metric} of epoch {point.epoch}"),
        )
        for point in trained.curves
    )
