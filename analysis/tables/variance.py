"""Where the scatter of a contestant's values comes from: its seeds, the split of the data, its tuning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.rows.bounds import worst_value
from analysis.rows.current import rows_of_each_search
from analysis.rows.notes import notes_of, with_notes
from harness.records import SUCCESSES

VARIANCE_COLUMNS = ("scale", "task", "regularizer", "source", "variance", "std", "share", "num_levels", "num_trials")
_CELL = ["scale", "task", "regularizer"]


def variance_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and source of variance; columns `VARIANCE_COLUMNS`.

    In the model `y = mean + tuning_c + split_j + seed_s(c) + rest`, with independent effects, for campaigns c that each
    tuned anew (`--seed`), splits j that hold out other validation data (`--splits`) and seeds s of the trials, half the
    mean squared difference of two values estimates without bias: A = seed + rest for one campaign and split,
    B = split + rest for one seed, C = seed + split + rest where both differ, D = tuning + seed + rest for one split of
    two campaigns. Hence `split = C - A`, `seed = C - B`, `rest = A + B - C`, `tuning = D - A` (moments, as in the
    analysis of variance: Searle et al. 1992, chapter 4; the sources are those of Bouthillier et al. 2021, "Accounting
    for variance in machine learning benchmarks"). Negative estimates count as 0. With one split `seed` holds the rest,
    too.

    Values are test values of confirmed winners, of each campaign its own, or else of default trials; seeds that failed
    count as the worst value. A cell with an infinite value, or with one trial, has no row.
    """
    rows = rows_of_each_search(trials)
    rows = rows[rows["role"].isin(["default", "confirm"]) & rows["status"].ne("skipped")]
    table = []
    for cell, of_cell in rows.groupby(_CELL, sort=True):
        confirmed = of_cell[of_cell["role"] == "confirm"]
        chosen = confirmed if len(confirmed) else of_cell
        table += [(*cell, *each, len(chosen)) for each in _sources(chosen)]
    return with_notes(pd.DataFrame(table, columns=list(VARIANCE_COLUMNS)), notes_of(rows))


def _sources(rows: pd.DataFrame) -> list[tuple[str, float, float, float, int]]:
    """(source, variance, standard deviation, share, levels) of one cell."""
    known = rows[["metric", "higher_is_better"]].dropna()
    worst = worst_value(str(known["metric"].iloc[0]), bool(known["higher_is_better"].iloc[0])) if len(known) else np.nan
    values = rows["test_value"].astype(float).where(rows["status"].isin(SUCCESSES), worst).fillna(worst).to_numpy()
    if len(values) < 2 or not np.isfinite(values).all():
        return []
    split = rows["split_index"].astype("Int64").fillna(0).to_numpy() if "split_index" in rows else np.zeros(len(rows))
    levels = {"tuning": rows["campaign_id"].fillna("").to_numpy(), "split": split, "seed": rows["seed"].to_numpy()}
    variances = components(values, **levels)
    total = sum(variances.values())
    counts = {name: len(set(each)) for name, each in levels.items()}
    return [
        (name, variance, variance**0.5, variance / total if total else np.nan, counts.get(name, len(values)))
        for name, variance in variances.items()
    ]


def components(values: np.ndarray, tuning: np.ndarray, split: np.ndarray, seed: np.ndarray) -> Mapping[str, float]:
    """By source: the variance that `variance_table` tells, from values and the campaign, split and seed of each."""
    half_squares = (values[:, None] - values[None, :]) ** 2 / 2
    same_tuning, same_split, same_seed = (each[:, None] == each[None, :] for each in (tuning, split, seed))

    def mean(pairs: np.ndarray) -> float:
        return float(half_squares[pairs].mean()) if pairs.any() else np.nan

    other_seed = mean(same_tuning & same_split & ~same_seed)
    other_split = mean(same_tuning & ~same_split & same_seed)
    both = mean(same_tuning & ~same_split & ~same_seed)
    found = {"tuning": mean(~same_tuning & same_split) - other_seed}
    if np.isfinite([other_seed, other_split, both]).all():
        found |= {"split": both - other_seed, "seed": both - other_split, "rest": other_seed + other_split - both}
    else:
        found |= {"split": other_split, "seed": other_seed}
    return {name: max(0.0, value) for name, value in found.items() if np.isfinite(value)}
