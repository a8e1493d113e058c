"""The figures of the papers on the theory of dropout, from rows and curves, panel by panel as the papers have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.canvas import new_figure
from analysis.theory_rows import Evidence, evidence_of

_BLUE, _ORANGE, _GREEN, _RED = (sns.color_palette("colorblind").as_hex()[place] for place in (0, 1, 2, 3))
_MOST_PANELS = 3  # of a sweep, where the paper shows one setting


@dataclass(frozen=True, kw_only=True)
class TheoryFigure:
    """One figure of a paper, and the tasks whose rows it needs."""

    name: str
    title: str
    tasks: tuple[str, ...]
    contestants: tuple[str, ...] = ("dropout",)
    draw: Callable[[Evidence], Figure]


def plot_theory(trials: pd.DataFrame, curves: pd.DataFrame) -> list[tuple[str, str, Figure]]:
    """(name, title, figure) of every figure whose tasks were run, at the fullest scale at which all of them were."""
    drawn = []
    for figure in FIGURES:
        evidence = evidence_of(trials, curves, figure.tasks, figure.contestants)
        if evidence is not None:
            runs = evidence.rows["seed"].nunique()
            title = f"{figure.title} (scale {evidence.scale}, {runs} run{'s' if runs > 1 else ''})"
            drawn.append((figure.name, title, figure.draw(evidence)))
    return drawn


def draw_convergence(evidence: Evidence) -> Figure:
    """Figure 1 of Pal et al.: top, stochastic and deterministic objective; bottom, deterministic and the minimum."""
    rates = _chosen(evidence.readings["drop_rate"].unique())
    figure, axes = new_figure(2 * len(rates), width=4.4, height=3.2, num_columns=len(rates))
    for column, rate in enumerate(rates):
        read = evidence.readings[evidence.readings["drop_rate"] == rate]
        top, bottom = axes[column], axes[len(rates) + column]
        _line(top, read, "stochastic_objective", "DropBlock stochastic", _ORANGE, marker="o")
        _line(top, read, "objective", "DropBlock deterministic", _BLUE)
        _line(bottom, read, "objective", "DropBlock deterministic", _BLUE)
        _level(bottom, read["minimum"].iloc[0], "global minimum")
        top.set_title(f"keep rate θ = {1 - rate:.1f}", loc="left")
        for axis in (top, bottom):
            _objective_axis(axis)
    return figure


def draw_dropconnect(evidence: Evidence) -> Figure:
    """Figure 2 of Pal et al., for each design: DropConnect and its equivalents; DropConnect and dropout."""
    tasks = sorted(evidence.readings["task"].unique(), key=len)
    figure, axes = new_figure(2 * len(tasks), width=4.4, height=3.4, num_columns=len(tasks))
    for column, task in enumerate(tasks):
        read = evidence.of(task=task).readings
        connect, out = (read[read["regularizer"] == name] for name in ("dropconnect", "dropout"))
        top, bottom = axes[column], axes[len(tasks) + column]
        _line(top, connect, "stochastic_objective", "DropConnect stochastic", _ORANGE, marker="o")
        _line(top, connect, "dropconnect_objective", "diagonal of XX' (exact)", _GREEN)
        _line(top, connect, "dropout_objective", "all of XX' (eq. 22)", _BLUE, dash="--")
        _line(bottom, connect, "stochastic_objective", "DropConnect", _ORANGE)
        _line(bottom, out, "stochastic_objective", "dropout", _BLUE, dash="--")
        top.set_title(task.removeprefix("structured-fig2").strip("-") or "gaussian, as in the paper", loc="left")
        for axis in (top, bottom):
            _objective_axis(axis)
    return figure


def draw_deep_bound(evidence: Evidence) -> Figure:
    """Figure 3 of Pal et al.: the objective and its lower bound; singular values, measured and predicted."""
    figure, (left, right) = new_figure(2, width=4.8, height=3.4, num_columns=2)
    _line(left, evidence.readings, "objective", "objective", _BLUE)
    _level(left, evidence.readings["minimum"].iloc[0], "lower bound")
    _objective_axis(left)
    for name, label, colour in (("singular_value", "measured", _BLUE), ("bound_singular_value", "predicted", _RED)):
        places = _places(evidence.last, name)
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
    for colour, ((name, rate), read) in zip((_ORANGE, _GREEN, _BLUE), settings, strict=False):
        kept = read["kept_fraction"].mean()
        kind = {"dropblock": "overlapping", "dropblock_sample": "fixed grid"}[str(name)]
        _line(axis, read, "stochastic_objective", f"{kind}, setting {rate:.2f}, keeps {kept:.2f}", colour)
    _level(axis, evidence.readings["minimum"].iloc[0], "minimum at keep rate 0.5")
    _objective_axis(axis)
    return figure


def draw_landscape(evidence: Evidence) -> Figure:
    """Figure 2-1 of the thesis: the measured landscape and its contours, with the points where training ends."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(2 * len(rates), width=3.6, height=3.4, num_columns=len(rates))
    for column, rate in enumerate(rates):
        flat = axes[column]
        surface = figure.add_subplot(flat.get_subplotspec(), projection="3d")
        flat.remove()
        x, y, height = _grid(evidence.landscape, rate)
        surface.plot_surface(x, y, np.log1p(height), cmap="viridis", linewidth=0, antialiased=True)
        surface.set_title(f"λ = {rate / (1 - rate):.2g}")
        surface.set_zticks([])
        contour = axes[len(rates) + column]
        _contours(contour, evidence.landscape, rate)
        ends = evidence.last[evidence.last["drop_rate"] == rate]
        contour.plot(ends["weight_1"], ends["weight_2"], "o", color=_GREEN, markersize=6, label="end of training")
        contour.legend(loc="upper right", fontsize=8)
    return figure


