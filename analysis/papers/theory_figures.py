"""The figures of the papers on the theory of dropout, from rows and curves, panel by panel as the papers have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.papers.claims.evidence import Evidence, evidence_of
from analysis.papers.structured.figures import draw_convergence, draw_deep_bound, draw_dropconnect, draw_overlaps
from analysis.papers.thesis.figures import draw_equalization, draw_gaps, draw_landscape, draw_spectra, draw_trajectories


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
