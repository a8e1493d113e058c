"""Comparison of the values that the papers report with ours, and whether the two are comparable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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
from analysis.rows.current import current_rows, current_rows_remembered
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.symbols import has_setting
from analysis.tables.statistics import UNBOUNDED, mean_interval, next_value_interval
from analysis.tables.timing import timing_table
from harness.records import METRIC_PREFIX, SCALES

COMPARISON_COLUMNS = (
    "paper", "experiment", "dataset", "architecture", "method", "setting", "metric", "unit", "reported", "reported_std",
    "ours", "interval_low", "interval_high", "num_seeds", "difference", "expected_low", "expected_high",
    "reported_ratio", "our_ratio", "verdict", "task", "scale", "role", "hardware_key", "note",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """How values in a unit are compared.

    Attributes:
        bounds: of all values.
        widest: the half width of the widest prediction interval that tells values apart, about the range of the
            methods in a column of the papers' tables.
        words: a half width in words.
    """

    bounds: tuple[float, float]
    widest: float
    words: str


_UNITS = {
    "%": _Unit(bounds=(0.0, 100.0), widest=2.0, words="{:.1f} points"),
    "fraction": _Unit(bounds=(0.0, 1.0), widest=0.1, words="{:.2f}"),
    "rating": _Unit(bounds=UNBOUNDED, widest=0.03, words="{:.3f}"),
}

# The paper's metric: our metric, and the conversion of its values to the paper's unit.
_METRICS: dict[str, tuple[str, Callable[[float], float]]] = {
    "test_error": ("accuracy", lambda accuracy: 100 * (1 - accuracy)),
    "test_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top1_accuracy": ("accuracy", lambda accuracy: 100 * accuracy),
    "top5_accuracy": ("top5_accuracy", lambda accuracy: 100 * accuracy),
}


@current_rows_remembered()
def compare_with_papers(trials: pd.DataFrame, paper: str | None = None, value: Value = "test_value") -> pd.DataFrame:
    """Compare the values that the papers report with ours: one row per reported value.

    A reported value is compared with the trials of the task that repeats its protocol, at the scale closest to the
    paper's that was run. There are several rows for one value if several tasks may repeat it (LocalDrop with and
    without augmentation), if trials ran with the settings of the released code where these differ from the text, and
    for times one row per machine.

    A value with a hyperparameter setting is compared with the default trials of this setting. If there are none, a
    point of a sweep has no counterpart; any other value is compared with the tuned winner, or else with the default
    trials of the setting that is best in validation.

    Only trials of scale `paper` get one of the first three verdicts. Times are never compared, since the papers do not
    name their hardware; see the ratios instead.

    The columns:

    - `paper`, `experiment`, `dataset`, `architecture`, `method`, `setting`, `metric`, `unit`: which value
    - `reported`, `reported_std`: value and standard deviation in the paper, NaN if it gives none
    - `ours`, `interval_low`, `interval_high`: our mean in the paper's unit, with its 95 % t confidence interval
    - `num_seeds`: of our mean
    - `difference`: ours less the reported value
    - `expected_low`, `expected_high`: 95 % prediction interval of one further run, `mean ± t s sqrt(1 + 1/n)`; if the
      paper reports a standard deviation, the further run has that one
    - `reported_ratio`, `our_ratio`: times divided by those of the unregularized network
    - `verdict`: "agrees" if a value that is rounded to the reported one is in the prediction interval, else "differs";
      "too few seeds: <why>" if it is, but the interval is wider to each side than 2 points (0.1 for fractions, 0.03 for
      errors of ratings); "not comparable: <why>", for example at other scales or if a seed failed
    - `task`, `scale`, `role`: of our trials
    - `hardware_key`: of our timing trials
    - `note`: what is doubtful about the reported value, and at scale `paper` which share of the training images our
      trials held out

    Args:
        trials: from `load_trials`.
        paper: only values of this paper.
        value: the column with our values.

    Raises:
        ValueError: if `paper` is unknown.
    """
    reported = reported_values()
    known = sorted({*reported["paper"], *CLAIMED_PAPERS})  # papers without reported numbers are allowed: no rows
    if paper is not None and paper not in known:
        raise ValueError(f"paper must be one of {', '.join(known)}; got {paper!r}.")
    chosen = reported if paper is None else reported[reported["paper"] == paper]
    current = current_rows(trials)
    tasks = {task for of_value in chosen["tasks"] for task in of_value}
    ours = _by_cell(current[current["role"].isin(["default", "confirm"]) & current["task"].isin(tasks)])
    timing = timing_table(current)
    timings = {key: rows for key, rows in timing[timing["task"].isin(tasks)].groupby(["task", "regularizer"])}
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
    """The rows of each (task, regularizer) at the scale closest to the paper's that was run."""
    cells = {}
    for cell, of_cell in rows.groupby(["task", "regularizer"]):
        fullest = min(of_cell["scale"], key=SCALES.index)
        cells[cell] = of_cell[of_cell["scale"] == fullest]
    return cells


