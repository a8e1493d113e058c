"""Claims of figure 4-2 of Mianjy's thesis on co-adaptation, the generalization gap and the total flow.

Orders are judged by tests on differences over seeds (`analysis.papers.thesis.differences`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import pandas as pd
from scipy import stats

from analysis.papers.claims.claim import FAILS, HOLDS, Claim, Judge, Judgement, Results
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED, one_is_beyond
from analysis.papers.claims.theory_measures import ROUNDING
from analysis.papers.thesis.co_adaptation import PLAIN, RATES, SYMMETRISED, TASKS, WIDTHS, by_seed, rows_of
from analysis.papers.thesis.differences import judge_differences
from analysis.papers.thesis.trials import without_values
from analysis.rows.current import succeeded
from analysis.tables.statistics import difference_of_means
from harness.records import METRIC_PREFIX, SCALES

PAPER = "dropout_theory"
LARGEST_LOSS = 0.005  # of accuracy by symmetrised images that counts as none
KINDS = {PLAIN: "", SYMMETRISED: ", symmetrised"}

Cell = tuple[int, float]  # width, drop rate


def _with_rates(rates: Sequence[tuple[float, float]]) -> list[tuple[Cell, Cell]]:
    """The pairs of cells of each width with these pairs of rates; the second is claimed to have the larger value."""
    return [((width, smaller), (width, larger)) for width in WIDTHS for smaller, larger in rates]


_NEXT_RATES = _with_rates(list(itertools.pairwise(RATES)))
_ANY_DROPOUT = _with_rates([(RATES[0], rate) for rate in RATES[1:]])
_NEXT_WIDTHS = [((narrow, rate), (wide, rate)) for rate in RATES for narrow, wide in itertools.pairwise(WIDTHS)]


def _larger(kind: str, metric: str, pairs: Iterable[tuple[Cell, Cell]], words: str, *, falls: bool = False) -> Judge:
    """Judge whether the metric is larger in the second cell of each pair than in the first (smaller if it `falls`)."""

    def judge(results: Results) -> Judgement | None:
        rows, differences = rows_of(results.trials, kind), {}
        for first, second in pairs:
            smaller, larger = (second, first) if falls else (first, second)
            high, low = by_seed(rows, *larger, metric), by_seed(rows, *smaller, metric)
            if not high or not low:
                return without_values(rows)
            differences[_named(first, second)] = difference_of_means(high, low)
        return judge_differences(differences, rows, training="end", words=words)

    return judge


def _named(first: Cell, second: Cell) -> str:
    if first[0] == second[0]:
        return f"width {first[0]}, rate {second[1]:g} against {first[1]:g}"
    return f"rate {first[1]:g}, width {second[0]} against {first[0]}"


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's correlation; 0 if one of the two is the same for all cells."""
    if min(first) == max(first) or min(second) == max(second):
        return 0.0
    return float(stats.spearmanr(first, second).statistic)


def _flow_orders_the_gap(kind: str) -> Judge:
    """Judge whether the mean over seeds of Spearman's correlation over the cells is significantly above 0."""

    def judge(results: Results) -> Judgement | None:
        rows = rows_of(results.trials, kind)
        cells = list(itertools.product(WIDTHS, RATES))
        flow, gap = (
            [by_seed(rows, *cell, metric) for cell in cells] for metric in ("alpha_over_sqrt_n", "generalization_gap")
        )
        if not all([*flow, *gap]):
            return without_values(rows)
        seeds = set.intersection(*map(set, [*flow, *gap]))
        correlations = {
            seed: _rank_correlation([each[seed] for each in flow], [each[seed] for each in gap])
            for seed in sorted(seeds)
        }
        if not correlations:
            return None
        difference = difference_of_means(correlations, dict.fromkeys(correlations, 0.0)).within(-1, 1)
        words = f"rank correlation of alpha / sqrt(n) with the gap over {len(cells)} widths and rates"
        return judge_differences({"mean over seeds": difference}, rows, training="end", words=words)

    return judge


def _flow_is_bounded(results: Results) -> Judgement | None:
    column = f"{METRIC_PREFIX}flow_excess"
    rows = succeeded(pd.concat([rows_of(results.trials, kind) for kind in KINDS]))
    if column not in rows.columns or rows[column].dropna().empty:
        return None
    value = float(rows[column].max())
    return Judgement(
        verdict=HOLDS if value <= ROUNDING else FAILS,
        value=value,
        limit=ROUNDING,
        measured=f"alpha over its bound, less 1: {rows[column].min():.3f} to {value:.3f} in {len(rows)} trials",
        num_trials=len(rows),
        scale=min(rows["scale"], key=SCALES.index),
    )


