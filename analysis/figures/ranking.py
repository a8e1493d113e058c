"""Figures of the ranking with its intervals, and of the timing table."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import (
    BASELINE,
    Styles,
    is_crowded,
    name_rows,
    new_figure,
    styles_by_regularizer,
    width_for,
)
from analysis.rows.notes import listed
from analysis.tables.statistics import range_without_outliers, spans_decades
from harness.records import OVERALL

_ROW_HEIGHT = 0.34  # inches per contestant
_FRAME_HEIGHT = 1.1  # inches for title and axis
_POINT_SIZE = 49.0  # square points


def plot_ranking(table: pd.DataFrame, looks: Styles | None = None, baseline: str = BASELINE) -> Figure:
    """Plot a `ranking_table`, one panel per task and scale: means with intervals, the best on top.

    A dashed line and a grey band are the mean and the interval of the baseline. A contestant without a value has its
    status in place of the mean; of more than 15 contestants these are only counted, below the axis. A mean that is far
    from all others is an arrow at the edge, with its value (`analysis.tables.statistics.range_without_outliers`).

    Args:
        table: from `ranking_table`.
        looks: colours and markers by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.
        baseline: its name.

    Raises:
        ValueError: if no task is ranked.
    """
    table = table[table["task"] != OVERALL]
    looks = looks or styles_by_regularizer(table["regularizer"])
    counted = only_counted(table)
    shown = table[~counted]
    panels = list(shown.groupby(["scale", "task"], sort=False))
    _need(len(panels), "ranking_table found no task to rank")
    tallest = max(len(rows) for _, rows in panels)
    figure, axes = new_figure(
        len(panels),
        width=width_for(shown["regularizer"]),
        height=_FRAME_HEIGHT + _ROW_HEIGHT * tallest,
        num_columns=2 if len(panels) > 1 else 1,
    )
    for axis, ((scale, task), rows) in zip(axes, panels, strict=True):
        _draw_ranking(axis, rows, looks, baseline)
        axis.set_title(f"{task} ({scale} scale)", loc="left")
        without = table.loc[counted & (table["task"] == task) & (table["scale"] == scale), "status"].value_counts()
        if len(without):
            told = listed([f"{number} {str(status).replace('_', ' ')}" for status, number in without.items()])
            axis.set_xlabel(f"{axis.get_xlabel()}\nnot drawn: {told}")
    return figure


def only_counted(table: pd.DataFrame) -> pd.Series:
    """Which rows of a `ranking_table` are left out of its figures: without a value, among more than 15 contestants.

    Where no contestant of a task has a value, its figure shows them all.
    """
    has_values = table.groupby(["scale", "task"])["mean"].transform("count") > 0
    return table["mean"].isna() & has_values & is_crowded(table["regularizer"])


def plot_overhead(timing: pd.DataFrame, looks: Styles | None = None) -> Figure:
    """Plot a `timing_table`, one panel per task, scale and machine: bars of the ratio, with its range as error bars.

    Args:
        timing: from `timing_table`.
        looks: colours by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.

    Raises:
        ValueError: if the table is empty.
    """
    panels = list(timing.groupby(["scale", "task", "hardware_key"], sort=False))
    _need(len(panels), "timing_table is empty, since there are no comparable timing trials")
    looks = looks or styles_by_regularizer(timing["regularizer"])
    tallest = max(len(rows) for _, rows in panels)
    figure, axes = new_figure(
        len(panels),
        width=width_for(timing["regularizer"]),
        height=_FRAME_HEIGHT + 0.3 + _ROW_HEIGHT * tallest,
        num_columns=2 if len(panels) > 1 else 1,
    )
    for axis, ((scale, task, hardware), rows) in zip(axes, panels, strict=True):
        _draw_overhead(axis, rows, looks)
        axis.set_title(f"{task} ({scale} scale)\n{hardware}", loc="left")
    return figure


def _need(num_panels: int, otherwise: str) -> None:
    if num_panels == 0:
        raise ValueError(f"There is nothing to draw: {otherwise}.")


def _draw_ranking(axis: Axes, rows: pd.DataFrame, looks: Styles, baseline: str) -> None:
    reference = rows[(rows["regularizer"] == baseline) & rows["mean"].notna()]
    for low, mean, high in reference[["interval_low", "mean", "interval_high"]].itertuples(index=False, name=None):
        axis.axvline(mean, color=looks[baseline].colour, linestyle="--", linewidth=1, zorder=1)
        axis.axvspan(low, high, color=looks[baseline].colour, alpha=0.12, linewidth=0, zorder=0)
    placed = rows.assign(place=range(len(rows)))
    for place, status in placed.loc[rows["mean"].isna(), ["place", "status"]].itertuples(index=False, name=None):
        text = str(status).replace("_", " ")
        axis.text(0.02, place, text, transform=axis.get_yaxis_transform(), va="center", style="italic")
    _draw_points(axis, placed[rows["mean"].notna()], looks)
    names = zip(rows["regularizer"], rows["imputed"], strict=True)
    name_rows(axis, [f"{name} *" if imputed else str(name) for name, imputed in names])
    metric, higher = rows["metric"].iloc[0], rows["higher_is_better"].iloc[0]
    axis.set_xlabel(f"{str(metric).replace('_', ' ')} ({'higher' if higher else 'lower'} is better)")
    if spans_decades(rows[["mean", "interval_low"]].min().min(), rows["mean"].max()):
        axis.set_xscale("log")
    else:
        _focus(axis, placed, looks)
    axis.grid(visible=False, axis="y")


def _focus(axis: Axes, placed: pd.DataFrame, looks: Styles) -> None:
    """End the axis where the values do, without outlying ones, and draw these as arrows at its edge."""
    placed = placed[placed["mean"].notna()]
    ends = placed[["interval_low", "mean", "interval_high"]]
    low, high = range_without_outliers(placed["mean"], placed["interval_low"], placed["interval_high"])
    if not (ends.min().min() < low or high < ends.max().max()):
        return
    outlying = placed[(placed["mean"] < low) | (placed["mean"] > high)]
    margin = 0.05 * (high - low)
    left, right = low - margin, high + margin
    for name, mean, place in outlying[["regularizer", "mean", "place"]].itertuples(index=False, name=None):
        is_left = mean < low
        axis.plot(left if is_left else right, place, marker="<" if is_left else ">", color=looks[name].colour, ms=8)
        axis.annotate(
            f"{mean:.4g}", (left if is_left else right, place), xytext=(10 if is_left else -10, 0),
            textcoords="offset points", va="center", ha="left" if is_left else "right", fontsize=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axis.set_xlim(left, right)


def _draw_points(axis: Axes, placed: pd.DataFrame, looks: Styles) -> None:
    """Draw means with intervals in the rows `place`: all lines at once, and all points that have one marker."""
    colours = [looks[name].colour for name in placed["regularizer"]]
    axis.hlines(placed["place"], placed["interval_low"], placed["interval_high"], colors=colours, linewidth=2.2)
    points: dict[str, list[tuple[float, int, str]]] = {}
    for name, mean, place in placed[["regularizer", "mean", "place"]].itertuples(index=False, name=None):
        points.setdefault(looks[name].marker, []).append((mean, place, looks[name].colour))
    for marker, alike in points.items():
        means, places, of_points = zip(*alike, strict=True)
        axis.scatter(means, places, c=of_points, marker=marker, s=_POINT_SIZE, zorder=2)


def _draw_overhead(axis: Axes, rows: pd.DataFrame, looks: Styles) -> None:
    rows = rows.sort_values("ratio")
    colours = [looks[name].colour for name in rows["regularizer"]]
    tops = rows["ratio_high"].fillna(rows["ratio"])  # a single trial has no range
    whiskers = [rows["ratio"] - rows["ratio_low"].fillna(rows["ratio"]), tops - rows["ratio"]]
    axis.barh(range(len(rows)), rows["ratio"], xerr=whiskers, color=colours, height=0.7, capsize=3)
    axis.axvline(1.0, color="black", linewidth=1)
    widest = max(1.0, tops.max()) * 1.15
    for place, (ratio, top) in enumerate(zip(rows["ratio"], tops, strict=True)):
        axis.text(top + 0.012 * widest, place, f"{ratio:.2f}", va="center", fontsize=10)
    axis.set_xlim(0, widest)
    name_rows(axis, [str(name) for name in rows["regularizer"]])
    axis.set_xlabel("time per step / unregularized twin")
    axis.grid(visible=False, axis="y")
