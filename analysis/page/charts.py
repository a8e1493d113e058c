"""The data of the page's charts: tables and learning curves as plain lists, which `charts.js` draws.

A chart has one panel for each task or scale; on the page one of them is chosen. Numbers have five significant digits,
and those that are not finite are null.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.canvas import BASELINE, Styles
from analysis.figures.critical_difference import groups_of
from analysis.figures.learning_curves import SPLITS, limits_of
from analysis.figures.ranking import only_counted
from analysis.shown.drawing import Drawing
from analysis.tables.overall import Friedman
from analysis.tables.statistics import range_without_outliers, spans_decades

Chart = dict[str, Any]

MOST_LINES = 7  # shown at first, beside the baseline; the legend shows the others
MOST_POINTS = 100  # of a line
_DIGITS = 5


def chart_of(table: pd.DataFrame, drawing: Drawing | None, best_first: Iterable[str] = ()) -> Chart | None:
    """The chart of a table; None without a drawing, or if no row of the table can be drawn.

    Args:
        table: with the columns of the drawing.
        drawing: how it is drawn, or None.
        best_first: contestants, the best first: of many lines the first ones are shown at first.
    """
    rows = table if drawing is None else drawing.rows_of(table)
    if drawing is None or rows.empty:
        return None
    make = {"intervals": _intervals, "lines": _lines, "points": _points, "matrix": _matrix}[drawing.kind]
    panels = [{"name": _name(key), **make(group, drawing)} for key, group in rows.groupby(drawing.group, sort=False)]
    return {
        "kind": drawing.kind,
        "label": drawing.label,
        "across": drawing.across_label,
        "caption": drawing.caption,
        "step": drawing.is_step,
        "initial": _initial(rows, best_first),
        "panels": panels,
    }


def ranking_chart(ranking: pd.DataFrame, drawing: Drawing) -> Chart | None:
    """The chart of the tasks of a `ranking_table`, with the baseline's mean as a line and its interval as a band.

    Of many contestants those without a value are left out (`analysis.figures.ranking.only_counted`).
    """
    ranking = ranking[~only_counted(ranking)]
    chart = chart_of(ranking, drawing)
    if chart is None:
        return None
    for panel, (_, rows) in zip(chart["panels"], ranking.groupby(drawing.group, sort=False), strict=True):
        better = "higher" if bool(rows["higher_is_better"].iloc[0]) else "lower"
        panel["label"] = f"{str(rows['metric'].iloc[0]).replace('_', ' ')} ({better} is better)"
        panel["log"] = spans_decades(rows[["mean", "interval_low"]].min().min(), rows["mean"].max())
        panel["notes"] = [
            str(status).replace("_", " ") if missing else ""
            for status, missing in zip(rows["status"], rows["mean"].isna(), strict=True)
        ]
        base = rows[rows["regularizer"] == BASELINE]
        if len(base):
            panel["reference"], low, high = numbers(base[[drawing.value, drawing.low, drawing.high]].iloc[0])
            panel["band"] = [low, high]
    return chart


def curves_chart(means: Mapping[tuple[str, str], pd.DataFrame], best_first: Iterable[str]) -> Chart:
    """The chart of learning curves: a panel for each task and split, the test split first.

    Args:
        means: `curve_means` by task and scale.
        best_first: as in `chart_of`.
    """
    panels = []
    for (task, scale), points in means.items():
        log = spans_decades(points["mean"].min(), points["mean"].max())
        for split in [split for split in reversed(SPLITS) if split in set(points["split"])]:
            of_split = points[points["split"] == split]
            panels.append(
                {
                    "name": f"{task} ({scale}), {split}",
                    "task": [task, scale],
                    "label": str(points["metric"].iloc[0]).replace("_", " "),
                    "log": log,
                    "range": None if log else numbers(limits_of(of_split)),
                    "series": [_curve(str(name), line) for name, line in of_split.groupby("regularizer")],
                }
            )
    names = {str(name) for points in means.values() for name in points["regularizer"]}
    initial = _first_of([name for name in best_first if name in names] or sorted(names))
    return {"kind": "lines", "label": "", "across": "epoch", "step": False, "initial": initial, "panels": panels}


def critical_chart(results: Mapping[str, Friedman]) -> Chart:
    """The critical-difference diagram of each scale that was tested."""
    panels = [
        {
            "name": scale,
            "rows": {"name": [str(name) for name in each.mean_ranks.index], "value": numbers(each.mean_ranks)},
            "groups": groups_of(each),
            "difference": numbers([each.critical_difference])[0],
            "label": f"mean rank over {each.num_tasks} tasks (1 is best)",
        }
        for scale, each in results.items()
        if each.critical_difference > 0
    ]
    return {"kind": "critical", "label": "", "across": "", "step": False, "initial": [], "panels": panels}


def looks_of(styles: Styles) -> Mapping[str, Mapping[str, str]]:
    """Colour, dashes and symbol of each contestant, as the page's charts take them."""
    return {
        name: {"colour": look.colour, "dash": _dash(look.dash), "symbol": _SYMBOLS[look.marker]}
        for name, look in styles.items()
    }


_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "wye", "P": "cross", "X": "times", "*": "star",
}  # fmt: skip


def _dash(dash: Any) -> str:
    return "" if dash == "-" else " ".join(f"{2 * each:g}" for each in dash[1])


