"""The importances of hyperparameters as a heatmap."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.figures.heatmaps import draw_map


def plot_importances(table: pd.DataFrame) -> Figure:
    """Plot the `importance_table` of one task: one row per contestant, one column per hyperparameter."""
    shares = table.pivot_table(index="regularizer", columns="hyperparameter", values="importance")
    order = shares.mean().sort_values(ascending=False).index
    figure, (axis,) = new_figure(1, width=3.6 + 0.75 * len(order), height=2.4 + 0.36 * len(shares))
    draw_map(axis, shares[order], "importance", higher_is_better=True, best="of each row")
    axis.tick_params(axis="x", rotation=40)
    for label in axis.get_xticklabels():
        label.set_horizontalalignment("right")
    axis.set_xlabel("")
    axis.set_title(str(table["task"].iloc[0]), loc="left")
    return figure
