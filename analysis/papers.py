"""Measured beside reported: each number of the papers with ours, and whether the two may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells import Value, summarize_cell, trials_by_cell
from analysis.claims import CLAIMED_PAPERS
from analysis.current import current_rows
from analysis.notes import notes_of, with_notes
from analysis.paper_notes import provenance_note
from analysis.statistics import mean_interval, next_value_interval
from harness.records import METRIC_PREFIX, SCALES

COMPARISON_COLUMNS = (
    "paper", "experiment", "dataset", "architecture", "method", "setting", "metric", "unit", "reported", "reported_std",
    "ours", "interval_low", "interval_high", "num_seeds", "difference", "expected_low", "expected_high", "verdict",
    "task", "scale", "note",
)  # fmt: skip
NOT_RUN = "not comparable: not run"

DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ILSVRC-2012": "imagenet", "MNIST": "mnist"}
ARCHITECTURES = {
    "ZhaiCNN": "zhai_cnn",
    "ResNet-56": "resnet56",
    "ResNet-50": "resnet50",
    "PreActResNet": "preact_resnet18",
    "DenseNet": "densenet121",
    "DPN-92": "dpn92",
}

# The paper's metric: ours, and how ours reads in the paper's unit.
_METRICS: dict[str, tuple[str, Callable[[float], float]]] = {
    "test_error": ("accuracy", lambda accuracy: 100 * (1 - accuracy)),
    "test_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top1_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top5_accuracy": ("top5_accuracy", lambda accuracy: 100 * accuracy),
}
# The paper's symbol in a sweep: the columns that may hold it, each with the factor from ours to the paper's.
_SYMBOLS: dict[str, tuple[tuple[str, float], ...]] = {
    "lambda": (("hp.lam", 1.0),),
    "m": (("hp.m", 1.0),),
    "h": (("hp.h_dense_fraction", 2048.0), ("hp.h_conv", 1.0)),
    "block": (("hp.block_size", 1.0),),
}
_GROUP = ["paper", "experiment", "dataset", "architecture", "method", "metric"]


def compare_with_papers(trials: pd.DataFrame, paper: str | None = None, value: Value = "test_value") -> pd.DataFrame:
    """One row per reported value (and task of ours that repeats it); columns `COMPARISON_COLUMNS`.

    `ours` is in the paper's unit, with Student's 95 % interval of its mean. The verdict is `agrees` when the reported
    value lies where one further run of ours is expected with 95 % (`expected_low` to `expected_high`: the mean and t
    times s sqrt(1 + 1/n)), else `differs`; or `not comparable: <why>`. Values are compared at `paper` scale only, and
    the points of a sweep only with trials of the same setting. `note` says what is doubtful about the reported value.
    """
    reported = reported_values()
    known = sorted({*reported["paper"], *CLAIMED_PAPERS})  # some papers report no numbers: nothing is compared then
    if paper is not None and paper not in known:
        raise ValueError(f"paper must be one of {', '.join(known)}; got {paper!r}.")
    chosen = reported if paper is None else reported[reported["paper"] == paper]
    current = current_rows(trials)
    ours = _by_subject(current[~current["role"].isin(["tune", "timing"])])
    rows = []
    for row in chosen.to_dict("records"):
        entry = {str(name): each for name, each in row.items()}
        subject = (DATASETS.get(entry["dataset"]), ARCHITECTURES.get(entry["architecture"]), entry["method"])
        rows += [entry | _measured(entry, candidates, value) for candidates in ours.get(subject, [])] or [
            entry | {"num_seeds": 0, "verdict": NOT_RUN}
        ]
    table = pd.DataFrame(rows).reindex(columns=list(COMPARISON_COLUMNS))
    return with_notes(table, notes_of(current))


@cache
def reported_values() -> pd.DataFrame:
    """Every value that the papers report, with a note on its provenance; `is_sweep` marks the points of a sweep."""
    with files("analysis").joinpath("paper_results.csv").open() as file:
        table = pd.read_csv(file, keep_default_na=False, dtype=str)
    rows = ({str(key): str(each) for key, each in row.items()} for row in table.to_dict("records"))
    table["note"] = [provenance_note(row) for row in rows]
    table["reported"] = pd.to_numeric(table.pop("value"))
    table["reported_std"] = pd.to_numeric(table.pop("std"))
    table["is_sweep"] = table.duplicated(_GROUP, keep=False)
    return table


def _by_subject(rows: pd.DataFrame) -> dict[tuple[Any, ...], list[pd.DataFrame]]:
    """(data set, architecture, regularizer): the rows of each task about it, at the fullest scale that was run."""
    subjects: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    for keys, of_task in rows.groupby(["dataset", "architecture", "regularizer", "task"]):
        fullest = min(of_task["scale"], key=SCALES.index)
        subjects.setdefault(keys[:-1], []).append(of_task[of_task["scale"] == fullest])
    return subjects


def _measured(entry: dict[str, Any], rows: pd.DataFrame, value: Value) -> dict[str, Any]:
    """Our side of one reported value, and the verdict."""
    task, scale = str(rows["task"].iloc[0]), str(rows["scale"].iloc[0])
    result: dict[str, Any] = {"task": task, "scale": scale, "num_seeds": 0}
    if entry["is_sweep"]:
        rows = rows[_has_setting(rows, entry["setting"])]
        if rows.empty:
            return result | {"verdict": f"not comparable: setting {entry['setting']} not run"}
    if entry["metric"] == "time_per_100_epochs":
        return result | {"verdict": "not comparable: the paper names no hardware"}
    column = _column(entry["metric"], rows, value)
    if column is None:
        return result | {"verdict": f"not comparable: {entry['metric']} is not measured"}
    (trials,) = trials_by_cell(rows, column).values()
    cell = summarize_cell(trials, entry["method"], None)
    if not cell.by_seed:
        return result | {"verdict": f"not comparable: {cell.status}"}
    convert = _METRICS[entry["metric"]][1]
    values = np.array([convert(each) for each in cell.by_seed.values()])
    low, high = mean_interval(values)
    result |= {"ours": float(values.mean()), "interval_low": low, "interval_high": high, "num_seeds": len(values)}
    if scale != "paper":
        return result | {"verdict": f"not comparable: scale {scale}"}
    if len(values) < 2:
        return result | {"verdict": "not comparable: one seed has no spread"}
    return result | _verdict(values, entry["reported"])


def _verdict(values: np.ndarray[Any, np.dtype[np.float64]], reported: float) -> dict[str, Any]:
    low, high = next_value_interval(values)
    return {
        "difference": float(values.mean()) - reported,
        "expected_low": low,
        "expected_high": high,
        "verdict": "agrees" if low <= reported <= high else "differs",
    }


def _column(metric: str, rows: pd.DataFrame, value: Value) -> Any:
    """The column that holds our counterpart of a paper's metric, None where there is none."""
    ours, _ = _METRICS.get(metric, (None, None))
    if ours is None:
        return None
    if (rows["metric"].dropna() == ours).all():
        return value
    named = f"{METRIC_PREFIX}{ours}"
    return named if named in rows.columns and rows[named].notna().any() else None


def _has_setting(rows: pd.DataFrame, setting: str) -> pd.Series:
    """Which rows were trained with a setting such as "lambda=0.1;h=2000;m=10"; none where a symbol is not ours."""
    matches = pd.Series(data=True, index=rows.index)
    for part in setting.split(";"):
        symbol, _, number = part.partition("=")
        matches &= _equals(rows, symbol.strip(), number)
    return matches


def _equals(rows: pd.DataFrame, symbol: str, number: str) -> pd.Series:
    try:
        wanted = float(number)
    except ValueError:
        wanted = math.nan
    found = pd.Series(data=False, index=rows.index)
    for column, factor in _SYMBOLS.get(symbol, ()):
        if column in rows.columns:
            held = pd.to_numeric(rows[column], errors="coerce").astype(float) * factor
            found |= pd.Series(np.isclose(held, wanted), index=rows.index)
    return found
