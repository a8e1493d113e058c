"""Figures 1 to 4 of Pal et al. 2020."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.figures.theory_panels import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    add_level,
    add_line,
    few_of,
    label_objective,
)
from analysis.papers.claims.evidence import Evidence
from analysis.papers.claims.theory_measures import places_of


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