def draw_trajectories(evidence: Evidence) -> Figure:
    """Figure 2-2 of the thesis: the way of the iterates from their starts (red) to the optima (green)."""
    rates = sorted(evidence.landscape["drop_rate"].unique())
    figure, axes = new_figure(len(rates), width=3.8, height=3.8, num_columns=len(rates))
    for axis, rate in zip(axes, rates, strict=True):
        _contours(axis, evidence.landscape, rate)
        read = evidence.readings[evidence.readings["drop_rate"] == rate]
        for _, way in read.groupby("seed"):
            axis.plot(way["weight_1"], way["weight_2"], color="black", linewidth=1.2)
            axis.plot(way["weight_1"].iloc[0], way["weight_2"].iloc[0], "o", color=_RED, markersize=8)
        size = np.sqrt(read["optimal_squared_norm"].iloc[0] / 2)
        axis.plot([size, size, -size, -size], [size, -size, size, -size], "o", color=_GREEN, markersize=8)
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
            _line(axis, read, "objective", "dropout", _BLUE)
            _level(axis, read["minimum"].iloc[0], "optimum")
            axis.set_title(f"r = {task.rpartition('-')[2]}, λ = {lam:.2g}", loc="left")
            _objective_axis(axis)
            _line(variance, read, "importance_variance", f"λ = {lam:.2g}", palette[place])
        variance.set_title(f"r = {task.rpartition('-')[2]}, variance", loc="left")
        _objective_axis(variance, "variance of scores")
    return figure


def draw_spectra(evidence: Evidence) -> Figure:
    """Figure 3-2 of the thesis: singular values of the trained map by drop rate; each line is one singular value."""
    figure, (axis,) = new_figure(1, width=6.4, height=4.2)
    last = evidence.last
    places = _places(last, "singular_value")
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
    for place in _places(read, "equalization_gap"):
        _line(axis, read, f"equalization_gap/{place}", f"order {place}", palette[place])
    _line(axis, read, "equalization_gap", "total", "black", dash="--")
    _objective_axis(axis, "equalization gap")
    axis.legend(fontsize=9, ncols=2)
    return figure


def _line(
    axis: Axes, read: pd.DataFrame, metric: str, label: str, colour: str, dash: str = "-", marker: str | None = None
) -> None:
    """Mean over seeds, and a band of one standard deviation."""
    values = read.groupby("iteration")[metric]
    mean, std = values.mean(), values.std().fillna(0)
    axis.plot(mean.index, mean, dash, color=colour, label=label, marker=marker, markersize=4, linewidth=1.8)
    low = np.maximum(mean - std, mean * 0.05)  # stays above 0 on a logarithmic axis
    axis.fill_between(mean.index, low, mean + std, color="grey", alpha=0.25, linewidth=0)


