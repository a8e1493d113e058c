"""Trials as other tools see them: hyperparameters, numbers, labels and curves, each under its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from analysis.shown.formats import is_missing
from harness.records import HYPERPARAMETER_PREFIX, INTENDED, METRIC_PREFIX
from harness.records.columns import TRIAL_TABLE, fixed

Scalar = float | int | str | bool

_NUMBERS = ("value", "effort")  # groups of columns whose numbers are results; all other columns are labels
_NO_LABELS = ("schema_version", "started_at", "finished_at")
_COLUMNS = fixed(TRIAL_TABLE)


class Point(NamedTuple):
    """One value of a learning curve; `epoch` counts from 0, the untrained network."""

    split: str
    metric: str
    epoch: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        trial_id: of its row.
        labels: columns of text, booleans and seeds by name, as text; null values are left out.
        hyperparameters: by name, without the prefix "hp.".
        numbers: results and efforts by the names of their columns; null values are left out.
        curves: all points of its learning curves, by epoch.
        started, finished: in UTC; None if it is not known.
    """

    trial_id: str
    labels: Mapping[str, str]
    hyperparameters: Mapping[str, Scalar]
    numbers: Mapping[str, float]
    curves: Sequence[Point] = field(repr=False)
    started: datetime | None
    finished: datetime | None

    @property
    def name(self) -> str:
        """A name for people, such as "dropout tune 3" or "dropout confirm seed 0"."""
        number = self.labels.get("tune_index")
        which = f"seed {self.labels['seed']}" if number is None else number
        return f"{self.labels['regularizer']} {self.labels['role']} {which}"

    @property
    def has_result(self) -> bool:
        """Whether it did not fail: it has a value, or the search stopped it."""
        return self.labels["status"] in INTENDED

    @property
    def key(self) -> str:
        """The trial's id; for timing trials also the machine, because they have a row for each machine."""
        is_timing = self.labels["role"] == "timing"
        return f"{self.trial_id} {self.labels.get('hardware_key', '')}" if is_timing else self.trial_id

    @property
    def digest(self) -> str:
        """A hash of all that is exported of it, by which a later export sees whether it has changed."""
        content = (
            sorted(self.labels.items()),
            sorted(self.hyperparameters.items()),
            sorted(self.numbers.items()),
            sorted(self.curves),
            self.finished,
        )
        return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def runs_of(trials: pd.DataFrame, curves: pd.DataFrame) -> Iterator[Run]:
    """Every trial that ran, in the order of the rows; skipped cells are no runs."""
    points: dict[str, list[Point]] = {}
    columns = [curves[name].tolist() for name in ("trial_id", "split", "metric", "epoch", "value")]
    for trial_id, split, metric, epoch, value in zip(*columns, strict=True):
        points.setdefault(trial_id, []).append(Point(split, metric, int(epoch), float(value)))
    for row in trials[trials["status"] != "skipped"].to_dict("records"):
        yield _run(row, points.get(row["trial_id"], []))


def num_skipped(trials: pd.DataFrame) -> int:
    """Number of skipped cells, which have a row and no run."""
    return int((trials["status"] == "skipped").sum())


def _run(row: Mapping[Any, Any], points: list[Point]) -> Run:
    values = {str(name): _plain(value) for name, value in row.items() if not is_missing(value)}
    labels = {
        column.name: str(values[column.name])
        for column in _COLUMNS
        if column.name in values and column.name not in _NO_LABELS and not _is_number(column.group, values[column.name])
    }
    measured = [name for name in values if name.startswith(METRIC_PREFIX)]
    numbers = {
        column.name: values[column.name]
        for column in _COLUMNS
        if column.name in values and _is_number(column.group, values[column.name])
    }
    return Run(
        trial_id=str(row["trial_id"]),
        labels=labels,
        hyperparameters={
            name.removeprefix(HYPERPARAMETER_PREFIX): value
            for name, value in values.items()
            if name.startswith(HYPERPARAMETER_PREFIX)
        },
        numbers={
            name: float(value) for name, value in {**numbers, **{each: values[each] for each in measured}}.items()
        },
        curves=sorted(points, key=lambda point: (point.epoch, point.split, point.metric)),
        started=values.get("started_at"),
        finished=values.get("finished_at"),
    )


def _is_number(group: str, value: object) -> bool:
    return group in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """A value of Python in place of one of numpy or pandas."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    return value.item() if hasattr(value, "item") else value
