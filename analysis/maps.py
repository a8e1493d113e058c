"""Tables of numbers as coloured maps, the best of each row or of all framed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

MOST_ANNOTATED = 144  # places whose numbers can still be read
_FRAME = "#d55e00"


def draw_map(
    axis: Axes, table: pd.DataFrame, label: str, *, higher_is_better: bool, best: Literal["of each row", "of all"]
) -> None:
    """Bright is good. Places without a value stay empty; rows are labelled level, columns as numbers."""
    sns.heatmap(
        table.astype(float),
        ax=axis,
        cmap="cividis" if higher_is_better else "cividis_r",
        annot=table.size <= MOST_ANNOTATED,
        fmt=".2f",
        annot_kws={"fontsize": 9},
        xticklabels=[f"{value:.4g}" if isinstance(value, float) else str(value) for value in table.columns],
        yticklabels=[str(name) for name in table.index],
        cbar_kws={"label": label},
    )
    loss = table.to_numpy(dtype=float) * (-1 if higher_is_better else 1)
    loss = np.where(np.isnan(loss), np.inf, loss)
    for row in range(len(loss)):
        is_best = np.isfinite(loss[row].min()) and (best == "of each row" or loss[row].min() == loss.min())
        if is_best:
            column = int(loss[row].argmin())
            axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=_FRAME, linewidth=2.5, clip_on=False))
    axis.tick_params(axis="y", rotation=0)
    axis.tick_params(axis="x", rotation=0)
    axis.set_ylabel("")
