"""Variance components of the test values of a cell: seeds, validation splits and tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.rows.bounds import worst_value
from analysis.rows.current import rows_of_each_search
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.numbering import setting_numbers
from analysis.shown.column import ALWAYS, number, text
from analysis.shown.formats import share, spread
from analysis.tables.statistic import Statistic
from harness.records import SUCCESSES

VARIANCE_COLUMNS = ("scale", "task", "regularizer", "source", "variance", "std", "share", "num_levels", "num_trials")
_CELL = ["scale", "task", "regularizer"]


def variance_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Variance components: one row per cell and source of variance.

    The model is `y = mean + tuning_c + split_j + seed_s(c) + rest` with independent random effects, for campaigns c
    with independent tuning (`--seed`), splits j with different validation data (`--splits`) and seeds s of the trials.
    Half the mean squared difference of two values is an unbiased estimate of

    - A = seed + rest, if only the seeds differ,
    - B = split + rest, if only the splits differ,
    - C = seed + split + rest, if seeds and splits differ,
    - D = tuning + seed + rest, for two campaigns and one split.

    Hence `split = C - A`, `seed = C - B`, `rest = A + B - C` and `tuning = D - A` (method of moments, Searle et al.
    1992, "Variance components", chapter 4; the sources are those of Bouthillier et al. 2021, "Accounting for variance
    in machine learning benchmarks"). Negative estimates are set to 0. If all values are of one split, `rest` cannot be
    separated from `seed` and is included in it.

    The values are the test values of the confirmed winners of each campaign, or of the default trials if there are
    none. Default trials are not tuned, and those of a sweep are compared with others of their setting only. Failed
    seeds have the worst value of the metric. Cells with an infinite value or with a single trial are left out.

    The columns:

    - `scale`, `task`, `regularizer`
    - `source`: "tuning", "split", "seed" or "rest"; only those that these trials can estimate
    - `variance`, `std`: of the test value by this source, in the metric's unit (squared for `variance`)
    - `share`: of the sum over the sources, in [0, 1]; NaN if all are 0
    - `num_levels`: number of distinct campaigns, splits or seeds; for "rest" the number of trials
    - `num_trials`: number of trials of the cell

    Args:
        trials: from `load_trials`.
    """
    rows = rows_of_each_search(trials)
    notes = notes_of(rows)
    rows = rows[rows["role"].isin(["default", "confirm"]) & rows["status"].ne("skipped")]
    names = [
        *_CELL, "role", "metric", "higher_is_better", "status", "test_value", "campaign_id", "seed", "split_index",
        "setting",
    ]  # fmt: skip
    cells: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for values in (
        rows.assign(setting=setting_numbers(rows))
        .reindex(columns=names)
        .astype(object)
        .itertuples(index=False, name=None)
    ):
        cells.setdefault(values[: len(_CELL)], []).append(dict(zip(names, values, strict=True)))
    table = []
    for cell in sorted(cells):
        confirmed = [trial for trial in cells[cell] if trial["role"] == "confirm"]
        chosen = confirmed or cells[cell]
        table += [(*cell, *each, len(chosen)) for each in _sources(chosen)]
    return with_notes(pd.DataFrame(table, columns=list(VARIANCE_COLUMNS)), notes)


def _sources(trials: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, float, int]]:
    """The rows of one cell: source, variance, std, share, num_levels."""
    known = next((trial for trial in trials if not pd.isna(trial["metric"])), None)
    if known is None or len(trials) < 2:
        return []
    worst = worst_value(known["metric"], bool(known["higher_is_better"]))
    values = np.array([_value(trial, worst) for trial in trials])
    if not np.isfinite(values).all():
        return []
    is_tuned = trials[0]["role"] == "confirm"
    settings = np.array([0 if is_tuned else trial["setting"] for trial in trials])
    levels = {
        "tuning": np.array([str(trial["campaign_id"]) if is_tuned else "" for trial in trials]),
        "split": np.array([0 if pd.isna(trial["split_index"]) else int(trial["split_index"]) for trial in trials]),
        "seed": np.array([int(trial["seed"]) for trial in trials]),
    }
    variances = components(values, **levels, setting=settings)
    total = sum(variances.values())
    counts = {name: len(set(each)) for name, each in levels.items()}
    return [
        (name, variance, variance**0.5, variance / total if total else np.nan, counts.get(name, len(values)))
        for name, variance in variances.items()
    ]


def _value(trial: Mapping[str, Any], worst: float) -> float:
    has_value = trial["status"] in SUCCESSES and not pd.isna(trial["test_value"])
    return float(trial["test_value"]) if has_value else worst


def components(
    values: np.ndarray,
    tuning: np.ndarray,
    split: np.ndarray,
    seed: np.ndarray,
    setting: np.ndarray | None = None,
) -> Mapping[str, float]:
    """The variance by source, as defined in `variance_table`.

    Args:
        values: shape (n,).
        tuning: the campaign of each value, shape (n,).
        split: its validation split, shape (n,).
        seed: its seed, shape (n,).
        setting: its hyperparameters, shape (n,), if only values of equal ones may be compared.
    """
    half_squares = (values[:, None] - values[None, :]) ** 2 / 2
    same_tuning, same_split, same_seed = (each[:, None] == each[None, :] for each in (tuning, split, seed))

    is_comparable = np.ones_like(same_seed) if setting is None else setting[:, None] == setting[None, :]

    def mean(pairs: np.ndarray) -> float:
        pairs = pairs & is_comparable
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


VARIANCES = Statistic(
    title="sources of variance",
    source="Variance components by the method of moments (Searle et al. 1992; Bouthillier et al. 2021). "
    "`regarena run --splits` adds the splits, campaigns with other --seed add the tuning.",
    make=variance_table,
    takes_scores=False,
    columns=(
        text("task", weight=ALWAYS),
        text("regularizer", weight=ALWAYS),
        text("source", weight=ALWAYS),
        number("std", "standard deviation", spread, legend="Of the test value due to this source.", weight=ALWAYS),
        number("share", "share of variance", share, legend="Of the sum over all sources.", weight=80),
        number("num_levels", "levels", legend="Number of distinct seeds, splits or campaigns.", weight=60),
        number("num_trials", "trials", weight=50),
    ),
)
