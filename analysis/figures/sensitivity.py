"""The sensitivity to each hyperparameter as curves."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.tables.sensitivity import MANY_VALUES, sensitivity_table


def plot_sensitivity(
    trials: pd.DataFrame, rows: str, columns: str | None = None, value: str = "validation_value", **narrow: Any
) -> Figure:
    """The picture of `sensitivity_table`: a line (points, where a search drew the values), or a map of two columns."""
    import seaborn as sns

    from analysis.figures.canvas import new_figure

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
        if values.min() > 0 and values.max() / values.min() > 100:
            axis.set_xscale("log")
    axis.set_title(" · ".join(str(each) for each in _names(narrow)) or value.replace("_", " "))
    return figure


def _names(narrow: dict[str, Any]) -> list[Any]:
    return [narrow[name] for name in ("task", "regularizer", "scale") if narrow.get(name)]
