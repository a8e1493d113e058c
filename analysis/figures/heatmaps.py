"""Heatmaps of tables, with a frame around the best value of each row or of the whole table."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

MOST_ANNOTATED = 144  # entries; the numbers of more could not be read
_FRAME = "#d55e00"


def draw_map(
    axis: Axes,
    table: pd.DataFrame,
    label: str,
    *,
    higher_is_better: bool,
    best: Literal["of each row", "of all"],
    colours: Literal["of each row", "of all"] = "of all",
) -> None:
    """Draw a heatmap on an axis; bright colours are good values, and missing values stay empty.

    Args:
        axis: to draw on.
        table: numbers by row and column.
        label: of the colour bar.
        higher_is_better: the direction of the values.
        best: which value gets a frame.
        colours: "of each row" scales the colours of each row separately, for rows of different magnitudes.
    """
    numbers = table.astype(float)
    by_row = colours == "of each row"
    shown = _relative(numbers) if by_row else numbers
    sns.heatmap(
        shown,
        ax=axis,
        cmap="cividis" if higher_is_better else "cividis_r",
        annot=numbers.to_numpy() if numbers.notna().to_numpy().sum() <= MOST_ANNOTATED else False,
        fmt=".2f" if numbers.abs().min().min() >= 1 else ".3g",
        annot_kws={"fontsize": 9},
        xticklabels=False,  # seaborn would lay long names out vertically first, which may not fit
        yticklabels=False,
        cbar=not by_row,
        cbar_kws=None if by_row else {"label": label},
    )
    loss = table.to_numpy(dtype=float) * (-1 if higher_is_better else 1)
    loss = np.where(np.isnan(loss), np.inf, loss)
    for row in range(len(loss)):
        is_best = np.isfinite(loss[row].min()) and (best == "of each row" or loss[row].min() == loss.min())
        if is_best:
            column = int(loss[row].argmin())
            axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=_FRAME, linewidth=2.5, clip_on=False))
    names = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in table.columns]
    axis.set_xticks(np.arange(len(names)) + 0.5, names)
    axis.set_yticks(np.arange(len(table)) + 0.5, [str(name) for name in table.index])
    axis.tick_params(length=0)
    axis.set_ylabel("")
    axis.grid(visible=False)


def _relative(numbers: pd.DataFrame) -> pd.DataFrame:
    """Each row scaled to [0, 1]."""
    smallest, largest = numbers.min(axis="columns"), numbers.max(axis="columns")
    return numbers.sub(smallest, axis="index").div((largest - smallest).replace(0.0, 1.0), axis="index")
