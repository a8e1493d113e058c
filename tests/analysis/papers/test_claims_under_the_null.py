"""Claims of campaigns in which all contestants are equal: few hold, few fail, and most say that seeds are too few."""

from collections import Counter
from functools import cache
from itertools import pairwise, starmap

import numpy as np
import pandas as pd
import pytest
from result_rows import timed
from scipy import stats

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Results
from analysis.papers.claims.contests import UNDECIDED, Pair, best_of, judge_equal, judge_gain, judge_order, judge_trend
from analysis.papers.claims.costs import judge_cost_order
from analysis.papers.entries import Entry
from analysis.papers.thesis.differences import judge_differences
from analysis.tables.statistics import difference_of_means

FEW, MANY = 40, 400
DRAWS = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
NAMES = ("localdrop", "none", "dropout", "weight_decay")
ENTRIES = [Entry(label=name, task="task", regularizer=name) for name in NAMES]
NO_CURVES = pd.DataFrame()
CLAIMS = {
    "of a pair": judge_order([Pair(*ENTRIES[:2])]),
    "of four": judge_order(best_of(ENTRIES[0], ENTRIES)),
    "of a trend": judge_trend(list(enumerate(ENTRIES)), 1, "points"),
    "of a gain": judge_gain(Pair(*ENTRIES[:2]), 0.2),
}


def equal_contestants(rng, num_seeds=5):
    """Test accuracies of four contestants that differ by noise alone, some of it shared by the trials of a seed."""
    shared = rng.normal(0.8, 0.004, num_seeds)
    return pd.DataFrame(
        [
            {
                "task": "task", "regularizer": name, "role": "confirm", "scale": "paper", "seed": seed,
                "status": "completed", "metric": "accuracy", "tune_index": None, "trial_id": f"{name}{seed}",
                "test_value": shared[seed] + rng.normal(0, 0.004),
            }
            for name in NAMES for seed in range(num_seeds)
        ]
    )  # fmt: skip


def most(draws):
    """Of these, where 5 % are allowed, with 95 % confidence."""
    return int(stats.binom.ppf(0.95, draws, 0.05))


@cache
def verdicts(draws):
    rng = np.random.default_rng(0)
    counts = {name: Counter() for name in CLAIMS}
    for _ in range(draws):
        results = Results(trials=equal_contestants(rng), curves=NO_CURVES)
        for name, judge in CLAIMS.items():
            counts[name][judge(results).verdict.partition(":")[0]] += 1
    return counts


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_of_equal_contestants_at_most_5_percent_of_the_claims_of_superiority_hold(claim, draws):
    assert verdicts(draws)[claim][HOLDS] <= most(draws)


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("claim", ["of a pair", "of four", "of a trend"])  # a gain that is not there does not hold
def test_of_equal_contestants_at_most_5_percent_fail_and_the_rest_has_too_few_seeds(claim, draws):
    counts = verdicts(draws)[claim]
    assert counts[FAILS] <= most(draws)
    assert counts[TOO_FEW] == draws - counts[HOLDS] - counts[FAILS]


def orders_of_cost(ratios, num_trials, draws):
    """Verdicts on the order none, dropout, localdrop, where those with these true ratios were timed with 5 % noise."""
    judge, rng, counts = judge_cost_order("task", ("none", "dropout", "localdrop")), np.random.default_rng(1), Counter()
    keys = ["scale", "task", "regularizer", "hardware_key"]
    made = [
        timed(name, ratio, task="task", seed=seed, scale="paper")
        for name, ratio in ratios.items()
        for seed in range(num_trials)
    ]
    frame = pd.DataFrame(made)
    true = np.repeat(list(ratios.values()), num_trials)
    for _ in range(draws):
        drawn = frame.assign(ratio=true + rng.normal(0, 0.05, len(frame)))
        table = drawn.groupby(keys)["ratio"].agg(["median", "min", "max", "size"]).reset_index()
        table.columns = [*keys, "ratio", "ratio_low", "ratio_high", "n"]
        results = Results(trials=frame, curves=NO_CURVES)
        results.__dict__["timing"] = table  # what the cached property holds
        counts[judge(results).verdict.partition(":")[0]] += 1
    return counts


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("num_trials", [2, 3, 5])
@pytest.mark.parametrize("names", [("none", "dropout", "localdrop"), ("dropout", "localdrop")], ids=["all", "but none"])
def test_of_equal_costs_at_most_5_percent_of_the_orders_hold_or_fail(names, num_trials, draws):
    counts = orders_of_cost(dict.fromkeys(names, 1.0), num_trials, draws)
    assert counts[HOLDS] <= most(draws)
    assert counts[FAILS] <= most(draws)


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("num_trials", [2, 5, 6])
def test_a_method_that_costs_nothing_is_seldom_found_cheaper_than_a_baseline_that_was_not_timed(num_trials, draws):
    counts = orders_of_cost({"dropout": 1.0, "localdrop": 2.0}, num_trials, draws)
    assert counts[HOLDS] <= most(draws)
    assert counts[FAILS] <= most(draws)


