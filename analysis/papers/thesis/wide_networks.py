"""Chapter 5 of Mianjy's thesis: which of our trials correspond to its figures, and what they measured."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.papers.claims.evidence import DROP_RATE
from analysis.rows.current import succeeded
from harness.records import METRIC_PREFIX, SCALES

FIG_5_1 = "thesis-fig5-1"
WIDTHS = (100, 1_000, 10_000)  # required; two larger ones, for a GPU, are added if they were run
ALL_WIDTHS = (*WIDTHS, 100_000, 250_000)
SUBNETWORK_TASKS = {f"thesis-fig5-2-width-{width}": width for width in ALL_WIDTHS}
LAZY_TASKS = {f"thesis-fig5-lazy-width-{width}": width for width in WIDTHS}
SUBNETWORK_CONTESTANT, LAZY_CONTESTANT = "dropout", "lazy_dropout+max_norm"
EXAMPLES_PER_EPOCH = 25 * 64  # of the sub-networks' tasks: steps between two readings, and examples of a step


def rows_of_subnetworks(trials: pd.DataFrame) -> pd.DataFrame:
    """The default trials of figures 5-2 and 5-3, failed ones included; empty without all `WIDTHS`."""
    return _complete(trials, SUBNETWORK_TASKS, SUBNETWORK_CONTESTANT)


def rows_of_lazy(trials: pd.DataFrame) -> pd.DataFrame:
    """The default trials in the lazy regime, failed ones included; empty without all `WIDTHS`."""
    return _complete(trials, LAZY_TASKS, LAZY_CONTESTANT)


def _complete(trials: pd.DataFrame, tasks: dict[str, int], contestant: str) -> pd.DataFrame:
    """The trials at the scale closest to the thesis's with a success at all `WIDTHS`, with `width` and `rate`."""
    rows = trials[trials["task"].isin(list(tasks)) & (trials["role"] == "default") & (trials["status"] != "skipped")]
    rows = rows[rows["regularizer"] == contestant]
    if DROP_RATE in rows.columns:
        for scale in SCALES:
            found = rows[rows["scale"] == scale]
            widths = found["task"].map(tasks)
            if set(WIDTHS) <= set(widths[succeeded(found).index]):
                return found.assign(width=widths.astype(int), rate=found[DROP_RATE].astype(float))
    return rows.iloc[:0].assign(width=pd.Series(dtype=int), rate=pd.Series(dtype=float))


def table_of(rows: pd.DataFrame, metric: str, by: Sequence[str] = ("width", "rate")) -> pd.DataFrame:
    """A metric at the end of training: one row per seed, columns by width and drop rate; empty if it is missing."""
    column = f"{METRIC_PREFIX}{metric}"
    if rows.empty or column not in rows.columns:
        return pd.DataFrame()
    values = rows.assign(value=pd.to_numeric(rows[column], errors="coerce"))
    return values.pivot_table(index="seed", columns=list(by), values="value")


def readings_of(rows: pd.DataFrame, curves: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """One row per trial and epoch, one column per metric, with `width`, `rate` and `seed` of the trial."""
    points = curves[curves["trial_id"].isin(rows["trial_id"]) & (curves["split"] == split)]
    wide = points.pivot_table(index=["trial_id", "epoch"], columns="metric", values="value").reset_index()
    return wide.merge(rows[["trial_id", "width", "rate", "seed"]], on="trial_id")
