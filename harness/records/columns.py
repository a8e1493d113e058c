"""The columns of a results folder's files: the one definition for the schema, `verify` and `regarena show columns`.

To add a column, add a line to TRIAL_TABLE or CURVE_TABLE with the number of SCHEMA_VERSION as `since`. If the last
release already wrote files of that version, raise SCHEMA_VERSION by one first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

import pyarrow as pa

SCHEMA_VERSION = 3
"""Version of the files that are written. Files of older versions are migrated on reading, newer ones are refused."""

Role = Literal["default", "tune", "confirm", "timing"]
Scale = Literal["paper", "short", "smoke"]
Status = Literal[
    "completed", "stopped_early", "diverged", "failed", "timeout", "out_of_memory", "crashed", "skipped", "pruned"
]  # fmt: skip
Selection = Literal["best_validation", "best_epoch", "one_standard_error", "oracle"]
Group = Literal[
    "identity", "hyperparameters", "outcome", "value", "effort", "machine", "provenance", "curve"
]  # fmt: skip

ROLES: tuple[str, ...] = get_args(Role)
SCALES: tuple[str, ...] = get_args(Scale)
SELECTIONS: tuple[str, ...] = get_args(Selection)
STATUSES: tuple[str, ...] = get_args(Status)
SUCCESSES: tuple[str, ...] = ("completed", "stopped_early")
INTENDED: tuple[str, ...] = (*SUCCESSES, "skipped", "pruned")
"""Statuses that are no failure. Nor is `diverged` for a tune trial: a search may propose values that diverge."""
NETWORK_KINDS: tuple[str, ...] = ("attention", "residual", "conv", "dense")
ANSWERS: tuple[str, ...] = (*SUCCESSES, "diverged")
"""Statuses that the training itself determines. Others may be due to the machine: a second try may end differently."""

OVERALL = "overall"  # stands for the task in the rows of a ranking over all tasks, so no task has this name
HYPERPARAMETER_PREFIX = "hp."
METRIC_PREFIX = "metric."

TEXT, TRUTH, REAL, WHOLE, SMALL = pa.string(), pa.bool_(), pa.float64(), pa.int64(), pa.int32()
TIME = pa.timestamp("us", tz="UTC")
BY_VALUE = pa.null()

_TYPE_NAMES = {
    TEXT: "text", TRUTH: "true or false", REAL: "real number", WHOLE: "whole number", SMALL: "whole number",
    TIME: "time (UTC)", BY_VALUE: "by value",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a file. Every value may be null, which means "does not apply" or "not known".

    Args:
        name: of the column; one that ends in `*` stands for all columns whose names begin with the part before it.
        type: of its values.
        group: the group of columns to which it belongs.
        meaning: a short description.
        unit: of its values, "" if they have none.
        since: the version of the schema that added it; files of older versions lack it.
        at_least: smallest allowed value; None: no bound.
        at_most: largest allowed value; None: no bound.
        allowed: all allowed values; (): any.
        repeats: whether the same trial has the same value when it runs again on a CPU. Times, memory, versions,
            the machine, and what the trial was run for do not repeat; they never tell two rows of one trial apart.
    """

    name: str
    type: pa.DataType
    group: Group
    meaning: str
    _: KW_ONLY
    unit: str = ""
    since: int = 1
    at_least: float | None = None
    at_most: float | None = None
    allowed: tuple[str, ...] = ()
    repeats: bool = True

    @property
    def type_name(self) -> str:
        """The type in words."""
        return _TYPE_NAMES[self.type]

    @property
    def bounds(self) -> str:
        """What is allowed, in words; "" for everything of the type."""
        if self.allowed:
            return ", ".join(self.allowed)
        limits = ((">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)

    def faults(self, value: Any) -> Iterator[str]:
        """What is wrong with a value, in words; NaN violates any bound, null none."""
        if value is None:
            return
        if self.allowed and value not in self.allowed:
            yield f"{self.name} is {value!r}, not one of {', '.join(self.allowed)}"
        if self.at_least is not None and not value >= self.at_least:
            yield f"{self.name} is {value}, below {self.at_least:g}"
        if self.at_most is not None and not value <= self.at_most:
            yield f"{self.name} is {value}, above {self.at_most:g}"


TRIAL_TABLE: tuple[Column, ...] = (
    Column("schema_version", SMALL, "identity", "version of these columns", at_least=1, repeats=False),
    Column("trial_id", TEXT, "identity", "hash of all that defines the trial"),
    Column("campaign_id", TEXT, "identity", "the campaign that ran it", repeats=False),
    Column("suite", TEXT, "identity", "the suite that asked for it", repeats=False),
    Column("task", TEXT, "identity", "the task"),
    Column("dataset", TEXT, "identity", "the task's data set"),
    Column("architecture", TEXT, "identity", 'the task\'s network; "" if the task builds its own model'),
    Column("network_kind", TEXT, "identity", "attention, residual (two branches or more), conv or dense", since=2,
           allowed=NETWORK_KINDS),
    Column("label_noise", REAL, "identity", "share of the training samples with a wrong label",
           since=2, at_least=0, at_most=1),
    Column("regularizer", TEXT, "identity", "the contestant; several joined by +"),
    Column("only_measures", TRUTH, "identity", "whether the contestant only logs values, and is not ranked",
           since=2, repeats=False),
    Column("scale", TEXT, "identity", "how much of the protocol was run: paper is all of it", allowed=SCALES),
    Column("role", TEXT, "identity", "what the trial was run for", allowed=ROLES),
    Column("seed", WHOLE, "identity", "seed of all random draws"),
    Column("tune_index", WHOLE, "identity", "place in the cell's search, of tune trials", at_least=0, repeats=False),
    Column("tune_width", WHOLE, "identity", "width of that search, of tune and confirm trials; null is 1",
           since=2, at_least=1, repeats=False),
    Column("tune_epochs", WHOLE, "identity", "budget of that search in epochs, of tune trials; null is one in trials",
           since=3, at_least=1, repeats=False),
    Column("proposal_digest", TEXT, "identity", "hash of all that the search made the trial from, of tune trials",
           since=2, repeats=False),
    Column("split_index", WHOLE, "identity", "which samples were held out for validation; null: those of the protocol",
           since=2, at_least=1),
    Column("selection", TEXT, "identity", "the rule that picked the winner, where it is not best_validation", since=2,
           allowed=SELECTIONS),
    Column("halving", TEXT, "identity", "shares of the epochs at which worse trials of that search stop; null is never",
           since=2),
    Column("rung", SMALL, "identity", "number of rungs of halving that the trial has passed",
           since=2, at_least=0, repeats=False),
    Column("frozen_from", TEXT, "identity", "trial_id of the tune trial that won, of confirm trials", repeats=False),
    Column("code_hash", TEXT, "identity", "hash of the code that the trial used"),
    Column("shared_code_hash", TEXT, "identity", "hash of the code that all contestants of the task use", since=2),
    Column("switches", TEXT, "identity", "how steps were executed, where it differs from the protocol", since=2),
    Column("dataset_fingerprint", TEXT, "identity", "hash of the data that was read"),
    Column("hp.*", BY_VALUE, "hyperparameters", "one column for each field of the regularizer and shared setting"),
    Column("status", TEXT, "outcome", "how the trial ended", allowed=STATUSES),
    Column("error_type", TEXT, "outcome", "class of the exception", repeats=False),
    Column("error_message", TEXT, "outcome", "text of the exception", repeats=False),
    Column("reason", TEXT, "outcome", "where the exception was raised, or why the cell was skipped", repeats=False),
    Column("attempts", SMALL, "outcome", "how often the trial was started", at_least=0, repeats=False),
    Column("metric", TEXT, "value", "name of the value that is ranked"),
    Column("higher_is_better", TRUTH, "value", "whether higher values are better"),
    Column("validation_value", REAL, "value", "the metric on the validation split, after the last epoch"),
    Column("best_validation_value", REAL, "value", "the metric on the validation split, after its best epoch", since=2),
    Column("test_value", REAL, "value",
           "the metric on the test split, after the last epoch; of tune trials only with --select oracle"),
    Column("test_value_at_best_validation", REAL, "value",
           "the metric on the test split, after the epoch with the best validation value"),
    Column("train_value", REAL, "value", "the metric on the training split, after the last epoch"),
    Column("metric.*", REAL, "value", "one column for each other value that the task measures"),
    Column("epochs_planned", WHOLE, "effort", "epochs of the protocol at this scale", at_least=0),
    Column("epochs_run", WHOLE, "effort", "epochs that were trained", at_least=0),
    Column("num_parameters", WHOLE, "effort", "trained parameters of the network", at_least=0),
    Column("train_seconds", REAL, "effort", "time of training", unit="s", at_least=0, repeats=False),
    Column("evaluation_seconds", REAL, "effort", "time of evaluation", unit="s", at_least=0, repeats=False),
    Column("setup_seconds", REAL, "effort", "time before training: data, network, compiling", unit="s",
           at_least=0, repeats=False),
    Column("seconds_per_step", REAL, "effort", "mean training time of a step", unit="s", at_least=0, repeats=False),
    Column("samples_per_second", REAL, "effort", "training speed", unit="1/s", at_least=0, repeats=False),
    Column("peak_memory_bytes", WHOLE, "effort", "peak memory of the GPU, or of the process; null of timing trials",
           unit="B", at_least=0, repeats=False),
    Column("num_graphs", SMALL, "effort", "graphs of torch.compile in a training pass, of timing trials with --compile",
           since=2, at_least=0, repeats=False),
    Column("layers_in_graphs", SMALL, "effort", "conv and dense layers in these graphs; other layers were not compiled",
           since=2, at_least=0, repeats=False),
    Column("twin_num_graphs", SMALL, "effort", "graphs of the twin, the same network without the contestant",
           since=2, at_least=0, repeats=False),
    Column("twin_layers_in_graphs", SMALL, "effort", "conv and dense layers in the twin's graphs",
           since=2, at_least=0, repeats=False),
    Column("seeds_together", SMALL, "effort", "trials trained at once in one process; their time is shared equally",
           since=2, at_least=0, repeats=False),
    Column("num_train_samples", WHOLE, "effort", "samples of the training split at this scale", since=2, at_least=0),
    Column("validation_fraction", REAL, "effort", "share of the official training set that was held out",
           since=2, at_least=0, at_most=1),
    Column("device", TEXT, "machine", "torch's name of the device", repeats=False),
    Column("hardware_key", TEXT, "machine", "hardware; only times with equal keys are compared", repeats=False),
    Column("gpu_fraction", REAL, "machine", "share of a GPU that the trial had", at_least=0, repeats=False),
    Column("tf32", TRUTH, "machine", "whether a GPU rounded 32-bit factors to TF32; null on a processor", since=2,
           repeats=False),
    Column("cpu_threads", SMALL, "machine", "threads of torch", at_least=0, repeats=False),
    Column("exclusive", TRUTH, "machine", "whether no other trial of the campaign ran on the machine", repeats=False),
    Column("started_at", TIME, "provenance", "when the trial began", repeats=False),
    Column("finished_at", TIME, "provenance", "when it ended", repeats=False),
    Column("git_commit", TEXT, "provenance", "commit of the checkout, null outside of one", repeats=False),
    Column("git_dirty", TRUTH, "provenance", "whether files differed from that commit", repeats=False),
    Column("python_version", TEXT, "provenance", "of Python", repeats=False),
    Column("torch_version", TEXT, "provenance", "of torch", repeats=False),
    Column("numba_version", TEXT, "provenance", "of numba; null where it is not installed", since=2, repeats=False),
    Column("ray_version", TEXT, "provenance", "of Ray", repeats=False),
    Column("optuna_version", TEXT, "provenance", "of Optuna", repeats=False),
    Column("regarena_version", TEXT, "provenance", "of regarena", repeats=False),
)  # fmt: skip
"""The columns of trials/*.parquet: one row for each trial that ended."""

CURVE_TABLE: tuple[Column, ...] = (
    Column("trial_id", TEXT, "curve", "id of the trial"),
    Column("epoch", WHOLE, "curve", "epochs trained before the measurement; 0 is the untrained network", at_least=0),
    Column("split", TEXT, "curve", "train, validation, test, or regularizer for a regularizer's own logs"),
    Column("metric", TEXT, "curve", "name of the measured value"),
    Column("value", REAL, "curve", "the value"),
    Column(
        "train_seconds",
        REAL,
        "curve",
        "training time until the measurement, without evaluations",
        unit="s",
        since=2,
        at_least=0,
        repeats=False,
    ),
)
"""The columns of curves/*.parquet: one row for each measurement during a trial."""

CURVE_KEY: tuple[str, ...] = ("trial_id", "epoch", "split", "metric")
"""The columns that identify one point of a curve."""


def fixed(table: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns with a fixed name, without `hp.*` and `metric.*`."""
    return tuple(column for column in table if not column.name.endswith("*"))


TRIAL_COLUMNS: tuple[str, ...] = tuple(column.name for column in fixed(TRIAL_TABLE))
TRIAL_FIELDS: tuple[tuple[str, pa.DataType], ...] = tuple((each.name, each.type) for each in fixed(TRIAL_TABLE))
CURVE_COLUMNS: tuple[str, ...] = tuple(column.name for column in CURVE_TABLE)
CURVE_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in CURVE_TABLE])
