"""Figure 4-2 of Mianjy's thesis: which of our trials have which width and drop rate."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.papers.source import Counterpart
from analysis.papers.thesis.trials import by_seed as trials_by_seed
from analysis.papers.thesis.trials import default_trials, with_rates
from harness.records import METRIC_PREFIX

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
    """The default trials of all widths, failed ones included, at the scale closest to the thesis's.

    They have the columns `width` and `rate`.
    """
    rows = with_rates(default_trials(trials, TASKS[kind]))
    return rows.assign(width=rows["task"].str.extract(r"(\d+)$", expand=False).astype(int))


def by_seed(rows: pd.DataFrame, width: int, rate: float, metric: str) -> dict[int, float]:
    """A metric of the trials of one cell, by seed; a failed seed has accuracy 0, and no value of another metric."""
    cell = rows[(rows["width"] == width) & (rows["rate"] == rate)]
    return trials_by_seed(cell, f"{METRIC_PREFIX}{metric}", worst=0.0 if metric == "accuracy" else math.nan)
