"""Figures of what training costs: epochs to a target, and scores against the time of a training."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import (
    OTHERS_COLOUR,
    Styles,
    is_crowded,
    legend_columns,
    name_rows,
    new_figure,
    styles_by_regularizer,
    width_for,
)
from analysis.tables.statistics import range_without_outliers, spans_decades

_ROW_HEIGHT = 0.34  # inches per contestant
_FRAME_HEIGHT = 1.4  # inches for title and axis
_OTHERS = "not on the front"


def plot_time_to_target(table: pd.DataFrame, looks: Styles | None = None) -> Figure:
    """Plot a `time_to_target`, one panel per task and scale: epochs to the target, the fastest on top.

    A point is the median over the trials, a line goes from the first to the last trial that reaches the target. An
    arrow to the right stands for trials that never reach it; beside it is the number that do. An open arrow without a
    point says that half of the trials or more never reach it.

    Args:
        table: from `time_to_target`.
        looks: colours and markers by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.

    Raises:
        ValueError: if the table is empty.
    """
    panels = list(table.groupby(["scale", "task"], sort=False))
    if not panels:
        raise ValueError("There is nothing to draw: time_to_target is empty, since no task has curves and a target.")
    looks = looks or styles_by_regularizer(table["regularizer"])
    height = _FRAME_HEIGHT + _ROW_HEIGHT * max(len(rows) for _, rows in panels)
    width = width_for(table["regularizer"])
    figure, axes = new_figure(len(panels), width=width, height=height, num_columns=2 if len(panels) > 1 else 1)
    for axis, ((scale, task), rows) in zip(axes, panels, strict=True):
        _draw_times(axis, rows, looks)
        direction = "at least" if rows["higher_is_better"].iloc[0] else "at most"
        metric = str(rows["metric"].iloc[0]).replace("_", " ")
        axis.set_title(
            f"{task} ({scale} scale)\nvalidation {metric} of {direction} {rows['target'].iloc[0]:.4g}", loc="left"
        )
    return figure


def plot_score_against_cost(table: pd.DataFrame, looks: Styles | None = None) -> Figure:
    """Plot a `score_against_cost`, one panel per task and scale: scores over costs, with the Pareto front as steps.

    Vertical lines are the intervals of the means, as far as they are in the range of the means; outlying means are left
    out (`analysis.tables.statistics.range_without_outliers`). Contestants on the front are named at their points, and
    all in the legend. Of more than 15 contestants the legend names those on a front; the others are grey dots.

    Args:
        table: from `score_against_cost`.
        looks: colours and markers by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.

    Raises:
        ValueError: if no contestant has both a score and a cost.
    """
    known = table[table["cost"].notna()]
    panels = list(known.groupby(["scale", "task"], sort=False))
    if not panels:
        raise ValueError("There is nothing to draw: no contestant has a score and a cost relative to the baseline.")
    looks = looks or styles_by_regularizer(table["regularizer"])
    are_few = not is_crowded(known["regularizer"])
    named = set(known.loc[known["is_on_front"].astype(bool) | are_few, "regularizer"])
    columns = legend_columns([*named, _OTHERS])
    figure, axes = new_figure(
        len(panels), height=4.0 + 0.25 * math.ceil((len(named) + 1) / columns), num_columns=2 if len(panels) > 1 else 1
    )
    for axis, ((scale, task), rows) in zip(axes, panels, strict=True):
        _draw_front(axis, rows, looks, named, are_named_at_points=are_few)
        axis.set_title(f"{task} ({scale} scale)", loc="left")
    of_name = {
        str(handle.get_label()): handle for axis in axes for handle in axis.get_legend_handles_labels()[0]
    }  # each contestant once, although it may be on several panels
    names = sorted(of_name, key=lambda name: (name == _OTHERS, name))
    figure.legend(
        [of_name[name] for name in names], names, loc="outside lower center", ncols=columns, frameon=False, fontsize=10
    )
    return figure


def _draw_times(axis: Axes, rows: pd.DataFrame, looks: Styles) -> None:
    known = rows[["epochs_planned", "epochs_low", "epochs", "epochs_high"]].to_numpy(dtype=float)
    end = float(np.nanmax(known, initial=1.0))  # rows may lack the planned epochs
    for place, row in enumerate(rows.to_dict("records")):
        look, low = looks[row["regularizer"]], row["epochs_low"]
        all_reach = row["num_reached"] == row["num_trials"]
        if row["num_reached"]:
            axis.hlines(place, low, row["epochs_high"] if all_reach else 1.05 * end, color=look.colour, linewidth=2.2)
            axis.plot(row["epochs"], place, marker=look.marker, color=look.colour, markersize=7)
        if not all_reach:
            axis.plot(1.05 * end, place, marker=">", markeredgecolor=look.colour, markerfacecolor="white", markersize=8)
            axis.text(1.09 * end, place, f"{row['num_reached']} of {row['num_trials']}", va="center", fontsize=10)
    axis.set_xlim(0, 1.3 * end)
    axis.set_xlabel("epochs")
    name_rows(axis, [str(name) for name in rows["regularizer"]])
    axis.grid(visible=False, axis="y")


def _draw_front(
    axis: Axes, rows: pd.DataFrame, looks: Styles, named: Collection[str], are_named_at_points: bool
) -> None:
    higher, metric = bool(rows["higher_is_better"].iloc[0]), str(rows["metric"].iloc[0]).replace("_", " ")
    front = rows[rows["is_on_front"].astype(bool)].sort_values("cost")
    widest = rows["cost"].max()
    middle = (rows["cost"].min() + widest) / 2
    steps = [*front["cost"], max(widest * 1.05, front["cost"].max())]
    axis.step(steps, [*front["score"], front["score"].iloc[-1]], where="post", color="black", linewidth=1, zorder=1)
    others = rows[~rows["regularizer"].isin(named)]
    if len(others):
        axis.plot(
            others["cost"], others["score"], marker=".", color=OTHERS_COLOUR, linestyle="none", zorder=0, label=_OTHERS
        )
    for row in rows[rows["regularizer"].isin(named)].to_dict("records"):
        look = looks[row["regularizer"]]
        axis.vlines(row["cost"], row["interval_low"], row["interval_high"], color=look.colour, linewidth=1.4, alpha=0.6)
        name, point = str(row["regularizer"]), (row["cost"], row["score"])
        axis.plot(*point, marker=look.marker, color=look.colour, markersize=7, linestyle="none", label=name)
        if row["is_on_front"] and are_named_at_points:
            is_right = row["cost"] > middle
            axis.annotate(
                name, point, xytext=(-5 if is_right else 5, 5), textcoords="offset points",
                ha="right" if is_right else "left", fontsize=9,
            )  # fmt: skip
    axis.axvline(1.0, color="black", linewidth=1, linestyle=":", zorder=0)
    low, high = range_without_outliers(rows["score"], rows["score"], rows["score"])
    margin = 0.15 * (high - low) or 0.05 * abs(high) or 1.0
    axis.set_ylim(low - margin, high + margin)
    axis.margins(x=0.25)
    if spans_decades(rows["cost"].min(), widest, 1.0):
        axis.set_xscale("log")
    axis.set_xlabel("time of a training / baseline")
    axis.set_ylabel(f"test {metric} ({'higher' if higher else 'lower'} is better)")
