"""The figures of LocalDrop's and feature map distortion's papers, from rows and curves, wherever their trials ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from analysis.figures.canvas import Named, Styles, styles_by_regularizer
from analysis.papers.distortion.figures import overfitting_figures, strength_figures
from analysis.papers.localdrop.figures import (
    _bounds,
    _layers,
    _stability,
    _widths,
)
from analysis.rows.current import current_rows, succeeded


def plot_paper_figures(trials: pd.DataFrame, curves: pd.DataFrame, looks: Styles | None = None) -> list[Named]:
    """(name, title, figure) of every figure whose trials ran, each task at the fullest scale at which it ran.

    Names and mean values are those of the confirmed winners where there are such, else of the default trials. A figure
    of one trial is drawn as well; it has no error bars then.
    """
    rows = succeeded(current_rows(trials))
    rows = rows[rows["role"].isin(["default", "confirm"])]
    looks = looks or styles_by_regularizer(trials["regularizer"])
    makers: Iterable[Callable[[pd.DataFrame, pd.DataFrame, Styles], list[Named]]]
    makers = (_layers, _widths, _stability, _bounds, overfitting_figures, strength_figures)
    return [named for make in makers for named in make(rows, curves, looks)]
