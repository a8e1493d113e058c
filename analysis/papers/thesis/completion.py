"""Table 4-I of Mianjy's thesis: which of our trials correspond to its entries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.papers.source import Counterpart
from analysis.papers.thesis.trials import by_seed as trials_by_seed
from analysis.papers.thesis.trials import default_trials, with_rates
from harness.records import METRIC_PREFIX

WIDTHS = (30, 70, 110, 150, 190)
RATES = (0.1, 0.2, 0.3, 0.4)
DRAWN_WIDTH = 70  # of figure 4-1
TEST, TRAIN, ORACLE = "test_value", "train_value", f"{METRIC_PREFIX}oracle_rmse"
_SETS = {"MovieLens-10M": "thesis-table4-1-10m", "MovieLens-100K": "thesis-table4-1"}  # first the thesis's own


def task_of(dataset: str, width: int) -> str:
    """Our task for one width on one data set.

    >>> task_of("MovieLens-100K", 70)
    'thesis-table4-1-width-70'
    """
    return f"{_SETS[dataset]}-width-{width}"


TASKS = tuple(task_of(dataset, width) for dataset in _SETS for width in WIDTHS)
DRAWN_TASKS = tuple(task_of(dataset, DRAWN_WIDTH) for dataset in _SETS)


def counterpart(row: Mapping[str, str]) -> Counterpart | None:
    """Our counterpart of a reported value of table 4-I; None for those of other tables."""
    if row["experiment"] != "table4-1":
        return None
    setting = dict(part.split("=") for part in row["setting"].split(";"))
    width = int(setting["d1"])
    return Counterpart(
        task=task_of("MovieLens-10M", width),
        regularizer="dropout" if "p" in setting else "none",
        setting=f"drop_rate={setting['p']}" if "p" in setting else "",
        metric="oracle_rmse" if row["method"] == "early_stopping" else "rmse",
        stand_ins={task_of("MovieLens-100K", width): "measured on MovieLens-100K"},
    )


def dataset_of(trials: pd.DataFrame) -> str:
    """The data set on which the table was run: the thesis's own if there are trials on it."""
    ran = set(trials["task"])
    return next((name for name in _SETS if any(task_of(name, width) in ran for width in WIDTHS)), "MovieLens-100K")


def rows_of(trials: pd.DataFrame, dataset: str, width: int) -> pd.DataFrame:
    """The default trials without and with dropout at one width, at the scale closest to the thesis's.

    Failed trials are included. The column `rate` is the drop rate, 0 without dropout.
    """
    rows = default_trials(trials, [task_of(dataset, each) for each in WIDTHS])
    return with_rates(rows[rows["task"] == task_of(dataset, width)])


def by_seed(rows: pd.DataFrame, rate: float, column: str) -> dict[int, float]:
    """A column of the trials of one rate, by seed; empty if one of them failed."""
    return trials_by_seed(rows[rows["rate"] == rate], column)


def best_dropout(rows: pd.DataFrame) -> dict[int, float]:
    """The last test error of dropout by seed, at the drop rate that is best in the mean over the other seeds.

    The rate is chosen on other seeds than it is evaluated on, so that there is no selection bias; with a single seed
    it is the rate with the lowest error of that seed. A rate with a failed seed is not chosen.
    """
    errors = [values for rate in RATES if (values := by_seed(rows, rate, TEST))]
    if not errors:
        return {}
    seeds = sorted(set.intersection(*map(set, errors)))
    table = np.array([[values[seed] for seed in seeds] for values in errors])  # rates x seeds
    others = table.sum(1, keepdims=True) - table if len(seeds) > 1 else table
    return {
        seed: float(table[rate, place]) for place, (seed, rate) in enumerate(zip(seeds, others.argmin(0), strict=True))
    }
