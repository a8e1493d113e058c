"""Claims of chapter 4 of Mianjy's thesis on dropout in matrix completion.

Orders are judged by tests on differences over seeds (`analysis.papers.thesis.differences`). Table 4-I was measured on
MovieLens-10M; other data sets can support its orders, but not contradict them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Claim, Judge, Judgement, Results
from analysis.papers.claims.theory_measures import LARGEST_RMS, LAW_MARGIN, ROUNDING
from analysis.papers.thesis.completion import (
    DRAWN_TASKS,
    DRAWN_WIDTH,
    ORACLE,
    RATES,
    TASKS,
    TEST,
    TRAIN,
    WIDTHS,
    best_dropout,
    by_seed,
    dataset_of,
    rows_of,
)
from analysis.papers.thesis.differences import judge_differences
from analysis.papers.thesis.trials import without_values
from analysis.rows.current import succeeded
from analysis.tables.statistics import Difference, difference_of_means
from harness.records import METRIC_PREFIX, SCALES

PAPER = "dropout_theory"
LEAST_GAIN = 0.01  # of dropout over the best iterate of plain descent
_BEST_AT_70 = 0.3


def _dropout_follows_its_law(results: Results) -> Judgement | None:
    names = [f"{METRIC_PREFIX}{name}" for name in ("dropout_deviation", "dropout_objective", "sampling_error")]
    rows = succeeded(results.trials[results.trials["task"].isin(TASKS) & (results.trials["regularizer"] == "dropout")])
    if rows.empty or not set(names) <= set(rows.columns):
        return None
    rows = rows.dropna(subset=names)
    rows = rows[rows[names[2]] > 0]
    if rows.empty:
        return None
    relative, objective, error = (rows[name].astype(float) for name in names)
    rms = float(np.sqrt((relative * objective / error).pow(2).mean()))
    uncertain = float((error / objective).pow(2).mean() ** 0.5 / len(rows) ** 0.5)
    farthest = abs(float(relative.mean())) + 2 * uncertain
    verdict = HOLDS if rms <= LARGEST_RMS else FAILS
    if verdict == HOLDS and farthest > LAW_MARGIN:
        verdict = f"{TOO_FEW}: the samples leave room for a deviation of {farthest:.0%}"
    return Judgement(
        verdict=verdict,
        value=rms,
        limit=LARGEST_RMS,
        measured=f"root mean square deviation {rms:.3g} standard errors over {len(rows)} trials, mean relative "
        f"deviation {relative.mean():+.2g}, largest {relative.abs().max():.2g}",
        num_trials=len(rows),
        scale=min(rows["scale"], key=SCALES.index),
    )


def _regularizer_is_never_below(results: Results) -> Judgement | None:
    names = [f"{METRIC_PREFIX}{name}" for name in ("induced_regularizer", "population_regularizer")]
    rows = succeeded(results.trials[results.trials["task"].isin(TASKS)])
    if rows.empty or not set(names) <= set(rows.columns):
        return None
    rows = rows.dropna(subset=names)
    if rows.empty:
        return None
    ratios = rows[names[0]].astype(float) / rows[names[1]].astype(float)
    value = float(ratios.max()) - 1
    return Judgement(
        verdict=HOLDS if value <= ROUNDING else FAILS,
        value=value,
        limit=ROUNDING,
        measured=f"squared weighted trace norm over the width, as a share of the regularizer: {ratios.min():.3f} to "
        f"{ratios.max():.3f} in {len(rows)} trials",
        num_trials=len(rows),
        scale=min(rows["scale"], key=SCALES.index),
    )


def _rises_with_the_rate(
    column: Callable[[pd.DataFrame], pd.Series], words: str
) -> Callable[[Results], Judgement | None]:
    """Judge whether a quantity increases from each drop rate to the next, at the width of figure 4-1."""

    def judge(results: Results) -> Judgement | None:
        dataset = dataset_of(results.trials)
        rows = rows_of(results.trials, dataset, DRAWN_WIDTH)
        if rows.empty:
            return None
        rows = rows.assign(measured=column(rows))
        differences = {}
        for smaller, larger in itertools.pairwise((0.0, *RATES)):
            first, second = (by_seed(rows, rate, "measured") for rate in (larger, smaller))
            if not first or not second:
                return without_values(rows)
            differences[f"rate {larger:g} against {smaller:g} on {dataset}"] = difference_of_means(first, second)
        return judge_differences(differences, rows, training="end", words=words)

    return judge


def _for_each_width(difference: Callable[[pd.DataFrame], Difference | None], words: str, least: float) -> Judge:
    """Judge whether a difference is above `least` at every width of table 4-I; None if a width was not run."""

    def judge(results: Results) -> Judgement | None:
        dataset = dataset_of(results.trials)
        parts = {width: rows_of(results.trials, dataset, width) for width in WIDTHS}
        rows = pd.concat(list(parts.values()))
        differences = {}
        for width, of_width in parts.items():
            found = None if of_width.empty else difference(of_width)
            if found is None:
                return without_values(rows)
            differences[f"width {width} on {dataset}"] = found
        elsewhere = _elsewhere(dataset)
        return judge_differences(differences, rows, training="end", least=least, words=words, elsewhere=elsewhere)

    return judge


def _gain_over_best_iterate(rows: pd.DataFrame) -> Difference | None:
    oracle, dropout = by_seed(rows, 0.0, ORACLE), best_dropout(rows)
    return difference_of_means(oracle, dropout) if oracle and dropout else None


def _minima_fall(results: Results) -> Judgement | None:
    dataset = dataset_of(results.trials)
    parts = {width: rows_of(results.trials, dataset, width) for width in WIDTHS}
    minima = {width: best_dropout(rows) for width, rows in parts.items() if len(rows)}
    rows = pd.concat(list(parts.values()))
    if len(minima) < len(WIDTHS) or not all(minima.values()):
        return without_values(rows)
    differences = {
        f"width {narrow} against {wide} on {dataset}": difference_of_means(minima[narrow], minima[wide])
        for narrow, wide in itertools.pairwise(WIDTHS)
    }
    words = "lowest error of the narrower less that of the wider factors"
    return judge_differences(differences, rows, training="end", words=words, elsewhere=_elsewhere(dataset))


def _best_rate(results: Results) -> Judgement | None:
    dataset = dataset_of(results.trials)
    rows = rows_of(results.trials, dataset, DRAWN_WIDTH)
    if rows.empty:
        return None
    errors = {rate: by_seed(rows, rate, TEST) for rate in RATES}
    if not all(errors.values()):
        return without_values(rows)
    differences = {
        f"rate {rate:g} on {dataset}": difference_of_means(errors[rate], errors[_BEST_AT_70])
        for rate in RATES
        if rate != _BEST_AT_70
    }
    words = f"error at another rate less that at {_BEST_AT_70}"
    return judge_differences(differences, rows, training="full", words=words, elsewhere=_elsewhere(dataset))


def _elsewhere(dataset: str) -> str:
    return "" if dataset == "MovieLens-10M" else f"measured on {dataset}, not on the thesis's MovieLens-10M"


def _claim(name: str, statement: str, tasks: tuple[str, ...], judge: Judge) -> Claim:
    return Claim(paper=PAPER, name=name, statement=statement, tasks=tasks, judge=judge)


COMPLETION_CLAIMS: tuple[Claim, ...] = (
    _claim(
        "Proposition 3, completion",
        "Dropout on the hidden units of a factor model minimises the loss plus p / (1 - p) times the regularizer R.",
        TASKS,
        _dropout_follows_its_law,
    ),
    _claim(
        "Proposition 4",
        "Where entries are drawn from a product law, R is not below the squared weighted trace norm over the width.",
        TASKS,
        _regularizer_is_never_below,
    ),
    _claim(
        "Figure 4-1, training error",
        f"The larger the drop rate, the larger the error on training ratings (width {DRAWN_WIDTH}).",
        DRAWN_TASKS,
        _rises_with_the_rate(lambda rows: rows[TRAIN], "training error at the larger rate less that at the smaller"),
    ),
    _claim(
        "Figure 4-1, gap",
        f"The larger the drop rate, the smaller the gap between test and training error (width {DRAWN_WIDTH}).",
        DRAWN_TASKS,
        _rises_with_the_rate(lambda rows: rows[TRAIN] - rows[TEST], "gap at the smaller rate less that at the larger"),
    ),
    _claim(
        "Table 4-I, best iterate",
        f"At each width the last iterate of dropout is better than the best iterate without, by more than {LEAST_GAIN} "
        "(the rate chosen on the other seeds, the best iterate on the test ratings).",
        TASKS,
        _for_each_width(
            _gain_over_best_iterate, "error of the best iterate without less the last with dropout", LEAST_GAIN
        ),
    ),
    _claim(
        "Table 4-I, widths",
        "The wider the factors, the lower the error of the best rate.",
        TASKS,
        _minima_fall,
    ),
    _claim(
        "Table 4-I, best rate",
        f"At width {DRAWN_WIDTH} the best drop rate is {_BEST_AT_70}.",
        DRAWN_TASKS,
        _best_rate,
    ),
)
