"""Figure 4-1 of Mianjy's thesis, and table 4-I as heatmaps of our values and the reported ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.papers.reported import reported_rows
from analysis.papers.thesis.completion import DRAWN_WIDTH, ORACLE, RATES, TEST, WIDTHS, by_seed, dataset_of, rows_of
from analysis.rows.current import succeeded

PAPER = "dropout_theory"
_COLUMNS = ("without, last", "without, best", *(f"dropout {rate:g}" for rate in RATES))
_GREY = "#4d4d4d"


def completion_curves(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 4-1: errors on training and test ratings and their gap over epochs, one line for each drop rate."""
    dataset = dataset_of(rows)
    trials = succeeded(rows_of(rows, dataset, DRAWN_WIDTH))
    points = curves[curves["trial_id"].isin(trials["trial_id"]) & (curves["metric"] == "rmse")]
    if points.empty or not {"validation", "test"} <= set(points["split"]):
        return []
    wide = points.pivot_table(index=["trial_id", "epoch"], columns="split", values="value").reset_index()
    wide = wide.merge(trials[["trial_id", "rate"]], on="trial_id")
    wide = wide.assign(gap=wide["test"] - wide["validation"])
    figure, axes = new_figure(3, width=3.9, height=3.4, num_columns=3)
    colours = dict(zip(RATES, sns.color_palette("flare", len(RATES)).as_hex(), strict=True)) | {0.0: _GREY}
    for axis, column, title in zip(
        axes, ("validation", "test", "gap"), ("training error", "test error", "gap"), strict=True
    ):
        for rate in (0.0, *RATES):
            over = wide[wide["rate"] == rate].groupby("epoch")[column]
            mean, std = over.mean(), over.std().fillna(0)
            label = "plain SGD" if rate == 0 else f"dropout {rate:g}"
            axis.plot(mean.index, mean, color=colours[rate], label=label, linewidth=1.6)
            axis.fill_between(mean.index, mean - std, mean + std, color="grey", alpha=0.25, linewidth=0)
        later = wide[wide["epoch"] >= 0.15 * wide["epoch"].max()][
            column
        ]  # the beginning would flatten all that follows
        axis.set(title=title, xlabel="epoch", ylim=(float(later.min()) - 0.03, float(later.max()) + 0.03))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    axes[0].set_ylabel("root mean squared error")
    axes[0].legend(fontsize=8)
    scale = trials["scale"].iloc[0]
    title = f"Mianjy's thesis, figure 4-1: width {DRAWN_WIDTH} on {dataset} (scale {scale})"
    return [("thesis-fig4-1", title, figure)]


def completion_tables(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Table 4-I: test errors by width and way of training, ours and the reported ones, each on its own colour scale."""
    dataset = dataset_of(rows)
    parts = {width: succeeded(rows_of(rows, dataset, width)) for width in WIDTHS}
    if all(part.empty for part in parts.values()):
        return []
    ours = pd.DataFrame({width: _entries(part) for width, part in parts.items()}).T
    scale = next(str(part["scale"].iloc[0]) for part in parts.values() if len(part))
    figure, axes = new_figure(2, width=6.6, height=3.0, num_columns=1)
    named = ((ours, f"ours: {dataset} (scale {scale})"), (_reported(), "reported: MovieLens-10M"))
    for axis, (table, title) in zip(axes, named, strict=True):
        sns.heatmap(table, annot=True, fmt=".3f", cmap="flare", cbar=False, ax=axis, linewidths=0.5)
        axis.set(title=title, ylabel="width", xlabel="")
        axis.tick_params(axis="x", rotation=0, labelsize=8)
        axis.tick_params(axis="y", rotation=0)
    return [("thesis-table4-1", "Mianjy's thesis, table 4-I: test error of matrix completion", figure)]


def _entries(rows: pd.DataFrame) -> dict[str, float]:
    """One row of the table."""
    found = [by_seed(rows, 0.0, TEST), by_seed(rows, 0.0, ORACLE), *(by_seed(rows, rate, TEST) for rate in RATES)]
    return {
        name: float(np.mean(list(values.values()))) if values else float("nan")
        for name, values in zip(_COLUMNS, found, strict=True)
    }


def _reported() -> pd.DataFrame:
    table = reported_rows(PAPER, "table4-1")
    width = table["setting"].str.extract(r"d1=(\d+)")[0].astype(int)
    rate = table["setting"].str.extract(r";p=([\d.]+)")[0]
    without = table["method"].map({"none": _COLUMNS[0], "early_stopping": _COLUMNS[1]})
    table = table.assign(width=width, column=without.fillna("dropout " + rate))
    wide = table.pivot_table(index="width", columns="column", values="reported")
    return wide.loc[list(WIDTHS), list(_COLUMNS)]
