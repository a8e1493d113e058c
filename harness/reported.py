"""Checks of what a task reports of a trained network: only numbers that can be stored and compared pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pyarrow as pa

from harness.records import CurvePoint, TrialRecord, schema_of
from tasks.errors import Diverged
from tasks.runtime.trained import Trained, number_of

Measured = Mapping[str, Mapping[str, float]]  # split -> metric -> value


def reported(measured: Mapping[str, Mapping[str, object]], metric: str, splits: Iterable[str], when: str) -> Measured:
    """The values of all splits as floats.

    Args:
        measured: split -> name -> value, as the task reports them.
        metric: name of the value that is ranked; it must be finite wherever it is reported.
        splits: the splits that must report the metric.
        when: end of the messages, such as "at the end".

    Raises:
        TypeError: if a value is no number.
        LookupError: if one of `splits` does not report the metric.
        Diverged: if the metric is not finite on some split.
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
    """Convert the record to a row, as the store will, so that a value of a wrong type is found before it is written.

    Raises:
        Exception: whatever Arrow or the conversion raises for a value that is not of its column's type.
    """
    row = record.row()
    pa.Table.from_pylist([row], schema=schema_of(row))


def curves_of(trained: Trained) -> tuple[CurvePoint, ...]:
    """The points of all curves.

    Raises:
        TypeError: where a value or a time is no number, an epoch no whole number, or a name no text.
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
            train_seconds=None
            if point.train_seconds is None
            else number_of(point.train_seconds, f"training time until epoch {point.epoch}"),
        )
        for point in trained.curves
    )
