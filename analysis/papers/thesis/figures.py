"""Figures of chapters 2 and 3 of Mianjy's thesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.figures.theory_panels import (
    BLUE,
    GREEN,
    RED,
    add_contours,
    add_level,
    add_line,
    add_words,
    grid_of,
    label_objective,
)
from analysis.papers.claims.evidence import Evidence
from analysis.papers.claims.theory_measures import places_of


def draw_landscape(evidence: Evidence) -> Figure:
    """Figure 2-1 of the thesis: the measured landscape and its contours, with the points where training ends."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(2 * len(rates), width=3.6, height=3.4, num_columns=len(rates))
    for column, rate in enumerate(rates):
        flat = axes[column]
        surface: Any = figure.add_subplot(flat.get_subplotspec(), projection="3d")
        flat.remove()
        x, y, height = grid_of(evidence.landscape, rate)
        shades = PowerNorm(0.3)  # most colours for low values, since the corners are much higher than the minima
        surface.plot_surface(x, y, height, cmap="viridis", norm=shades, rcount=31, ccount=31, linewidth=0)
        surface.set_title(f"objective, λ = {rate / (1 - rate):.2g}")
        surface.set(xlabel="$u_1$", ylabel="$u_2$")
        contour = axes[len(rates) + column]
        add_contours(contour, evidence.landscape, rate)
        ends = evidence.last[evidence.last["drop_rate"] == rate]
        contour.plot(ends["weight_1"], ends["weight_2"], "o", color=GREEN, markersize=6, label="end of training")
        contour.legend(loc="upper right", fontsize=8)
    return figure


def draw_trajectories(evidence: Evidence) -> Figure:
    """Figure 2-2 of the thesis: the iterates from their starts (red) to the optima (green)."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(len(rates), width=3.8, height=3.8, num_columns=len(rates))
    for axis, rate in zip(axes, rates, strict=True):
        add_contours(axis, evidence.landscape, rate)
        read = evidence.readings[evidence.readings["drop_rate"] == rate]
        for _, path in read.groupby("seed"):
            axis.plot(path["weight_1"], path["weight_2"], color="black", linewidth=1.2)
            axis.plot(path["weight_1"].iloc[0], path["weight_2"].iloc[0], "o", color=RED, markersize=8)
        size = np.sqrt(read["optimal_squared_norm"].iloc[0] / 2)
        axis.plot([size, size, -size, -size], [size, -size, size, -size], "o", color=GREEN, markersize=8)
        axis.set_title(f"λ = {rate / (1 - rate):.2g}", loc="left")
    return figure


def draw_equalization(evidence: Evidence) -> Figure:
    """Figure 2-3 of the thesis: the objective and the optimum for each lambda; right, the variance of the scores."""
    tasks = sorted(evidence.readings["task"].unique())
    lams = sorted(evidence.readings["lam"].round(6).unique())
    columns = len(lams) + 1
    figure, axes = new_figure(len(tasks) * columns, width=3.5, height=3.0, num_columns=columns)
    palette = sns.color_palette("crest", len(lams)).as_hex()
    for row, task in enumerate(tasks):
        of_task = evidence.of(task=task).readings
        variance = axes[row * columns + len(lams)]
        for place, lam in enumerate(lams):
            read = of_task[np.isclose(of_task["lam"], lam)]
            axis = axes[row * columns + place]
            axis.set_title(f"r = {task.rpartition('-')[2]}, λ = {lam:.2g}", loc="left")
            if read.empty:
                add_words(axis, "no readings")
                continue
            add_line(axis, read, "objective", "dropout", BLUE)
            add_level(axis, read["minimum"].iloc[0], "optimum")
            label_objective(axis)
            add_line(variance, read, "importance_variance", f"λ = {lam:.2g}", palette[place])
        variance.set_title(f"r = {task.rpartition('-')[2]}, variance", loc="left")
        label_objective(variance, "variance of scores")
    return figure


def draw_spectra(evidence: Evidence) -> Figure:
    """Figure 3-2 of the thesis: singular values of the trained map by drop rate; each line is one singular value."""
    figure, (axis,) = new_figure(1, width=6.4, height=4.2)
    last = evidence.last
    places = places_of(last, "singular_value")
    palette = sns.color_palette("viridis", len(places)).as_hex()
    for place, colour in zip(places, palette, strict=True):
        values = last.groupby("drop_rate")[f"singular_value/{place}"]
        mean, std = values.mean(), values.std().fillna(0)
        axis.plot(mean.index, mean, "o-", color=colour, markersize=3, linewidth=1.2)
        axis.fill_between(mean.index, (mean - std).clip(lower=0), mean + std, color="grey", alpha=0.3, linewidth=0)
    axis.set_xlabel("drop rate 1 − θ")
    axis.set_ylabel("singular value of the map")
    return figure


def draw_gaps(evidence: Evidence) -> Figure:
    """Figure 3-3 of the thesis: equalization gaps of every order and in total, over the iterations."""
    figure, (axis,) = new_figure(1, width=6.4, height=4.2)
    read = evidence.readings
    palette = sns.color_palette("colorblind").as_hex()
    for place in places_of(read, "equalization_gap"):
        add_line(axis, read, f"equalization_gap/{place}", f"order {place}", palette[place])
    add_line(axis, read, "equalization_gap", "total", "black", dash="--")
    label_objective(axis, "equalization gap")
    axis.legend(fontsize=9, ncols=2)
    return figure
