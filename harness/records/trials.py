"""What defines a trial (TrialSpec), its results (TrialRecord), and the row that both become.

A TrialSpec holds only text and numbers, so that it can be pickled, hashed and written as a row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from harness.records.columns import (
    HYPERPARAMETER_PREFIX,
    METRIC_PREFIX,
    SCHEMA_VERSION,
    SUCCESSES,
    TRIAL_COLUMNS,
    TRIAL_FIELDS,
    Role,
    Scale,
    Selection,
    Status,
)

Scalar = float | int | str | bool


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """Everything that defines one trial, as text and numbers.

    `hyperparameters` holds the regularizer's fields and the shared settings, each in the type of its default: 1 and 1.0
    would be two different trials. `definition` is the text of a task that a campaign's file defines ("" for a task of
    the table); `code_hash` covers it. `campaign_id`, `suite`, `tune_index`, `tune_width`, `tune_epochs`,
    `proposal_digest` and `frozen_from` say why the trial runs and are not part of its identity: the same training in
    two suites is one trial. Nor are `rung` and `until_epoch`, which say how far it trains this time; if it is continued
    later, the later row replaces the earlier.

    Raises:
        TypeError: for a hyperparameter that is neither number, text nor boolean.
        ValueError: for a hyperparameter that is not finite.
    """

    task: str
    regularizer: str
    hyperparameters: Mapping[str, Scalar]
    seed: int
    role: Role
    scale: Scale
    code_hash: str
    shared_code_hash: str = ""  # hash of the task's code alone; not part of the identity, since code_hash covers it
    switches: str = ""  # how steps are executed (tasks.runtime.switches); "" is as the protocol says
    split: int = 0  # which samples are held out for validation (tasks.datasets.dataset.held_out)
    selection: Selection = "best_validation"  # the rule by which a confirm trial was picked, or a tune trial will be
    definition: str = ""
    campaign_id: str = ""
    suite: str = ""
    tune_index: int | None = None  # position in the cell's study, for role "tune"
    tune_width: int | None = None  # of that study, for roles "tune" and "confirm"
    tune_epochs: int | None = None  # the study's budget in epochs when it made the proposal, if it has one; for "tune"
    proposal_digest: str = ""  # hash of all that the proposal depends on (harness.search.studies), for "tune"
    halving: str = ""  # where trials of the study may stop early (harness.search.halving); "" is never
    rung: int | None = None  # number of rungs passed before this run, with halving
    until_epoch: int | None = None  # the epoch after which to stop this time; None is the last
    frozen_from: str | None = None  # trial_id of the tune trial that won, for role "confirm"

    def __post_init__(self) -> None:
        """Reject what cannot be hashed or stored."""
        for name, value in self.hyperparameters.items():
            if not isinstance(value, bool | int | float | str):
                raise TypeError(f"Hyperparameter {name!r} must be a number, text or boolean, got {value!r}.")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"Hyperparameter {name!r} must be finite, got {value!r}.")

    @cached_property  # cached, since it is used often and a spec does not change
    def trial_id(self) -> str:
        """20 hexadecimal digits of SHA-256 over what defines the trial; the same on every machine."""
        identity = {
            "task": self.task,
            "regularizer": self.regularizer,
            "hyperparameters": dict(sorted(self.hyperparameters.items())),
            "seed": self.seed,
            "role": self.role,
            "scale": self.scale,
            "code_hash": self.code_hash,
        }
        if self.halving:  # its outcome depends on those of other trials
            identity["halving"] = self.halving
        if self.switches:  # left out by default, so that trials of older versions keep their identity
            identity["switches"] = self.switches
        if self.split:
            identity["split"] = self.split
        if self.selection != "best_validation":
            identity["selection"] = self.selection
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:20]

    @property
    def sees_test(self) -> bool:
        """Whether the test split may be evaluated: not by tune trials, unless the oracle picks their winner."""
        return self.role != "tune" or self.selection == "oracle"

    @property
    def cell(self) -> tuple[str, str]:
        """(task, regularizer)."""
        return (self.task, self.regularizer)


Pack = tuple[TrialSpec, ...]  # trials that one process runs; see harness.schedule


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One measurement during a trial. Epoch 0 is the network before training.

    Points that differ in `train_seconds` alone are equal: times do not repeat when a trial runs again.
    """

    epoch: int
    split: str  # "train", "validation", "test", or "regularizer" for what a regularizer logs about itself
    metric: str
    value: float
    train_seconds: float | None = field(default=None, compare=False)  # training time until then; None: not known


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """The result of one trial: its spec, its status, and values for columns.

    `values` holds columns of the groups outcome, value, effort, machine and provenance (`harness.records.columns`); a
    missing one is null. `metrics` holds the task's further values, `curves` the measurements during training.

    Raises:
        ValueError: for an unknown column, or a test value in a tune trial that must not see the test split.
    """

    spec: TrialSpec
    status: Status
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[CurvePoint, ...] = ()

    def __post_init__(self) -> None:
        """Check that all columns are known, and that no tune trial reports a test value."""
        unknown = set(self.values) - set(TRIAL_COLUMNS)
        if unknown:
            raise ValueError(f"These are not columns of a trial row: {sorted(unknown)}.")
        if not self.spec.sees_test:
            leaked = [
                name for name in ("test_value", "test_value_at_best_validation") if self.values.get(name) is not None
            ]
            if leaked or any(point.split == "test" for point in self.curves):
                raise ValueError(
                    f"A tune trial must not see the test split, but it reports {leaked or 'a test curve'}."
                )

    @property
    def trial_id(self) -> str:
        """Identity of the trial."""
        return self.spec.trial_id

    @property
    def succeeded(self) -> bool:
        """Whether the trial was completed or stopped early by its regularizer."""
        return self.status in SUCCESSES

    def row(self) -> dict[str, Any]:
        """The trial as one flat row of the Parquet table."""
        spec = self.spec
        row: dict[str, Any] = dict.fromkeys(TRIAL_COLUMNS)
        row.update(self.values)
        row.update(
            schema_version=SCHEMA_VERSION,
            trial_id=self.trial_id,
            campaign_id=spec.campaign_id,
            suite=spec.suite,
            task=spec.task,
            regularizer=spec.regularizer,
            scale=spec.scale,
            role=spec.role,
            seed=spec.seed,
            tune_index=spec.tune_index,
            split_index=spec.split or None,
            selection=None if spec.selection == "best_validation" else spec.selection,
            tune_width=spec.tune_width,
            tune_epochs=spec.tune_epochs,
            proposal_digest=spec.proposal_digest or None,
            halving=spec.halving or None,
            rung=spec.rung,
            frozen_from=spec.frozen_from,
            code_hash=spec.code_hash,
            shared_code_hash=spec.shared_code_hash or None,
            switches=spec.switches or None,
            status=self.status,
        )
        row.update({HYPERPARAMETER_PREFIX + name: value for name, value in sorted(spec.hyperparameters.items())})
        row.update({METRIC_PREFIX + name: float(value) for name, value in sorted(self.metrics.items())})
        return row

    def with_values(self, **values: Any) -> TrialRecord:
        """A copy with further column values."""
        return dataclasses.replace(self, values={**self.values, **values})


def schema_of(row: Mapping[str, Any]) -> pa.Schema:
    """The schema of one row: fixed columns first, then its own `hp.*` and `metric.*` columns, typed by value."""
    fields = list(TRIAL_FIELDS)
    for name, value in row.items():
        if name.startswith(HYPERPARAMETER_PREFIX):
            fields.append((name, _scalar_type(value)))
        elif name.startswith(METRIC_PREFIX):
            fields.append((name, pa.float64()))
    return pa.schema(fields)


def _scalar_type(value: Scalar) -> pa.DataType:
    """Arrow type of a hyperparameter; bool before int, because True is an int in Python."""
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def utc_now() -> datetime:
    """The current time in UTC, as in the columns `started_at` and `finished_at`."""
    return datetime.now(UTC)
