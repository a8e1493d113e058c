"""Claims of chapter 6 of Mianjy's thesis on attacks and adversarial training.

Orders of errors are judged by tests on differences over seeds (`analysis.papers.thesis.differences`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Claim, Judge, Judgement, Results
from analysis.papers.claims.contests import verdict_of_equality
from analysis.papers.thesis.adversarial import (
    ATTACKS,
    PLAIN,
    REFLECTED,
    TABLE_6_I,
    TABLE_6_II,
    errors_by_seed,
    rows_of,
)
from analysis.papers.thesis.differences import judge_differences
from analysis.papers.thesis.trials import by_seed, calculated, default_trials, without_values
from analysis.rows.current import succeeded
from analysis.tables.statistics import difference_of_means
from harness.records import METRIC_PREFIX, SCALES

PAPER = "dropout_theory"
FIG_6_1, FIG_6_2 = "thesis-fig6-1", "thesis-fig6-2"
NUM_TEST = 2115
TOP = (10, 100, 1000)
DOMINATING = (("R-PGD-inf", "PGD-inf"), ("R-PGD-2", "PGD-2"))
LARGEST_CHANGE = 1.0  # % points of accuracy that count as none
_FEWEST_SEEDS = 5  # for "dominates", which is a claim on 16 differences at once

Values = Mapping[int, float]  # by seed


def _equal_columns(results: Results) -> Judgement | None:
    rows = succeeded(results.trials[results.trials["task"] == TABLE_6_I])
    pairs = [
        [f"{METRIC_PREFIX}robust_error/{ATTACKS[name]}" for name in (attack, f"R-{attack}")]
        for attack in ("FGSM", "BIM")
    ]
    if rows.empty or not {column for pair in pairs for column in pair} <= set(rows.columns):
        return None
    gaps = pd.concat([(rows[plain] - rows[reflected]).abs() for plain, reflected in pairs]).dropna()
    if gaps.empty:
        return None
    value, limit = float(gaps.max()), 1 / NUM_TEST
    return Judgement(
        verdict=HOLDS if value <= limit else FAILS,
        value=value,
        limit=limit,
        measured=f"largest difference of two columns {value:.2g} in {len(rows)} trials; one test image is {limit:.2g}",
        num_trials=len(rows),
        scale=min(rows["scale"], key=SCALES.index),
    )


def _reflection_is_stronger(results: Results) -> Judgement | None:
    rows = rows_of(results.trials, "Standard")
    errors = {attack: errors_by_seed(rows, attack) for attack in ("PGD-inf", "R-PGD-inf", "PGD-2", "R-PGD-2")}
    if not all(errors.values()):
        return without_values(rows)
    differences = {name: difference_of_means(errors[f"R-{name}"], errors[name]) for name in ("PGD-inf", "PGD-2")}
    words = "error under the reflected attack less that under the plain one (claimed: above 0.1)"
    return judge_differences(differences, rows, training="end", least=0.1, words=words)


def _reflection_dominates(results: Results) -> Judgement | None:
    rows = {name: rows_of(results.trials, name) for pair in DOMINATING for name in pair}
    differences, used = {}, pd.concat(list(rows.values()))
    for better, other in DOMINATING:
        for attack in ATTACKS:
            first, second = errors_by_seed(rows[other], attack), errors_by_seed(rows[better], attack)
            if not first or not second:
                return without_values(used)
            differences[f"{better} against {other} under {attack}"] = difference_of_means(first, second)
    judgement = judge_differences(
        differences, used, training="full", words="error of the plain row less that of the reflected one"
    )
    fewest = min(rows[name]["seed"].nunique() for name in rows)
    if judgement.verdict in (HOLDS, FAILS) and fewest < _FEWEST_SEEDS:
        needed = f"{fewest} of the {_FEWEST_SEEDS} that a claim on all {len(differences)} differences needs"
        return replace(judgement, verdict=f"{TOO_FEW}: {needed}")
    return judgement


def _weak_attacks_serve(results: Results) -> Judgement | None:
    standard, trained = (rows_of(results.trials, name) for name in ("Standard", "PGD-2"))
    # An error of 1 in place of a failed seed would raise the limit, half of the standard model's error.
    half = {seed: error / 2 for seed, error in errors_by_seed(standard, "R-PGD-2", worst=math.nan).items()}
    errors = errors_by_seed(trained, "R-PGD-2")
    if not half or not errors:
        return without_values(pd.concat([standard, trained]))
    difference = {"R-PGD-2": difference_of_means(half, errors)}
    words = "half the standard model's error less that after training with PGD-2 (claimed: above 0)"
    return judge_differences(difference, pd.concat([standard, trained]), training="end", words=words)


def _flips_more(loss: str) -> Judge:
    def judge(results: Results) -> Judgement | None:
        numbers = calculated(results.trials, FIG_6_2)
        if numbers is None or f"flips_in_top_{TOP[0]}/{loss}" not in numbers:
            return None
        counts = {name: [int(numbers[f"flips_in_top_{k}/{name}"]) for k in TOP] for name in (loss, "cross_entropy")}
        gaps = [ours - theirs for ours, theirs in zip(*counts.values(), strict=True)]
        text = "; ".join(f"{name} {' / '.join(map(str, flips))}" for name, flips in counts.items())
        return Judgement(
            verdict=HOLDS if min(gaps) > 0 else FAILS,
            value=float(-min(gaps)),
            limit=-1.0,
            measured=f"label flips among the first {' / '.join(map(str, TOP))} points: {text}",
            num_trials=1,
            scale=str(numbers["scale"]),
        )

    return judge


def _greedy_fails(results: Results) -> Judgement | None:
    numbers = calculated(results.trials, FIG_6_2)
    if numbers is None or "smallest_margin/greedy" not in numbers:
        return None
    greedy, other = float(numbers["smallest_margin/greedy"]), float(numbers["smallest_margin/other"])
    return Judgement(
        verdict=HOLDS if other < 0 < greedy else FAILS,
        value=max(other, -greedy),
        limit=0.0,
        measured=f"smallest margin against the greedy target {greedy:+.3f}, against the third class {other:+.3f}",
        num_trials=1,
        scale=str(numbers["scale"]),
    )


def _losses_enclose(results: Results) -> Judgement | None:
    numbers = calculated(results.trials, FIG_6_1)
    if numbers is None or "largest_violation" not in numbers:
        return None
    violation = float(numbers["largest_violation"])
    return Judgement(
        verdict=HOLDS if violation <= 0 else FAILS,
        value=violation,
        limit=0.0,
        measured=f"largest violation of reflected <= 0-1 <= logistic / log(2): {violation:.2g}",
        num_trials=1,
        scale=str(numbers["scale"]),
    )


def _multiclass_unchanged(results: Results) -> Judgement | None:
    """Judge whether plain and reflected are equal within a point, at each radius and number of steps that both have."""
    rows, setting = default_trials(results.trials, [TABLE_6_II]), ["hp.radius", "hp.num_steps"]
    if rows.empty or not set(setting) <= set(rows.columns):
        return None
    rows = rows[~((rows["hp.radius"] > 15 / 255) & (rows["hp.num_steps"] == 2))]
    differences = []
    for _, cell in rows.groupby(setting):
        for column in (f"{METRIC_PREFIX}robust_error/pgd", f"{METRIC_PREFIX}clean_error"):
            plain, reflected = (
                by_seed(cell[cell["regularizer"] == name], column, worst=1.0) for name in (PLAIN, REFLECTED)
            )
            if plain and reflected:
                differences.append(difference_of_means(_in_points(plain), _in_points(reflected)))
    if not differences:
        return without_values(rows)
    scale = str(rows["scale"].iloc[0])
    verdict = verdict_of_equality(differences, LARGEST_CHANGE)
    ends = [abs(end) for each in differences for end in (each.low, each.high)]
    gaps = [abs(each.mean) for each in differences]
    return Judgement(
        verdict=verdict if scale == "paper" else f"not comparable: scale {scale} ends training too early to tell",
        value=max(gaps) if any(map(math.isnan, ends)) else max(ends),
        limit=LARGEST_CHANGE,
        measured=f"largest difference {max(gaps):.2f} points over {len(gaps)} accuracies (without radius 16, 2 steps); "
        "the value is the farthest end of a 95 % interval, if there are several seeds",
        num_trials=len(rows),
        scale=scale,
    )


def _in_points(errors: Values) -> dict[int, float]:
    return {seed: 100 * error for seed, error in errors.items()}


def _claim(name: str, statement: str, tasks: tuple[str, ...], judge: Callable[[Results], Judgement | None]) -> Claim:
    return Claim(paper=PAPER, name=name, statement=statement, tasks=tasks, judge=judge)


ADVERSARIAL_CLAIMS: tuple[Claim, ...] = (
    _claim(
        "Figure 6-1",
        "The reflected loss is nowhere above the 0-1 loss, and the logistic loss, over log 2, nowhere below it.",
        (FIG_6_1,),
        _losses_enclose,
    ),
    _claim(
        "Figure 6-2, margin",
        "Maximising the reflected loss finds more label flips than cross-entropy, at each k (its form -log(1 + e^z) of "
        "the margin to the best wrong class).",
        (FIG_6_2,),
        _flips_more("margin"),
    ),
    _claim(
        "Figure 6-2, log p",
        "The same of log p of the greedy target, the reflected loss with which section 6.5.3 trains.",
        (FIG_6_2,),
        _flips_more("log_p"),
    ),
    _claim(
        "Figure 6-2, negated scores",
        "The same of minus the cross-entropy of negated scores.",
        (FIG_6_2,),
        _flips_more("reflected"),
    ),
    _claim(
        "Section 6.5.3, greedy target",
        "The most likely wrong class may be out of an attack's reach where another one is not.",
        (FIG_6_2,),
        _greedy_fails,
    ),
    _claim(
        "Table 6-I, FGSM and BIM",
        "Reflecting the loss changes neither FGSM nor BIM: these columns are equal.",
        (TABLE_6_I,),
        _equal_columns,
    ),
    _claim(
        "Table 6-I, standard row",
        "Reflecting the loss makes PGD-inf and PGD-2 much stronger attacks on the standard model (by more than 0.1).",
        (TABLE_6_I,),
        _reflection_is_stronger,
    ),
    _claim(
        "Table 6-I, domination",
        "Models trained with the reflected loss are more robust, under each attack, than those trained without.",
        (TABLE_6_I,),
        _reflection_dominates,
    ),
    _claim(
        "Table 6-I, weak attacks",
        "Training with weak attacks is competitive: after PGD-2 the error under R-PGD-2 is below half the standard.",
        (TABLE_6_I,),
        _weak_attacks_serve,
    ),
    _claim(
        "Table 6-II",
        "With many classes reflecting the loss changes accuracies, clean and robust, by no more than 1 point (but for "
        "radius 16/255 with 2 steps).",
        (TABLE_6_II,),
        _multiclass_unchanged,
    ),
)