def numbers(values: Any) -> list[float | None]:
    """Numbers as a list, rounded to five significant digits; None if not finite.

    >>> numbers([0.123456789, 1234567.0, float("inf")])
    [0.12346, 1234567.0, None]
    """
    exact = np.asarray(values, dtype=float)
    finite = np.isfinite(exact) & (exact != 0)
    places = np.zeros_like(exact)
    places[finite] = np.maximum(_DIGITS - 1 - np.floor(np.log10(np.abs(exact[finite]))), 0)
    scales = 10.0**places
    with np.errstate(invalid="ignore"):
        rounded = (np.round(exact * scales) / scales).astype(object)
    rounded[~np.isfinite(exact)] = None
    return list(rounded)


def _name(key: Hashable | tuple[Hashable, ...]) -> str:
    """The name of a panel: a scale, or a task and its scale."""
    scale, *task = key if isinstance(key, tuple) else (key,)
    return f"{task[0]} ({scale})" if task else str(scale)


def _columns(rows: pd.DataFrame, **columns: str) -> dict[str, list[Any]]:
    named = {name: numbers(rows[column]) for name, column in columns.items() if column}
    return {"name": [str(name) for name in rows["regularizer"]], **named}


def _intervals(rows: pd.DataFrame, drawing: Drawing) -> dict[str, Any]:
    columns = _columns(rows, value=drawing.value, low=drawing.low, high=drawing.high)
    ends = [rows[name or drawing.value].astype(float) for name in (drawing.value, drawing.low, drawing.high)]
    reference = drawing.reference
    low, high = numbers(range_without_outliers(*(each.to_numpy() for each in ends)))
    if low is not None and high is not None and reference is not None:
        low, high = min(low, reference), max(high, reference)
    return {"rows": columns, "reference": reference, "range": [low, high] if low is not None else None}


def _points(rows: pd.DataFrame, drawing: Drawing) -> dict[str, Any]:
    columns = _columns(rows, value=drawing.value, low=drawing.low, high=drawing.high, across=drawing.across)
    front = [bool(each) for each in rows[drawing.front]] if drawing.front else []
    across = rows[drawing.across].astype(float)
    log = spans_decades(float(across.min()), float(across.max()), 1.0)
    return {
        "rows": columns | {"front": front},
        "reference": drawing.reference,
        "logAcross": log,
        "range": _range_of(rows, drawing),
    }


def _range_of(rows: pd.DataFrame, drawing: Drawing) -> list[float | None]:
    """The ends of the upright axis: values that are not outlying, and their intervals no further than these spread."""
    value = rows[drawing.value].to_numpy(dtype=float)
    low, high = range_without_outliers(value, value, value)
    spread = (high - low) or 0.05 * abs(high) or 1.0
    if drawing.low and drawing.high:
        low = max(np.nanmin([low, rows[drawing.low].astype(float).min()]), low - spread)
        high = min(np.nanmax([high, rows[drawing.high].astype(float).max()]), high + spread)
    return numbers([low - 0.15 * spread, high + 0.15 * spread])


def _matrix(rows: pd.DataFrame, drawing: Drawing) -> dict[str, Any]:
    means = rows.groupby("regularizer")[drawing.value].mean().sort_values(ascending=False, kind="stable")
    return {
        "order": [str(name) for name in means.index],
        "rows": _columns(rows, value=drawing.value) | {"across": [str(name) for name in rows[drawing.across]]},
    }


def _lines(rows: pd.DataFrame, drawing: Drawing) -> dict[str, Any]:
    series = []
    for name, line in rows.groupby("regularizer", sort=True):
        across, value = line[drawing.across].to_numpy(dtype=float), line[drawing.value].to_numpy(dtype=float)
        kept = _turns(value) if drawing.is_step else _some(len(value))
        series.append({"name": str(name), "x": numbers(across[kept]), "y": numbers(value[kept])})
    return {"series": series}


def _curve(name: str, line: pd.DataFrame) -> dict[str, Any]:
    kept = _some(len(line))
    mean, std = line["mean"].to_numpy(dtype=float)[kept], line["std"].to_numpy(dtype=float)[kept]
    series = {"name": name, "x": line["epoch"].to_numpy()[kept].tolist(), "y": numbers(mean)}
    return series | {"band": numbers(std)} if np.isfinite(std).any() else series


def _turns(values: np.ndarray) -> np.ndarray:
    """Indices of the points that draw a step function: the first, the last, and each one at which the value changes."""
    kept = np.ones(len(values), dtype=bool)
    kept[1:-1] = values[1:-1] != values[:-2]
    return np.flatnonzero(kept)


def _some(number: int) -> np.ndarray:
    """Indices of the drawn points of a line: all, or `MOST_POINTS` at equal distances that include both ends."""
    return np.unique(np.linspace(0, number - 1, min(number, MOST_POINTS)).round().astype(int))


def _initial(rows: pd.DataFrame, best_first: Iterable[str]) -> list[str]:
    names = set(map(str, rows["regularizer"]))
    return _first_of([name for name in best_first if name in names] or sorted(names))


def _first_of(names: list[str]) -> list[str]:
    chosen = [name for name in names if name != BASELINE][:MOST_LINES]
    return [*chosen, BASELINE] if BASELINE in names else chosen
