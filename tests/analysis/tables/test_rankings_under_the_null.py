"""Error rates of the ranking's tests and intervals, on campaigns in which the truth is known."""

import numpy as np
import pandas as pd
import pytest
from result_rows import row
from scipy import stats

import analysis
from analysis.tables.overall import friedman

NAMES = ("none", "a", "b", "c")
NUM_SEEDS, TRUE_MEAN, MARGIN = 5, 0.5, 0.1
DRAWS = [pytest.param(20, id="few"), pytest.param(400, id="many", marks=pytest.mark.slow)]


def most(draws, level=0.05):
    """The most errors among these draws, with 95 % confidence, if each is one with probability `level`."""
    return int(stats.binom.ppf(0.95, draws, level))


def ranking_of(rng, draws, lead=0.0, **options):
    """The ranking of as many tasks, each a campaign of its own: contestants lead the baseline by `lead` in truth."""
    shared, own = rng.normal(size=(draws, 1, NUM_SEEDS)), rng.normal(size=(draws, len(NAMES), NUM_SEEDS))
    values = TRUE_MEAN + 0.01 * (shared + own) + lead * np.array([name != "none" for name in NAMES])[:, None]
    like = row(role="default", test=0.5, metric="score", hp={})
    rows = [
        {**like, "trial_id": f"{task}{name}{seed}", "task": f"t{task}", "regularizer": name, "seed": seed,
         "test_value": values[task, place, seed]}
        for task in range(draws) for place, name in enumerate(NAMES) for seed in range(NUM_SEEDS)
    ]  # fmt: skip
    table = analysis.ranking_table(pd.DataFrame(rows), **options)
    return table[table["task"] != "overall"]


@pytest.mark.parametrize("draws", DRAWS)
def test_among_equal_contestants_at_most_5_percent_of_the_tasks_have_a_win_or_a_loss(draws):
    table = ranking_of(np.random.default_rng(0), draws)
    errors = table["outcome"].isin(["win", "loss"]).groupby(table["task"]).any()
    assert len(errors) == draws
    assert errors.sum() <= most(draws)


@pytest.mark.parametrize("draws", DRAWS)
def test_at_most_5_percent_of_the_intervals_miss_the_true_mean(draws):
    table = ranking_of(np.random.default_rng(1), draws)
    of_baseline = table[table["regularizer"] == "none"]
    misses = ~of_baseline["interval_low"].le(TRUE_MEAN) | ~of_baseline["interval_high"].ge(TRUE_MEAN)
    assert misses.sum() <= most(draws)


@pytest.mark.parametrize("draws", DRAWS)
def test_where_contestants_differ_by_the_margin_at_most_5_percent_of_the_tasks_have_an_equivalence(draws):
    table = ranking_of(np.random.default_rng(2), draws, lead=MARGIN, margin=MARGIN)
    errors = table["outcome"].eq("equivalent").groupby(table["task"]).any()
    assert errors.sum() <= most(draws)


@pytest.mark.parametrize("draws", DRAWS)
def test_among_equal_contestants_at_most_5_percent_of_friedmans_and_nemenyis_tests_are_significant(draws):
    rng, significant, told_apart = np.random.default_rng(3), 0, 0
    for _ in range(draws):
        tested = friedman(pd.DataFrame(rng.normal(size=(8, len(NAMES))), columns=list(NAMES)).rank(axis="columns"))
        significant += tested.p_value < 0.05
        told_apart += bool(tested.different_pairs)
    assert significant <= most(draws)
    assert told_apart <= most(draws)
