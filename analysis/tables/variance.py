"""Where the scatter of a contestant's values comes from: its seeds, the split of the data, its tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    notes = notes_of(rows)
    rows = rows[rows["role"].isin(["default", "confirm"]) & rows["status"].ne("skipped")]
    names = [*_CELL, "role", "metric", "higher_is_better", "status", "test_value", "campaign_id", "seed", "split_index"]
    cells: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for values in rows.reindex(columns=names).astype(object).itertuples(index=False, name=None):
        cells.setdefault(values[: len(_CELL)], []).append(dict(zip(names, values, strict=True)))
    table = []
    for cell in sorted(cells):
        confirmed = [trial for trial in cells[cell] if trial["role"] == "confirm"]
        chosen = confirmed or cells[cell]
        table += [(*cell, *each, len(chosen)) for each in _sources(chosen)]
    return with_notes(pd.DataFrame(table, columns=list(VARIANCE_COLUMNS)), notes)


def _sources(trials: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, float, int]]:
    """(source, variance, standard deviation, share, levels) of one cell."""
    known = next((trial for trial in trials if not pd.isna(trial["metric"])), None)
    if known is None or len(trials) < 2:
        return []
    worst = worst_value(known["metric"], bool(known["higher_is_better"]))
    values = np.array([_value(trial, worst) for trial in trials])
    if not np.isfinite(values).all():
        return []
    levels = {
        "tuning": np.array([str(trial["campaign_id"]) for trial in trials]),
        "split": np.array([0 if pd.isna(trial["split_index"]) else int(trial["split_index"]) for trial in trials]),
        "seed": np.array([int(trial["seed"]) for trial in trials]),
    }
    variances = components(values, **levels)
    total = sum(variances.values())
    counts = {name: len(set(each)) for name, each in levels.items()}
    return [
        (name, variance, variance**0.5, variance / total if total else np.nan, counts.get(name, len(values)))
        for name, variance in variances.items()
    ]


def _value(trial: Mapping[str, Any], worst: float) -> float:
    has_value = trial["status"] in SUCCESSES and not pd.isna(trial["test_value"])
    return float(trial["test_value"]) if has_value else worst


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
