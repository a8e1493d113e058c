"""Figure 4-2 of Mianjy's thesis: co-adaptation, generalization gap and total flow over the width."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.papers.thesis.co_adaptation import PLAIN, RATES, SYMMETRISED, WIDTHS, by_seed, rows_of
from analysis.rows.current import succeeded

_PANELS = (
    ("co_adaptation", r"co-adaptation $\phi$"),
    ("generalization_gap", "generalization gap"),
    ("alpha_over_sqrt_n", r"$\alpha / \sqrt{n}$"),
)
_GREY = "#4d4d4d"


def co_adaptation_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 4-2: three panels with symmetrised images above three without; dashed lines are the bounds of phi."""
    parts = [
        (title, succeeded(rows_of(rows, kind))) for title, kind in (("symmetrised", SYMMETRISED), ("plain", PLAIN))
    ]
    parts = [(title, part) for title, part in parts if len(part)]
    if not parts:
        return []
    figure, axes = new_figure(3 * len(parts), width=3.9, height=3.1, num_columns=3)
    colours = [_GREY, *sns.color_palette("flare", len(RATES) - 1).as_hex()]
    for place, (title, part) in enumerate(parts):
        for axis, (metric, label) in zip(axes[3 * place : 3 * place + 3], _PANELS, strict=True):
            for rate, colour in zip(RATES, colours, strict=True):
                values = [list(by_seed(part, width, rate, metric).values()) or [np.nan] for width in WIDTHS]
                mean = np.array([np.mean(each) for each in values])
                std = np.array([np.std(each, ddof=1) if len(each) > 1 else 0.0 for each in values])
                axis.plot(WIDTHS, mean, color=colour, marker="o", markersize=4, label=f"p = {rate:g}")
                axis.fill_between(WIDTHS, mean - std, mean + std, color="grey", alpha=0.2, linewidth=0)
            if metric == "co_adaptation":
                axis.axhline(1, color="black", linestyle="--", linewidth=1)
                axis.plot(WIDTHS, np.power(WIDTHS, -0.5), color="black", linestyle="--", linewidth=1)
                axis.set_ylim(0, 1.05)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_locator(FixedLocator(WIDTHS))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.set(title=f"{label}, {title}", xlabel="width")
    axes[0].legend(fontsize=8)
    scale = parts[0][1]["scale"].iloc[0]
    return [("thesis-fig4-2", f"Mianjy's thesis, figure 4-2: digits 4 and 7 (scale {scale})", figure)]
