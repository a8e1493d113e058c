"""Figures of sensitivity tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.tables.sensitivity import MANY_VALUES, sensitivity_table
from analysis.tables.statistics import spans_decades


def plot_sensitivity(
    trials: pd.DataFrame, rows: str, columns: str | None = None, value: str = "validation_value", **narrow: Any
) -> Figure:
    """Plot a `sensitivity_table`: a line with error bars for one hyperparameter, a heatmap for two.

    With many values of the hyperparameter, as from a search, points are drawn without a line. Error bars are one
    standard deviation.

    Args:
        trials: from `load_trials`.
        rows: as in `sensitivity_table`.
        columns: as in `sensitivity_table`.
        value: as in `sensitivity_table`.
        narrow: `task`, `regularizer`, `scale`, `role` and `where` of `sensitivity_table`.

    Raises:
        ValueError: as `sensitivity_table`.
    """
    table = sensitivity_table(trials, rows, columns, value, **narrow)
    rows = str(table.index.name)
    figure, (axis,) = new_figure(1, height=3.6)
    if columns is not None:
        fits = table.size <= MANY_VALUES**2
        label = {"label": value.replace("_", " ")}
        sns.heatmap(table.sort_index(ascending=False), ax=axis, cmap="cividis", annot=fits, fmt=".3g", cbar_kws=label)
    else:
        points = table.reset_index()
        style = "o-" if len(points) <= MANY_VALUES else "o"
        axis.errorbar(points[rows], points["mean"], yerr=points["std"].fillna(0), fmt=style, capsize=3, color="#0173b2")
        axis.set_xlabel(rows.removeprefix("hp."))
        axis.set_ylabel(value.replace("_", " "))
        values = pd.to_numeric(points[rows], errors="coerce")
        if spans_decades(float(values.min()), float(values.max())):
            axis.set_xscale("log")
    axis.set_title(" · ".join(str(each) for each in _names(narrow)) or value.replace("_", " "))
    return figure


def _names(narrow: dict[str, Any]) -> list[Any]:
    return [narrow[name] for name in ("task", "regularizer", "scale") if narrow.get(name)]