def _level(axis: Axes, value: float, label: str) -> None:
    axis.axhline(value, color=_RED, linestyle=(0, (4, 2)), linewidth=1.5, label=label)


def _objective_axis(axis: Axes, label: str = "objective") -> None:
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(MaxNLocator(4))  # more numbers of five digits would run into each other
    axis.set_xlabel("iteration")
    axis.set_ylabel(label)
    axis.legend(fontsize=8)


def _contours(axis: Axes, landscape: pd.DataFrame, rate: float) -> None:
    x, y, height = _grid(landscape, rate)
    steps = np.linspace(0.04, 0.9, 16) ** 2  # dense near the minima, where the landscape is flat
    levels = height.min() + (height.max() - height.min()) * steps
    axis.contour(x, y, height, levels=levels, cmap="viridis", linewidths=0.9)
    axis.set_xlabel("$u_1$")
    axis.set_ylabel("$u_2$")
    axis.set_aspect("equal")


def _grid(landscape: pd.DataFrame, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = landscape[landscape["drop_rate"] == rate].pivot_table(index="y", columns="x", values="value")
    x, y = np.meshgrid(table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float))
    return x, y, table.to_numpy(dtype=float)


def _places(frame: pd.DataFrame, name: str) -> list[int]:
    return sorted(int(column.rpartition("/")[2]) for column in frame.columns if column.startswith(f"{name}/"))


def _chosen(rates: Iterable[float]) -> list[float]:
    """The smallest, the middle and the largest of many."""
    ordered = sorted(rates)
    if len(ordered) <= _MOST_PANELS:
        return ordered
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]


FIGURES: tuple[TheoryFigure, ...] = (
    TheoryFigure(
        name="structured-fig1",
        title="Pal et al. 2020, figure 1: DropBlock minimises its deterministic equivalent",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        draw=draw_convergence,
    ),
    TheoryFigure(
        name="structured-fig2",
        title="Pal et al. 2020, figure 2: DropConnect and dropout",
        tasks=("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated"),
        contestants=("dropconnect", "dropout"),
        draw=draw_dropconnect,
    ),
    TheoryFigure(
        name="structured-fig3-mnist",
        title="Pal et al. 2020, figure 3: a deep network and the lower bound, on MNIST",
        tasks=("structured-fig3-mnist",),
        contestants=("dropblock_sample",),
        draw=draw_deep_bound,
    ),
    TheoryFigure(
        name="structured-fig3-cifar10",
        title="Pal et al. 2020, figure 3: a deep network and the lower bound, on CIFAR-10",
        tasks=("structured-fig3-cifar10",),
        contestants=("dropblock_sample",),
        draw=draw_deep_bound,
    ),
    TheoryFigure(
        name="structured-fig4",
        title="Pal et al. 2020, figure 4: blocks with overlaps and without",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        draw=draw_overlaps,
    ),
    TheoryFigure(
        name="thesis-fig2-1",
        title="Mianjy's thesis, figure 2-1: the landscape of dropout",
        tasks=("thesis-fig2-1",),
        draw=draw_landscape,
    ),
    TheoryFigure(
        name="thesis-fig2-2",
        title="Mianjy's thesis, figure 2-2: trajectories of dropout",
        tasks=("thesis-fig2-2",),
        draw=draw_trajectories,
    ),
    TheoryFigure(
        name="thesis-fig2-3",
        title="Mianjy's thesis, figure 2-3: convergence and equalization",
        tasks=("thesis-fig2-3-width-20", "thesis-fig2-3-width-80"),
        draw=draw_equalization,
    ),
    TheoryFigure(
        name="thesis-fig3-2",
        title="Mianjy's thesis, figure 3-2: spectral shrinkage of a deep linear net",
        tasks=("thesis-fig3-2",),
        draw=draw_spectra,
    ),
    TheoryFigure(
        name="thesis-fig3-3",
        title="Mianjy's thesis, figure 3-3: equalization gaps",
        tasks=("thesis-fig3-3",),
        draw=draw_gaps,
    ),
)
THEORY_TASKS = frozenset(task for figure in FIGURES for task in figure.tasks)