def _timed(timings: pd.DataFrame) -> list[dict[str, Any]]:
    """Our ratio on each machine, at the scale closest to the paper's."""
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
    """The same reported value with the settings of the released code, if trials with these settings ran."""
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
        return result | {"verdict": f"not comparable: setting {ours_is} not run"}
    metric, convert = _ours(entry["metric"], other)
    column = _column(metric, rows, value)
    if column is None:
        return result | {"verdict": f"not comparable: {entry['metric']} is not measured"}
    (trials,) = trials_by_cell(rows, column).values()
    summary = summarize_cell(trials, entry["method"], None, worst=math.nan)  # with a failed seed nothing is compared
    result["role"] = summary.role
    if not summary.by_seed:
        return result | {"verdict": f"not comparable: {summary.status}"}
    values = np.array([convert(each) for each in summary.by_seed.values()])
    unit = _UNITS[entry["unit"]]
    low, high = mean_interval(values, bounds=unit.bounds)
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
            "verdict": f"not comparable: {summary.num_failed} trial(s) failed, so the mean is over the easier seeds"
        }
    if len(values) < 2:
        return result | {"verdict": "not comparable: one seed has no spread"}
    return result | _verdict(values, entry, unit)


def _verdict(values: np.ndarray[Any, np.dtype[np.float64]], entry: dict[str, Any], unit: _Unit) -> dict[str, Any]:
    """Whether the reported value is in the prediction interval of ours, and whether the interval is narrow enough.

    The value in the paper is rounded: all values that are rounded to it count as the reported one.
    """
    reported, rounding = entry["reported"], entry["reported_rounding"]
    low, high = next_value_interval(values, other_std=entry["reported_std"])
    half = (high - low) / 2
    if not low - rounding <= reported <= high + rounding:
        verdict = "differs"
    elif half > unit.widest:
        verdict = f"too few seeds: any value within {unit.words.format(half)} of ours would agree"
    else:
        verdict = "agrees"
    return {
        "difference": float(values.mean()) - reported,
        "expected_low": low,
        "expected_high": high,
        "verdict": verdict,
    }


def _ours(metric: str, other: Counterpart | None) -> tuple[str | None, Callable[[float], float]]:
    """Our metric for a metric of a paper (None if there is none), and the conversion to the paper's unit."""
    return _METRICS.get(metric, (None, float)) if other is None else (other.metric, other.convert)


def _column(ours: str | None, rows: pd.DataFrame, value: Value) -> Any:
    """The column with one of our metrics, None if there is none."""
    if ours is None:
        return None
    if (rows["metric"].dropna() == ours).all():
        return value
    named = f"{METRIC_PREFIX}{ours}"
    return named if named in rows.columns and rows[named].notna().any() else None
