"""Measured beside reported: each number of the papers with ours, and whether the two may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.claims_table import CLAIMED_PAPERS
from analysis.papers.entries import standing_for
from analysis.papers.reported import TIME_METRIC, reported_values
from analysis.papers.source import Counterpart
from analysis.papers.sources import SOURCES
from analysis.papers.tasks import hold_out_note
from analysis.rows.cells import Value, summarize_cell, trials_by_cell
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.symbols import has_setting
from analysis.tables.statistics import mean_interval, next_value_interval
from analysis.tables.timing import timing_table
from harness.records import METRIC_PREFIX, SCALES

COMPARISON_COLUMNS = (
    "paper", "experiment", "dataset", "architecture", "method", "setting", "metric", "unit", "reported", "reported_std",
    "ours", "interval_low", "interval_high", "num_seeds", "difference", "expected_low", "expected_high",
    "reported_ratio", "our_ratio", "verdict", "task", "scale", "role", "hardware_key", "note",
)  # fmt: skip

WIDEST = 2.0  # % points to each side; the methods of a column lie about so far apart
_PERCENT = (0.0, 100.0)

# The paper's metric: ours, and how ours reads in the paper's unit.
_METRICS: dict[str, tuple[str, Callable[[float], float]]] = {
    "test_error": ("accuracy", lambda accuracy: 100 * (1 - accuracy)),
    "test_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top1_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top5_accuracy": ("top5_accuracy", lambda accuracy: 100 * accuracy),
}


def compare_with_papers(trials: pd.DataFrame, paper: str | None = None, value: Value = "test_value") -> pd.DataFrame:
    """One row per reported value; columns `COMPARISON_COLUMNS`. Times have one row for each machine of ours.

    A value is compared with the task that repeats its paper's protocol (with each, where it is in doubt which that was,
    as for LocalDrop's augmentation), at the fullest scale that was run. A value
    with a setting is compared with the default trials of that setting; without such trials, the points of a sweep with
    none, and other values, as those without a setting, with the tuned winner, or else with the default trials of the
    setting that did best on the validation split. `role` says which trials these were. Where a paper's released code
    has other settings than its text, and trials of those ran, they make a row of their own.

    `ours` is in the paper's unit, with Student's 95 % interval of its mean. The verdict is `agrees` when the reported
    value lies where one further run of ours is expected with 95 % (`expected_low` to `expected_high`: the mean and t
    times s sqrt(1 + 1/n); where the paper reports a standard deviation, that is the further run's), else `differs`;
    `too few seeds: <why>` where that range is wider than 2 points to each side, so that agreeing would say nothing; or
    `not comparable: <why>`, as where a seed failed. Values are compared at `paper` scale only. Times
    are never compared, since the papers name no hardware; `reported_ratio` and `our_ratio` are times over those of the
    unregularized network, reported and measured. `note` says, in sentences, what is doubtful about the reported value,
    and at `paper` scale which share of the training images ours did without.
    """
    reported = reported_values()
    known = sorted({*reported["paper"], *CLAIMED_PAPERS})  # some papers report no numbers: nothing is compared then
    if paper is not None and paper not in known:
        raise ValueError(f"paper must be one of {', '.join(known)}; got {paper!r}.")
    chosen = reported if paper is None else reported[reported["paper"] == paper]
    current = current_rows(trials)
    ours = _by_cell(current[current["role"].isin(["default", "confirm"])])
    timings = {key: rows for key, rows in timing_table(current).groupby(["task", "regularizer"])}
    rows = []
    for row in chosen.to_dict("records"):
        entry = {str(name): each for name, each in row.items()}
        measured = []
        other = entry["counterpart"]
        for cell in [(task, other.regularizer if other else entry["method"]) for task in entry["tasks"]]:
            if entry["metric"] == TIME_METRIC:
                measured += _timed(timings[cell]) if cell in timings else []
            elif cell in ours:
                measured += [_measured(each, ours[cell], value) for each in (entry, *_as_released(entry, ours[cell]))]
        absent = {"num_seeds": 0, "verdict": NOT_RUN, "task": None}
        rows += [entry | each for each in measured or [absent]]
    table = pd.DataFrame(rows).reindex(columns=list(COMPARISON_COLUMNS))
    return with_notes(table, notes_of(current))


def _by_cell(rows: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """(task, regularizer): its rows at the fullest scale that was run."""
    cells = {}
    for cell, of_cell in rows.groupby(["task", "regularizer"]):
        fullest = min(of_cell["scale"], key=SCALES.index)
        cells[cell] = of_cell[of_cell["scale"] == fullest]
    return cells


def _timed(timings: pd.DataFrame) -> list[dict[str, Any]]:
    """Our ratio on each machine, at the fullest scale."""
    fullest = min(timings["scale"], key=SCALES.index)
    return [
        {
            "task": timing["task"],
            "our_ratio": timing["ratio"],
            "num_seeds": timing["n"],
            "scale": fullest,
            "role": "timing",
            "hardware_key": timing["hardware_key"],
            "verdict": "not comparable: the paper names no hardware",
        }
        for timing in timings[timings["scale"] == fullest].to_dict("records")
    ]


def _as_released(entry: dict[str, Any], cell: pd.DataFrame) -> list[dict[str, Any]]:
    """The same reported value with the settings of the released code, where these were run."""
    (source,) = (source for source in SOURCES if source.paper == entry["paper"])
    setting = source.released_settings.get((entry["experiment"], entry["method"]))
    if setting is None or not has_setting(cell, setting).any():
        return []
    return [entry | {"setting": setting, "is_sweep": True}]


def _measured(entry: dict[str, Any], cell: pd.DataFrame, value: Value) -> dict[str, Any]:
    """Our side of one reported value, and the verdict."""
    scale = str(cell["scale"].iloc[0])
    task, setting = str(cell["task"].iloc[0]), entry["setting"]
    result: dict[str, Any] = {"task": task, "setting": setting, "scale": scale, "num_seeds": 0}
    other: Counterpart | None = entry["counterpart"]
    ours_is = setting if other is None else other.setting
    rows = standing_for(cell, ours_is, exact=entry["is_sweep"] and (other is None or bool(ours_is)))
    if rows.empty:
        return result | {"verdict": f"not comparable: setting {entry['setting']} not run"}
    metric, convert = _ours(entry["metric"], other)
    column = _column(metric, rows, value)
    if column is None:
        return result | {"verdict": f"not comparable: {entry['metric']} is not measured"}
    (trials,) = trials_by_cell(rows, column).values()
    summary = summarize_cell(trials, entry["method"], None, worst=float("nan"))  # no seed is filled in: see the verdict
    result["role"] = summary.role
    if not summary.by_seed:
        return result | {"verdict": f"not comparable: {summary.status}"}
    values = np.array([convert(each) for each in summary.by_seed.values()])
    low, high = mean_interval(values, bounds=_PERCENT)
    result |= {"ours": float(values.mean()), "interval_low": low, "interval_high": high, "num_seeds": len(values)}
    if other is not None and task in other.stand_ins:
        return result | {"verdict": f"not comparable: {other.stand_ins[task]}"}
    if scale == "paper":
        held_out = hold_out_note(entry["paper"], entry["architecture"], rows["validation_fraction"])
        result["note"] = " ".join(filter(None, [entry["note"], held_out]))
    if scale != "paper":
        return result | {"verdict": f"not comparable: scale {scale}"}
    if summary.num_failed:
        return result | {
            "verdict": f"not comparable: {summary.num_failed} trial(s) failed, and the rest are the easier"
        }
    if len(values) < 2:
        return result | {"verdict": "not comparable: one seed has no spread"}
    return result | _verdict(values, entry["reported"], entry["reported_std"])


def _verdict(
    values: np.ndarray[Any, np.dtype[np.float64]], reported: float, reported_std: float = math.nan
) -> dict[str, Any]:
    """Whether the reported value lies where ours expect it, and whether they expect it anywhere in particular."""
    low, high = next_value_interval(values, other_std=reported_std)
    if not low <= reported <= high:
        verdict = "differs"
    elif (high - low) / 2 > WIDEST:
        verdict = f"too few seeds: any value within {(high - low) / 2:.1f} points of ours would agree"
    else:
        verdict = "agrees"
    return {
        "difference": float(values.mean()) - reported,
        "expected_low": low,
        "expected_high": high,
        "verdict": verdict,
    }


def _ours(metric: str, other: Counterpart | None) -> tuple[str | None, Callable[[float], float]]:
    """Our metric for one of a paper's, None where there is none, and how it reads in the paper's unit."""
    return _METRICS.get(metric, (None, float)) if other is None else (other.metric, other.convert)


def _column(ours: str | None, rows: pd.DataFrame, value: Value) -> Any:
    """The column that holds a metric of ours, None where there is none."""
    if ours is None:
        return None
    if (rows["metric"].dropna() == ours).all():
        return value
    named = f"{METRIC_PREFIX}{ours}"
    return named if named in rows.columns and rows[named].notna().any() else None
