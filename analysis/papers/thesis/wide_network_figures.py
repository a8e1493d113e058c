"""Figures 5-1 to 5-3 of Mianjy's thesis, and the distance that weights move in the lazy regime."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.figures.theory_panels import BLUE, GREEN, ORANGE, RED
from analysis.papers.thesis.wide_networks import (
    EXAMPLES_PER_EPOCH,
    FIG_5_1,
    readings_of,
    rows_of_lazy,
    rows_of_subnetworks,
)
from analysis.rows.current import succeeded

_SPARSE = 0.8  # drop rate of figure 5-3; the nearest one that was run is drawn
_MIDDLE = 0.5  # of the lower panels of figure 5-2
_STEPS_PER_READING = 100  # of the lazy regime's epochs
_CURVES = (("base_2_loss", "log2(1 + exp(-z))", BLUE), ("natural_loss", "ln(1 + exp(-z))", GREEN),
           ("linear_bound", "1 - z / ln(2)", RED))  # fmt: skip


def bound_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 5-1: the logistic loss under its linear bound."""
    trial = rows.loc[rows["task"] == FIG_5_1, "trial_id"].tail(1)
    points = curves[curves["trial_id"].isin(trial) & (curves["split"] == "validation")]
    if points.empty:
        return []
    figure, (axis,) = new_figure(1, width=5.6, height=4.2)
    for name, label, colour in _CURVES:
        of_curve = points[points["metric"].str.startswith(f"{name}/")]
        margins = of_curve["metric"].str.rpartition("/")[2].astype(float).to_numpy()
        order = np.argsort(margins)
        axis.plot(margins[order], of_curve["value"].to_numpy()[order], color=colour, label=label)
    axis.set(xlabel="margin z = y f(x)", ylabel="loss")
    axis.legend()
    return [("thesis-fig5-1", "Mianjy's thesis, figure 5-1: a linear bound on the logistic loss", figure)]


