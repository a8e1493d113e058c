"""The figures of the papers, from rows and curves, wherever their trials ran."""

from __future__ import annotations

import pandas as pd

from analysis.figures.canvas import Named, Styles, styles_by_regularizer
from analysis.papers.table import PAPERS
from analysis.rows.current import current_rows, succeeded


def plot_paper_figures(trials: pd.DataFrame, curves: pd.DataFrame, looks: Styles | None = None) -> list[Named]:
    """(name, title, figure) of every figure whose trials ran, each task at the fullest scale at which it ran.

    Names and mean values are those of the confirmed winners where there are such, else of the default trials. A figure
    of one trial is drawn as well; it has no error bars then.
    """
    rows = succeeded(current_rows(trials))
    rows = rows[rows["role"].isin(["default", "confirm"])]
    looks = looks or styles_by_regularizer(trials["regularizer"])
    return [named for paper in PAPERS for make in paper.figures for named in make(rows, curves, looks)]


def plot_sweeps_beside_papers(comparison: pd.DataFrame) -> list[Named]:
    """(name, title, figure) of every sweep of a paper that was run: reported beside ours, from a comparison."""
    return [named for paper in PAPERS for make in paper.sweeps for named in make(comparison)]
