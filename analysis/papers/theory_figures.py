"""The figures of the papers on the theory of dropout, from rows and curves, panel by panel as the papers have them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.papers.claims.evidence import evidence_of
from analysis.papers.table import PAPERS

FIGURES = tuple(figure for paper in PAPERS for figure in paper.theory_figures)
THEORY_TASKS = frozenset(task for figure in FIGURES for task in figure.tasks)


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