@pytest.mark.parametrize(("num_trials", "verdict"), [(4, "too few trials"), (5, HOLDS)])
def test_a_baseline_that_was_not_timed_is_passed_by_a_sign_test(num_trials, verdict):
    assert (stats.binomtest(num_trials, num_trials, alternative="greater").pvalue <= 0.05) == (verdict == HOLDS)
    assert orders_of_cost({"dropout": 2.0, "localdrop": 4.0}, num_trials, draws=1) == {verdict: 1}


@pytest.mark.parametrize("draws", DRAWS)
def test_of_equal_contestants_at_most_5_percent_of_the_claims_of_equality_fail(draws):
    judge, rng = judge_equal(list(starmap(Pair, pairwise(ENTRIES))), margin=0.01), np.random.default_rng(5)
    drawn = (Results(trials=equal_contestants(rng), curves=NO_CURVES) for _ in range(draws))
    assert sum(judge(results).verdict == FAILS for results in drawn) <= most(draws)


def test_of_differences_that_are_as_large_as_claimed_at_most_5_percent_of_the_claims_fail():
    """Each of five differences is 0.1 in truth; the claim is that all are at least 0.1."""
    rng, rows = np.random.default_rng(6), pd.DataFrame({"scale": ["paper"]})
    fails = 0
    for _ in range(MANY):
        differences = {
            str(number): difference_of_means(
                dict(enumerate(0.1 + rng.normal(0, 0.05, 5))), dict.fromkeys(range(5), 0.0)
            )
            for number in range(5)
        }
        fails += judge_differences(differences, rows, training="end", least=0.1, words="difference").verdict == FAILS
    assert fails <= most(MANY)


def with_p_value(p_value, num_seeds=5):
    """Differences of mean 1 by seed, whose t-test against 0 has this p."""
    scatter = np.linspace(-1, 1, num_seeds) / np.std(np.linspace(-1, 1, num_seeds), ddof=1)
    return 1 + scatter * np.sqrt(num_seeds) / stats.t.isf(p_value / 2, num_seeds - 1)


@pytest.mark.parametrize(("p_value", "verdict"), [(0.03, HOLDS), (0.07, TOO_FEW)])
def test_each_of_several_differences_is_tested_at_5_percent_for_the_claim_that_all_are_there(p_value, verdict):
    values = with_p_value(p_value)
    assert stats.ttest_1samp(values, 0).pvalue == pytest.approx(p_value)
    one = difference_of_means(dict(enumerate(values)), dict.fromkeys(range(5), 0.0))
    differences = {str(number): one for number in range(3)}
    rows = pd.DataFrame({"scale": ["paper"]})
    judged = judge_differences(differences, rows, training="end", words="difference")
    assert judged.verdict.partition(":")[0] == verdict


def test_where_one_of_several_differences_is_not_there_at_most_5_percent_of_the_claims_hold():
    rng, rows, holds = np.random.default_rng(8), pd.DataFrame({"scale": ["paper"]}), 0
    for _ in range(MANY):
        differences = {
            str(true): difference_of_means(dict(enumerate(true + rng.normal(0, 0.05, 5))), dict.fromkeys(range(5), 0.0))
            for true in (0.0, 1.0, 2.0)
        }
        holds += judge_differences(differences, rows, training="end", words="difference").verdict == HOLDS
    assert holds <= most(MANY)


