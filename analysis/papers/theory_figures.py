"""The figures of the papers on the theory of dropout, drawn from rows and curves with the panels of the papers."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.papers.claims.evidence import evidence_of
from analysis.papers.table import PAPERS

FIGURES = tuple(figure for paper in PAPERS for figure in paper.theory_figures)
THEORY_TASKS = frozenset(task for figure in FIGURES for task in figure.tasks)


def plot_theory(trials: pd.DataFrame, curves: pd.DataFrame) -> list[tuple[str, str, Figure]]:
    """The theory figures: a tuple (file name, title, figure) for each figure whose tasks all ran.

    Each figure is drawn at the scale closest to the paper's at which all its tasks ran. It is left out if its curves
    are missing; an unfinished sweep is drawn as far as it ran.

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
    """
    drawn = []
    for figure in FIGURES:
        evidence = evidence_of(trials, curves, figure.tasks, figure.contestants)
        if evidence is not None and not evidence.lacks(figure.reads):
            runs = evidence.rows["seed"].nunique()
            title = f"{figure.title} (scale {evidence.scale}, {runs} run{'s' if runs > 1 else ''})"
            drawn.append((figure.name, title, figure.draw(evidence)))
    return drawn