def _symmetry_costs_nothing(results: Results) -> Judgement | None:
    """Judge whether the 95 % interval of each cell's loss of accuracy is below the limit.

    It is not if one loss is significantly above, after Holm's correction over the cells.
    """
    plain, symmetrised = (rows_of(results.trials, kind) for kind in (PLAIN, SYMMETRISED))
    rows = pd.concat([plain, symmetrised])
    losses = {}
    for width, rate in itertools.product(WIDTHS, RATES):
        without, with_signs = (by_seed(of_kind, width, rate, "accuracy") for of_kind in (plain, symmetrised))
        if not without or not with_signs:
            return without_values(rows)
        losses[f"width {width}, rate {rate:g}"] = difference_of_means(without, with_signs)
    worst = max(losses, key=lambda name: losses[name].mean)
    scale = min(rows["scale"], key=SCALES.index)
    if any(math.isnan(each.high) for each in losses.values()):
        verdict = ONE_SEED
    elif all(each.high <= LARGEST_LOSS for each in losses.values()):
        verdict = HOLDS
    elif one_is_beyond(list(losses.values()), LARGEST_LOSS, 1):
        early = f"not comparable: scale {scale} ends training too early to contradict it"
        verdict = FAILS if scale == "paper" else early
    else:
        verdict = UNDECIDED
    return Judgement(
        verdict=verdict,
        value=float(max(each.mean if math.isnan(each.high) else each.high for each in losses.values())),
        limit=LARGEST_LOSS,
        measured=f"accuracy without less that with symmetrised images: {losses[worst].mean:+.4f} ({worst}, the largest "
        f"of {len(losses)})",
        num_trials=len(rows),
        scale=scale,
    )


def _claim(kind: str, name: str, statement: str, judge: Judge) -> Claim:
    name = f"Figure 4-2{KINDS[kind]}, {name}"
    return Claim(paper=PAPER, name=name, statement=statement, tasks=TASKS[kind], judge=judge)


def _claims_of(kind: str) -> tuple[Claim, ...]:
    return (
        _claim(
            kind,
            "phi under dropout",
            "With dropout units are less co-adapted than without (phi is larger), at each width.",
            _larger(kind, "co_adaptation", _ANY_DROPOUT, "phi with dropout less that without"),
        ),
        _claim(
            kind,
            "phi by rate",
            "The larger the drop rate, the less co-adapted are units (the larger is phi), at each width.",
            _larger(kind, "co_adaptation", _NEXT_RATES, "phi at the larger rate less that at the smaller"),
        ),
        _claim(
            kind,
            "phi by width",
            "The wider the network, the more co-adapted are units (the smaller is phi), at each rate.",
            _larger(kind, "co_adaptation", _NEXT_WIDTHS, "phi of the narrower less that of the wider", falls=True),
        ),
        _claim(
            kind,
            "gap by rate",
            "The larger the drop rate, the smaller the gap between test and training error, at each width.",
            _larger(
                kind, "generalization_gap", _NEXT_RATES, "gap at the smaller rate less that at the larger", falls=True
            ),
        ),
        _claim(
            kind,
            "gap by width",
            "The wider the network, the larger the gap between test and training error, at each rate.",
            _larger(kind, "generalization_gap", _NEXT_WIDTHS, "gap of the wider less that of the narrower"),
        ),
        _claim(
            kind,
            "flow by rate",
            "The larger the drop rate, the smaller the total flow alpha, at each width.",
            _larger(
                kind,
                "alpha_over_sqrt_n",
                _NEXT_RATES,
                "alpha / sqrt(n) at the smaller rate less that at the larger",
                falls=True,
            ),
        ),
        _claim(
            kind,
            "flow orders the gap",
            "Widths and rates are ordered by alpha / sqrt(n) as by the generalization gap.",
            _flow_orders_the_gap(kind),
        ),
    )


CO_ADAPTATION_CLAIMS: tuple[Claim, ...] = (
    *_claims_of(PLAIN),
    *_claims_of(SYMMETRISED),
    _claim(
        SYMMETRISED,
        "accuracy",
        f"Symmetrising images costs no accuracy (at most {LARGEST_LOSS}, at each width and rate).",
        _symmetry_costs_nothing,
    ),
    _claim(
        PLAIN,
        "bound of the flow",
        "alpha is at most the root of the width times the regularizer (without dropout's strength).",
        _flow_is_bounded,
    ),
)
