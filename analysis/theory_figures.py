"""The figures of the papers on the theory of dropout, from rows and curves, panel by panel as the papers have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from analysis.canvas import new_figure
from analysis.theory_panels import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    add_contours,
    add_level,
    add_line,
    add_words,
    few_of,
    grid_of,
    label_objective,
    places_of,
)
from analysis.theory_rows import Evidence, evidence_of


@dataclass(frozen=True, kw_only=True)
class TheoryFigure:
    """One figure of a paper, the tasks whose rows it needs, and the metrics it reads from their curves."""

    name: str
    title: str
    tasks: tuple[str, ...]
    contestants: tuple[str, ...] = ("dropout",)
    reads: tuple[str, ...]
    draw: Callable[[Evidence], Figure]


def plot_theory(trials: pd.DataFrame, curves: pd.DataFrame) -> list[tuple[str, str, Figure]]:
    """(name, title, figure) of every figure whose tasks were run, at the fullest scale at which all of them were.

    A figure whose curves are missing is left out; of a sweep that is not through yet, what there is is drawn.
    """
    drawn = []
    for figure in FIGURES:
        evidence = evidence_of(trials, curves, figure.tasks, figure.contestants)
        if evidence is not None and not evidence.lacks(figure.reads):
            runs = evidence.rows["seed"].nunique()
            title = f"{figure.title} (scale {evidence.scale}, {runs} run{'s' if runs > 1 else ''})"
            drawn.append((figure.name, title, figure.draw(evidence)))
    return drawn


def draw_convergence(evidence: Evidence) -> Figure:
    """Figure 1 of Pal et al.: top, stochastic and deterministic objective; bottom, deterministic and the minimum."""
    rates = few_of(evidence.readings["drop_rate"].unique())
    figure, axes = new_figure(2 * len(rates), width=4.4, height=3.2, num_columns=len(rates))
    for column, rate in enumerate(rates):
        read = evidence.readings[evidence.readings["drop_rate"] == rate]
        top, bottom = axes[column], axes[len(rates) + column]
        add_line(top, read, "stochastic_objective", "DropBlock stochastic", ORANGE, marker="o")
        add_line(top, read, "objective", "DropBlock deterministic", BLUE)
        add_line(bottom, read, "objective", "DropBlock deterministic", BLUE)
        add_level(bottom, read["minimum"].iloc[0], "global minimum")
        top.set_title(f"keep rate θ = {1 - rate:.1f}", loc="left")
        for axis in (top, bottom):
            label_objective(axis)
    return figure


def draw_dropconnect(evidence: Evidence) -> Figure:
    """Figure 2 of Pal et al., for each design: DropConnect and its equivalents; DropConnect and dropout."""
    tasks = sorted(evidence.readings["task"].unique(), key=len)
    figure, axes = new_figure(2 * len(tasks), width=4.4, height=3.4, num_columns=len(tasks))
    for column, task in enumerate(tasks):
        read = evidence.of(task=task).readings
        connect, out = (read[read["regularizer"] == name] for name in ("dropconnect", "dropout"))
        top, bottom = axes[column], axes[len(tasks) + column]
        add_line(top, connect, "stochastic_objective", "DropConnect stochastic", ORANGE, marker="o")
        add_line(top, connect, "dropconnect_objective", "diagonal of XX' (exact)", GREEN)
        add_line(top, connect, "dropout_objective", "all of XX' (eq. 22)", BLUE, dash="--")
        add_line(bottom, connect, "stochastic_objective", "DropConnect", ORANGE)
        add_line(bottom, out, "stochastic_objective", "dropout", BLUE, dash="--")
        top.set_title(task.removeprefix("structured-fig2").strip("-") or "gaussian, as in the paper", loc="left")
        for axis in (top, bottom):
            label_objective(axis)
    return figure


def draw_deep_bound(evidence: Evidence) -> Figure:
    """Figure 3 of Pal et al.: the objective and its lower bound; singular values, measured and predicted."""
    figure, (left, right) = new_figure(2, width=4.8, height=3.4, num_columns=2)
    add_line(left, evidence.readings, "objective", "objective", BLUE)
    add_level(left, evidence.readings["minimum"].iloc[0], "lower bound")
    label_objective(left)
    for name, label, colour in (("singular_value", "measured", BLUE), ("bound_singular_value", "predicted", RED)):
        places = places_of(evidence.last, name)
        values = [evidence.last[f"{name}/{place}"].mean() for place in places]
        right.plot(places, values, "o--", color=colour, label=label, markersize=5)
    right.set_xlabel("place")
    right.set_ylabel("singular value")
    right.set_ylim(bottom=0)
    right.legend(fontsize=8)
    return figure


def draw_overlaps(evidence: Evidence) -> Figure:
    """Figure 4 of Pal et al.: training objectives with overlapping blocks and without."""
    figure, (axis,) = new_figure(1, width=6.0, height=3.8)
    settings = evidence.readings.groupby(["regularizer", "drop_rate"])
    for colour, ((name, rate), read) in zip((ORANGE, GREEN, BLUE), settings, strict=False):
        kept = read["kept_fraction"].mean()
        kind = {"dropblock": "overlapping", "dropblock_sample": "fixed grid"}[str(name)]
        add_line(axis, read, "stochastic_objective", f"{kind}, setting {rate:.2f}, keeps {kept:.2f}", colour)
    add_level(axis, evidence.readings["minimum"].iloc[0], "minimum at keep rate 0.5")
    label_objective(axis)
    return figure


def draw_landscape(evidence: Evidence) -> Figure:
    """Figure 2-1 of the thesis: the measured landscape and its contours, with the points where training ends."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(2 * len(rates), width=3.6, height=3.4, num_columns=len(rates))
    for column, rate in enumerate(rates):
        flat = axes[column]
        surface = figure.add_subplot(flat.get_subplotspec(), projection="3d")
        flat.remove()
        x, y, height = grid_of(evidence.landscape, rate)
        shades = PowerNorm(0.3)  # most colours for the minima, which the height of the corners flattens
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
    """Figure 2-2 of the thesis: the way of the iterates from their starts (red) to the optima (green)."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(len(rates), width=3.8, height=3.8, num_columns=len(rates))
    for axis, rate in zip(axes, rates, strict=True):
        add_contours(axis, evidence.landscape, rate)
        read = evidence.readings[evidence.readings["drop_rate"] == rate]
        for _, way in read.groupby("seed"):
            axis.plot(way["weight_1"], way["weight_2"], color="black", linewidth=1.2)
            axis.plot(way["weight_1"].iloc[0], way["weight_2"].iloc[0], "o", color=RED, markersize=8)
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


FIGURES: tuple[TheoryFigure, ...] = (
    TheoryFigure(
        name="structured-fig1",
        title="Pal et al. 2020, figure 1: DropBlock minimises its deterministic equivalent",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        reads=("objective", "stochastic_objective", "minimum"),
        draw=draw_convergence,
    ),
    TheoryFigure(
        name="structured-fig2",
        title="Pal et al. 2020, figure 2: DropConnect and dropout",
        tasks=("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated"),
        contestants=("dropconnect", "dropout"),
        reads=("stochastic_objective", "dropconnect_objective", "dropout_objective"),
        draw=draw_dropconnect,
    ),
    TheoryFigure(
        name="structured-fig3-mnist",
        title="Pal et al. 2020, figure 3: a deep network and the lower bound, on MNIST",
        tasks=("structured-fig3-mnist",),
        contestants=("dropblock_sample",),
        reads=("objective", "minimum", "singular_value", "bound_singular_value"),
        draw=draw_deep_bound,
    ),
    TheoryFigure(
        name="structured-fig3-cifar10",
        title="Pal et al. 2020, figure 3: a deep network and the lower bound, on CIFAR-10",
        tasks=("structured-fig3-cifar10",),
        contestants=("dropblock_sample",),
        reads=("objective", "minimum", "singular_value", "bound_singular_value"),
        draw=draw_deep_bound,
    ),
    TheoryFigure(
        name="structured-fig4",
        title="Pal et al. 2020, figure 4: blocks with overlaps and without",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        reads=("stochastic_objective", "kept_fraction", "minimum"),
        draw=draw_overlaps,
    ),
    TheoryFigure(
        name="thesis-fig2-1",
        title="Mianjy's thesis, figure 2-1: the landscape of dropout",
        tasks=("thesis-fig2-1",),
        reads=("landscape", "weight_1", "weight_2"),
        draw=draw_landscape,
    ),
    TheoryFigure(
        name="thesis-fig2-2",
        title="Mianjy's thesis, figure 2-2: trajectories of dropout",
        tasks=("thesis-fig2-2",),
        reads=("landscape", "weight_1", "weight_2", "optimal_squared_norm"),
        draw=draw_trajectories,
    ),
    TheoryFigure(
        name="thesis-fig2-3",
        title="Mianjy's thesis, figure 2-3: convergence and equalization",
        tasks=("thesis-fig2-3-width-20", "thesis-fig2-3-width-80"),
        reads=("objective", "minimum", "importance_variance"),
        draw=draw_equalization,
    ),
    TheoryFigure(
        name="thesis-fig3-2",
        title="Mianjy's thesis, figure 3-2: spectral shrinkage of a deep linear net",
        tasks=("thesis-fig3-2",),
        reads=("singular_value",),
        draw=draw_spectra,
    ),
    TheoryFigure(
        name="thesis-fig3-3",
        title="Mianjy's thesis, figure 3-3: equalization gaps",
        tasks=("thesis-fig3-3",),
        reads=("equalization_gap",),
        draw=draw_gaps,
    ),
)
THEORY_TASKS = frozenset(task for figure in FIGURES for task in figure.tasks)
