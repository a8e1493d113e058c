"""Figures of sweeps: lines for one hyperparameter, heatmaps for several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.figures.heatmaps import draw_map
from analysis.tables.statistics import spans_decades
from analysis.tables.sweeps import Sweep, short_name, value_text

_INCHES_PER_LETTER = 0.1
_COLOUR_BAR = 1.8  # inches, with its label
_BLUE = sns.color_palette("colorblind").as_hex()[0]


def plot_sweep(sweep: Sweep) -> Figure:
    """Plot a sweep: a line with error bars if one hyperparameter varies, else a heatmap with the best value framed."""
    if len(sweep.names) == 1:
        return _line(sweep)
    table = sweep.laid_out()
    title = _title(sweep)
    beside = _INCHES_PER_LETTER * max(len(str(row)) for row in table.index) + _COLOUR_BAR
    width = max(5.6, beside + 0.7 * len(table.columns), _INCHES_PER_LETTER * len(title))
    figure, (axis,) = new_figure(1, width=width, height=max(2.6, 1.6 + 0.36 * len(table)))
    draw_map(axis, table, sweep.label, higher_is_better=sweep.higher_is_better, best="of all")
    figure.suptitle(title, x=0.01, horizontalalignment="left")
    return figure


def _line(sweep: Sweep) -> Figure:
    (name,) = sweep.names
    figure, (axis,) = new_figure(1, width=max(5.6, _INCHES_PER_LETTER * len(_title(sweep))), height=3.4)
    table = sweep.table
    places = pd.to_numeric(table[name], errors="coerce")
    positions = np.arange(len(table)) if places.isna().any() else places.to_numpy(dtype=float)
    axis.errorbar(positions, table["mean"], yerr=table["std"].fillna(0), fmt="o-", capsize=3, color=_BLUE)
    if places.isna().any():
        axis.set_xticks(positions, [value_text(value) for value in table[name]])
    elif spans_decades(float(places.min()), float(places.max()), 1.5):
        axis.set_xscale("log")
    axis.set_xlabel(short_name(name))
    axis.set_ylabel(sweep.label)
    figure.suptitle(_title(sweep), x=0.01, horizontalalignment="left")
    return figure


def _title(sweep: Sweep) -> str:
    return f"{sweep.regularizer} on {sweep.task} ({sweep.scale} scale)"
