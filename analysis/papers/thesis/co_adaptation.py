"""Figure 4-2 of Mianjy's thesis: which of our trials have which width and drop rate."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.papers.source import Counterpart
from analysis.rows.current import succeeded
from harness.records import METRIC_PREFIX, SCALES

WIDTHS = (16, 64, 256)
RATES = (0.0, 0.25, 0.5, 0.75)
PLAIN, SYMMETRISED = "thesis-fig4-2", "thesis-fig4-2-symmetrised"
TASKS = {kind: tuple(f"{kind}-width-{width}" for width in WIDTHS) for kind in (PLAIN, SYMMETRISED)}


def counterpart(row: Mapping[str, str]) -> Counterpart | None:
    """Our counterpart of the training accuracy in the text of section 4.6: that of the widest network."""
    if row["experiment"] != "fig4-2-text":
        return None
    setting = dict(part.split("=") for part in row["setting"].split(";"))
    return Counterpart(
        task=TASKS[PLAIN][-1],
        regularizer=row["method"],
        setting="" if row["method"] == "none" else f"drop_rate={setting['p']}",
        metric="train_accuracy",
        convert=lambda accuracy: 100 * accuracy,
    )


def rows_of(trials: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The successful default trials of all widths, at the scale closest to the thesis's, with `width` and `rate`."""
    rows = succeeded(trials[trials["task"].isin(TASKS[kind]) & (trials["role"] == "default")])
    scale = min(rows["scale"], key=SCALES.index, default="")
    rows = rows[(rows["scale"] == scale) & rows["regularizer"].isin(["none", "dropout"])]
    drop_rate = rows["hp.drop_rate"] if "hp.drop_rate" in rows.columns else pd.Series(0.0, index=rows.index)
    return rows.assign(
        width=rows["task"].str.extract(r"(\d+)$", expand=False).astype(int),
        rate=drop_rate.where(rows["regularizer"] == "dropout", 0.0).astype(float),
    )


def by_seed(rows: pd.DataFrame, width: int, rate: float, metric: str) -> dict[int, float]:
    """A metric of the trials of one cell, by seed."""
    column = f"{METRIC_PREFIX}{metric}"
    if column not in rows.columns:
        return {}
    chosen = rows[(rows["width"] == width) & (rows["rate"] == rate)]
    values = pd.to_numeric(chosen[column], errors="coerce").groupby(chosen["seed"]).mean().dropna()
    return {int(seed): float(value) for seed, value in zip(values.index, values, strict=True)}
