"""Parts of the theory's figures: curves with bands, horizontal lines, contours, text in an empty panel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, RED = (sns.color_palette("colorblind").as_hex()[place] for place in (0, 1, 2, 3))
_MOST_PANELS = 3  # of a sweep, where the paper shows one setting


def add_line(
    axis: Axes, read: pd.DataFrame, metric: str, label: str, colour: str, dash: str = "-", marker: str | None = None
) -> None:
    """Draw the mean of a metric over seeds by iteration, and a band of ± one standard deviation."""
    values = read.groupby("iteration")[metric]
    mean, std = values.mean(), values.std().fillna(0)
    axis.plot(mean.index, mean, dash, color=colour, label=label, marker=marker, markersize=4, linewidth=1.8)
    low = np.maximum(mean - std, mean * 0.05)  # positive, for logarithmic axes
    axis.fill_between(mean.index, low, mean + std, color="grey", alpha=0.25, linewidth=0)


def add_level(axis: Axes, value: float, label: str) -> None:
    """Draw a dashed horizontal line."""
    axis.axhline(value, color=RED, linestyle=(0, (4, 2)), linewidth=1.5, label=label)


def add_words(axis: Axes, words: str) -> None:
    """Write into an empty panel why it is empty."""
    axis.text(0.5, 0.5, words, transform=axis.transAxes, horizontalalignment="center", color="grey")
    axis.set(xticks=[], yticks=[])


def label_objective(axis: Axes, label: str = "objective") -> None:
    """Set a logarithmic axis, its label and the legend."""
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(MaxNLocator(4))  # more labels of five digits would overlap
    axis.set_xlabel("iteration")
    axis.set_ylabel(label)
    axis.legend(fontsize=8)


def add_contours(axis: Axes, landscape: pd.DataFrame, rate: float) -> None:
    """Draw the contours of the landscape at one drop rate."""
    x, y, height = grid_of(landscape, rate)
    steps = np.linspace(0.04, 0.9, 16) ** 2  # dense near the minima, where the landscape is flat
    levels = height.min() + (height.max() - height.min()) * steps
    axis.contour(x, y, height, levels=levels, cmap="viridis", linewidths=0.9)
    axis.set_xlabel("$u_1$")
    axis.set_ylabel("$u_2$")
    axis.set_aspect("equal")


def grid_of(landscape: pd.DataFrame, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The landscape at one drop rate as arrays x, y and height, each of shape (y, x)."""
    table = landscape[landscape["drop_rate"] == rate].pivot_table(index="y", columns="x", values="value")
    x, y = np.meshgrid(table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float))
    return x, y, table.to_numpy(dtype=float)


def few_of(rates: Iterable[float]) -> list[float]:
    """The smallest, the middle and the largest rate if there are more than three."""
    ordered = sorted(rates)
    if len(ordered) <= _MOST_PANELS:
        return ordered
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
