"""The figures of the papers, drawn from rows and curves as far as their trials ran."""

from __future__ import annotations

import pandas as pd

from analysis.figures.canvas import Named, Styles, styles_by_regularizer
from analysis.papers.table import PAPERS
from analysis.rows.current import current_rows, succeeded


def plot_paper_figures(trials: pd.DataFrame, curves: pd.DataFrame, looks: Styles | None = None) -> list[Named]:
    """The figures of the papers: a tuple (file name, title, figure) for each figure whose trials ran.

    Each task is drawn at the scale closest to the paper's at which it ran. Values are those of the confirmed winners if
    there are any, else of the default trials. With a single trial there are no error bars.

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
        looks: colours and markers by regularizer, from `analysis.figures.canvas.styles_by_regularizer`.
    """
    rows = succeeded(current_rows(trials))
    rows = rows[rows["role"].isin(["default", "confirm"])]
    looks = looks or styles_by_regularizer(trials["regularizer"])
    return [named for paper in PAPERS for make in paper.figures for named in make(rows, curves, looks)]


def plot_sweeps_beside_papers(comparison: pd.DataFrame) -> list[Named]:
    """Sweeps of the papers, reported and ours side by side, as (file name, title, figure), for each that was run.

    Args:
        comparison: from `compare_with_papers`.
    """
    return [named for paper in PAPERS for make in paper.sweeps for named in make(comparison)]