def test_a_claim_on_several_pairs_tells_the_p_that_decides():
    ours, others = ENTRIES[0], ENTRIES[1:]
    trials = equal_contestants(np.random.default_rng(0))
    ahead = with_p_value(0.03)[trials["seed"]] / 100  # by a point
    for sign, verdict, words in (
        (1, HOLDS, " (p = 0.03), the closest of 3; significant for 3"),
        (-1, UNDECIDED, " (p = 0.09 after Holm's correction), the closest of 3; significant for 0"),
    ):
        made = trials.assign(test_value=0.8 + sign * ahead * trials["regularizer"].eq(ours.regularizer))
        judged = judge_order(best_of(ours, others))(Results(trials=made, curves=NO_CURVES))
        assert judged.verdict == verdict
        assert judged.measured.endswith(words)


def test_one_difference_fails_where_its_interval_ends_below_what_is_claimed():
    rng, rows = np.random.default_rng(7), pd.DataFrame({"scale": ["paper"]})
    for mean in np.linspace(-0.1, 0.3, 41):
        difference = difference_of_means(dict(enumerate(mean + rng.normal(0, 0.05, 5))), dict.fromkeys(range(5), 0.0))
        judged = judge_differences({"one": difference}, rows, training="end", least=0.1, words="difference")
        assert (judged.verdict == FAILS) == (difference.high < 0.1)


@pytest.mark.parametrize(
    "judge",
    [
        judge_gain(Pair(*ENTRIES[:2]), 0.51),
        judge_equal([Pair(*ENTRIES[:2])], margin=0.49),
        judge_equal([Pair(*ENTRIES[:2])], margin=0.51),
    ],
    ids=["gain", "margin below", "margin above"],
)
def test_two_seeds_that_agree_by_chance_do_not_contradict_a_claim_close_by(judge):
    """Both seeds differ by 0.5 points."""
    trials = equal_contestants(np.random.default_rng(0), num_seeds=2)
    trials = trials.assign(test_value=0.8 + 0.005 * trials["regularizer"].eq("localdrop"))
    assert judge(Results(trials=trials, curves=NO_CURVES)).verdict != FAILS


def test_a_large_effect_is_found():
    rng = np.random.default_rng(2)
    trials = equal_contestants(rng)
    better = trials.assign(test_value=trials["test_value"] + 0.03 * trials["regularizer"].eq("localdrop"))
    worse = trials.assign(test_value=trials["test_value"] - 0.03 * trials["regularizer"].eq("localdrop"))
    assert CLAIMS["of four"](Results(trials=better, curves=NO_CURVES)).verdict == HOLDS
    assert CLAIMS["of four"](Results(trials=worse, curves=NO_CURVES)).verdict == FAILS


def test_a_seed_that_failed_counts_as_accuracy_0():
    trials = equal_contestants(np.random.default_rng(3))
    better = trials.assign(test_value=trials["test_value"] + 0.03 * trials["regularizer"].eq("localdrop"))
    lost = better["regularizer"].eq("localdrop") & better["seed"].eq(0)
    better.loc[lost, "status"] = "timeout"
    better.loc[lost, "test_value"] = np.nan
    judged = CLAIMS["of a pair"](Results(trials=better, curves=NO_CURVES))
    assert judged.verdict.startswith(TOO_FEW)
    assert judged.value > 10  # points that it is behind on average


def test_winners_of_unequal_searches_are_not_compared():
    trials = equal_contestants(np.random.default_rng(4))
    tuned = pd.DataFrame(
        [
            {**trials.iloc[0].to_dict(), "role": "tune", "regularizer": name, "tune_index": index, "test_value": None}
            for name, number in zip(NAMES[:2], (9, 3), strict=True)
            for index in range(number)
        ]
    )
    judged = CLAIMS["of a pair"](Results(trials=pd.concat([trials, tuned], ignore_index=True), curves=NO_CURVES))
    assert judged.verdict == "not comparable: unequal budgets (none with 3 tune trials, localdrop with 9 tune trials)"