def subnetwork_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figures 5-2 (sub-networks that dropout visits) and 5-3 (fixed ones), with one standard deviation in grey."""
    found = succeeded(rows_of_subnetworks(rows))
    read = readings_of(found, curves) if len(found) else found
    if read.empty or "subnetwork_accuracy_current" not in read.columns:
        return []
    read = read[read["epoch"] > 0].assign(examples=read["epoch"] * EXAMPLES_PER_EPOCH)
    title = f"scale {found['scale'].iloc[0]}, {found['seed'].nunique()} runs"
    return [
        ("thesis-fig5-2", f"Mianjy's thesis, figure 5-2: sub-networks that dropout visits ({title})", _visited(read)),
        ("thesis-fig5-3", f"Mianjy's thesis, figure 5-3: 100 fixed sub-networks ({title})", _fixed(read)),
    ]


def _visited(read: pd.DataFrame) -> Figure:
    """The first row has all drop rates at the largest width, the second all widths at the middle rate."""
    widest = read["width"].max()
    middle = _nearest(read, _MIDDLE)
    above = [(widest, rate) for rate in sorted(read.loc[read["width"] == widest, "rate"].unique())]
    below = [(width, middle) for width in sorted(read.loc[read["rate"] == middle, "width"].unique())]
    columns = max(len(above), len(below))
    figure, axes = new_figure(2 * columns, width=3.4, height=2.8, num_columns=columns)
    for place, panels in enumerate((above, below)):
        for column in range(columns):
            axis = axes[place * columns + column]
            if column >= len(panels):
                axis.remove()
                continue
            width, rate = panels[column]
            panel = read[(read["width"] == width) & (read["rate"] == rate)]
            _line(axis, panel, "accuracy", "full network", BLUE, "-")
            _line(axis, panel, "subnetwork_accuracy_current", "dropout iterates", ORANGE, "--")
            _label(axis, f"width {width:,}, drop rate {rate:g}", is_first=column == 0)
    return figure


def _fixed(read: pd.DataFrame) -> Figure:
    """One panel for each width: the mean of the sub-networks, their spread, and the worst."""
    rate = _nearest(read, _SPARSE)
    read = read[read["rate"] == rate]
    widths = sorted(read["width"].unique())
    figure, axes = new_figure(len(widths), width=3.4, height=3.0, num_columns=len(widths))
    for axis, width in zip(axes, widths, strict=True):
        panel = read[read["width"] == width]
        means = panel.groupby("examples")[[f"subnetwork_accuracy_fixed_{name}" for name in ("mean", "std", "min")]]
        mean, std, least = (100 * means.mean()[column] for column in means.mean().columns)
        axis.fill_between(mean.index, mean - std, mean + std, color=ORANGE, alpha=0.35, linewidth=0)
        axis.plot(mean.index, mean, "--", color=ORANGE, label="sub-networks, mean ± std")
        axis.plot(least.index, least, ":", color=ORANGE, linewidth=1.2, label="worst sub-network")
        _line(axis, panel, "accuracy", "full network", BLUE, "-")
        _label(axis, f"width {width:,}, drop rate {rate:g}", is_first=axis is axes[0])
    return figure


def lazy_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Moves and changed activations, scaled by √m, and the error over steps: one curve for each width m."""
    found = succeeded(rows_of_lazy(rows))
    read = readings_of(found, curves) if len(found) else found
    metrics = {
        "largest_move_times_sqrt_width": "√m × largest move",
        "flipped_share_times_sqrt_width": "√m × changed activations",
        "error": "error of the network",
    }
    if read.empty or not set(metrics) <= set(read.columns):
        return []
    read = read.assign(step=read["epoch"] * _STEPS_PER_READING)
    rates = sorted(read["rate"].unique())
    figure, axes = new_figure(len(metrics) * len(rates), width=3.8, height=2.9, num_columns=len(metrics))
    for row, rate in enumerate(rates):
        for column, (metric, label) in enumerate(metrics.items()):
            axis = axes[row * len(metrics) + column]
            for place, (width, of_width) in enumerate(read[read["rate"] == rate].groupby("width")):
                colour = (GREEN, ORANGE, BLUE)[place]
                values = of_width.groupby("step")[metric]
                mean, std = values.mean(), values.std().fillna(0)
                axis.plot(mean.index, mean, color=colour, label=f"m = {width:,}")
                axis.fill_between(mean.index, mean - std, mean + std, color="grey", alpha=0.25, linewidth=0)
            axis.set(xlabel="step", ylabel=label)
            axis.set_ylim(bottom=0)
            axis.set_title(f"drop rate {rate:g}", loc="left")
            axis.legend(fontsize=8)
    title = f"Mianjy's thesis, chapter 5: the lazy regime (scale {found['scale'].iloc[0]})"
    return [("thesis-fig5-lazy", title, figure)]


def _nearest(read: pd.DataFrame, rate: float) -> float:
    """The drop rate that was run nearest to this one."""
    rates = read["rate"].unique()
    return float(rates[np.abs(rates - rate).argmin()])


def _line(axis: Axes, panel: pd.DataFrame, metric: str, label: str, colour: str, dash: str) -> None:
    values = 100 * panel.groupby("examples")[metric].mean()
    spread = 100 * panel.groupby("examples")[metric].std().fillna(0)
    axis.plot(values.index, values, dash, color=colour, label=label, linewidth=1.8)
    axis.fill_between(values.index, values - spread, values + spread, color="grey", alpha=0.3, linewidth=0)


def _label(axis: Axes, title: str, *, is_first: bool) -> None:
    axis.set_xscale("log")
    axis.set_ylim(0, 102)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axis.set_xlabel("examples seen")
    axis.set_ylabel("test accuracy (%)" if is_first else "")
    axis.set_title(title, loc="left", fontsize=10)
    axis.legend(fontsize=8, loc="lower right")
