"""Learning curves: the ranked metric of a task over epochs, one line per regularizer."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import (
    BASELINE,
    OTHERS_COLOUR,
    Styles,
    is_crowded,
    legend_columns,
    new_figure,
    styles_by_regularizer,
)
from analysis.rows.bounds import worst_value
from analysis.rows.current import current_rows
from analysis.tables.statistics import spans_decades
from harness.records import SUCCESSES

if TYPE_CHECKING:
    import plotly.graph_objects as go

SPLITS = ("train", "validation", "test")
_MEAN_COLUMNS = ("regularizer", "split", "metric", "higher_is_better", "epoch", "mean", "std", "num_seeds")
_NUM_BEST = 8  # that are named, beside the baseline, where there are too many contestants for a legend
_WARM_UP_FRACTION = 0.25  # of the epochs; with their values in range, the differences at the end would be too small


def plot_learning_curves(
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    task: str,
    scale: str | None = None,
    looks: Styles | None = None,
    splits: Sequence[str] = SPLITS,
) -> Figure:
    """Plot learning curves, one panel per split: the mean over seeds, and a band of ± one standard deviation.

    Confirm trials are drawn if there are any, else default ones. A linear axis is limited to the range of the values
    after the first quarter of the epochs. Failed seeds have the worst value of the metric from where they ended.
    Of more than 15 contestants the baseline and the best at the end are named; the others are thin grey lines without a
    band.

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
        task: its name.
        scale: needed only if the task was run at several scales.
        looks: colours and markers by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.
        splits: which of "train", "validation" and "test" to draw, as far as they were recorded.

    Raises:
        ValueError: if the task has no curves for these splits, or several scales and none is named.
    """
    points = curve_means(trials, curves, task, scale)
    return plot_curve_means(points, task, looks or styles_by_regularizer(trials["regularizer"]), splits)


def plot_curve_means(points: pd.DataFrame, task: str, looks: Styles, splits: Sequence[str] = SPLITS) -> Figure:
    """`plot_learning_curves` of the `curve_means` of a task."""
    shown = [split for split in splits if split in set(points["split"])]
    if not shown:
        raise ValueError(f"There are no learning curves of {task!r} for the splits {', '.join(splits)}.")
    figure, axes = new_figure(len(shown), height=3.0)
    log = spans_decades(points["mean"].min(), points["mean"].max())
    named = _named(points[points["split"] == shown[-1]])
    for axis, split in zip(axes, shown, strict=True):
        _draw(axis, points[points["split"] == split], looks, named)
        axis.set_title(f"{task}: {split}", loc="left")
        axis.set_ylabel(str(points["metric"].iloc[0]).replace("_", " "))
        if log:
            axis.set_yscale("log")
        else:
            axis.set_ylim(*limits_of(points[points["split"] == split]))
    axes[-1].set_xlabel("epoch")
    # The legend is below the axes, because it may have many entries and would cover the lines.
    handles, labels = axes[0].get_legend_handles_labels()
    columns = legend_columns(labels)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=10)
    return figure


def _named(points: pd.DataFrame) -> set[str]:
    """The contestants that the legend names."""
    names = set(points["regularizer"])
    if not is_crowded(names):
        return names
    ends = points.loc[points.groupby("regularizer")["epoch"].idxmax()]
    best = ends.sort_values("mean", ascending=not ends["higher_is_better"].iloc[0])["regularizer"].head(_NUM_BEST)
    return {*best, BASELINE} & names


def interactive_learning_curves(
    trials: pd.DataFrame, curves: pd.DataFrame, task: str, scale: str | None = None, looks: Styles | None = None
) -> go.Figure:
    """`plot_learning_curves` as a plotly figure whose legend shows and hides lines.

    It has one panel: the test split, or the last of "train", "validation" and "test" that was recorded. Names are
    escaped, because plotly interprets text as HTML.
    """
    import plotly.graph_objects as go

    points, looks = curve_means(trials, curves, task, scale), looks or styles_by_regularizer(trials["regularizer"])
    figure = go.Figure()
    split = next((name for name in reversed(SPLITS) if name in set(points["split"])), SPLITS[0])
    for name, line in points[points["split"] == split].groupby("regularizer"):
        style = {"color": looks[str(name)].colour}
        figure.add_scatter(
            x=line["epoch"].tolist(), y=line["mean"].round(6).tolist(), name=escape(str(name)), line=style, mode="lines"
        )
    figure.update_layout(
        title=escape(f"{task}: {split}"),
        height=460,
        template="plotly_white",
        margin={"l": 50, "r": 10, "t": 50, "b": 40},
        legend={"orientation": "h", "y": -0.15},
        xaxis_title="epoch",
    )
    if spans_decades(points["mean"].min(), points["mean"].max()):
        figure.update_yaxes(type="log")
    else:
        figure.update_yaxes(range=limits_of(points[points["split"] == split]))
    return figure


def curve_means(trials: pd.DataFrame, curves: pd.DataFrame, task: str, scale: str | None = None) -> pd.DataFrame:
    """The ranked metric of one task over epochs, as means over seeds.

    Columns `regularizer`, `split`, `metric`, `higher_is_better`, `epoch`, `mean`, `std` and `num_seeds`. All means are
    over the same seeds: a seed that stopped early keeps its last value, and a failed seed has the worst value of the
    metric from where it ended. For an unbounded metric the mean is then NaN.
    """
    rows = current_rows(trials)
    rows = rows[(rows["task"] == task) & rows["role"].isin(["confirm", "default"])]
    rows = rows if scale is None else rows[rows["scale"] == scale]
    scales = sorted(set(rows["scale"]))
    if len(scales) > 1:
        raise ValueError(f"{task!r} was run at several scales ({', '.join(scales)}); name one.")
    confirmed = set(rows.loc[rows["role"] == "confirm", "regularizer"])
    rows = rows[(rows["role"] == "confirm") | ~rows["regularizer"].isin(confirmed)]
    rows = rows[rows["status"] != "skipped"]
    metrics = rows[["metric", "higher_is_better"]].dropna()
    if metrics.empty:
        return pd.DataFrame(columns=list(_MEAN_COLUMNS))
    metric, higher = str(metrics["metric"].iloc[0]), bool(metrics["higher_is_better"].iloc[0])
    worst = worst_value(metric, higher)
    points = curves[curves["trial_id"].isin(rows["trial_id"]) & (curves["metric"] == metric) & curves["value"].notna()]
    points = points.merge(rows[["trial_id", "regularizer"]], on="trial_id")
    failed = set(rows.loc[~rows["status"].isin(SUCCESSES), "trial_id"])
    of_whom = {str(name): list(group) for name, group in rows.groupby("regularizer")["trial_id"]}
    tables = [
        _means(group, of_whom[str(name)], failed, worst)
        | {"regularizer": str(name), "split": str(split), "metric": metric, "higher_is_better": higher}
        for (name, split), group in points.groupby(["regularizer", "split"])
    ]
    if not tables:
        return pd.DataFrame(columns=list(_MEAN_COLUMNS))
    lengths = [len(each["epoch"]) for each in tables]
    columns = {
        name: np.concatenate([each[name] for each in tables])
        if name in ("epoch", "mean", "std", "num_seeds")
        else np.repeat([each[name] for each in tables], lengths)
        for name in _MEAN_COLUMNS
    }
    return pd.DataFrame(columns).astype({"epoch": points["epoch"].dtype})


def _means(points: pd.DataFrame, trials: list[str], failed: set[str], worst: float) -> dict[str, Any]:
    """Arrays `epoch`, `mean`, `std` and `num_seeds` over these trials, at each epoch at which a trial has a value.

    It uses NumPy, because a pandas pivot table for each line would take most of the time of a report.
    """
    there = set(points["trial_id"])
    trials = [trial for trial in trials if trial in there or trial in failed]
    lost = np.array([trial in failed for trial in trials])
    columns = pd.Index(trials).get_indexer(pd.Index(points["trial_id"]))
    epochs, rows = np.unique(points["epoch"].to_numpy(dtype=np.int64), return_inverse=True)
    values = np.full((len(epochs), len(trials)), math.nan)
    values[rows, columns] = points["value"].to_numpy(dtype=float)
    last = np.full(len(trials), -1)  # place of the last value of each trial
    np.maximum.at(last, columns, rows)
    at_end = np.where(lost, worst, values[last, np.arange(len(trials))])
    filled = np.where(np.arange(len(epochs))[:, None] > last, at_end, values)
    filled[np.isinf(filled)] = math.nan
    table = pd.DataFrame(filled)
    mean = table.mean(axis="columns", skipna=not lost.any())
    spread, num_seeds = table.std(axis="columns"), table.notna().sum(axis="columns")
    return {"epoch": epochs, "mean": mean, "std": spread, "num_seeds": num_seeds}


def limits_of(points: pd.DataFrame) -> tuple[float, float]:
    """The range of a linear axis: that of the means after the first quarter of the epochs, with a margin."""
    late = points[points["epoch"] >= _WARM_UP_FRACTION * points["epoch"].max()]
    low, high = float(late["mean"].min()), float(late["mean"].max())
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _draw(axis: Axes, points: pd.DataFrame, looks: Styles, named: Collection[str]) -> None:
    for name, line in points.groupby("regularizer"):
        if name not in named:
            axis.plot(line["epoch"], line["mean"], color=OTHERS_COLOUR, linewidth=0.8, zorder=1)
            continue
        look = looks[str(name)]
        epochs, mean, std = (line[column].to_numpy(dtype=float) for column in ("epoch", "mean", "std"))
        marker = look.marker if len(epochs) < 3 else None
        axis.plot(epochs, mean, color=look.colour, linestyle=look.dash, marker=marker, label=str(name), linewidth=1.8)
        if not is_crowded(points["regularizer"]):
            axis.fill_between(epochs, mean - std, mean + std, color=look.colour, alpha=0.12, linewidth=0)
