"""Combinations beside the sum of their parts, against a linear model with an interaction term."""

import math

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed
from scipy import stats
from statsmodels.formula.api import ols

import analysis

rng = np.random.default_rng(0)
VALUES = {name: mean + rng.normal(0, 0.02, 6) for name, mean in
          {"none": 0.5, "a": 0.55, "b": 0.6, "a+b": 0.8, "b+a+c": 0.7, "c": 0.52}.items()}  # fmt: skip


def trials_of(values, **more):
    return pd.DataFrame([each for name, scores in values.items() for each in confirmed(name, scores, **more)])


def table_of(values, **more):
    return analysis.interaction_table(trials_of(values, **more)).set_index("regularizer")


def test_the_interaction_is_that_of_a_linear_model_of_two_factors():
    frame = pd.DataFrame(
        [(int("a" in name), int("b" in name), y) for name in ("none", "a", "b", "a+b") for y in VALUES[name]],
        columns=["a", "b", "y"],
    )
    frame.loc[frame.index < 6, ["a", "b"]] = 0  # the letters of "none"
    model = ols("y ~ a * b", frame).fit()
    found = table_of(VALUES).loc["a+b"]
    assert found["interaction"] == pytest.approx(model.params["a:b"])
    assert found["sum_of_effects"] == pytest.approx(model.params["a"] + model.params["b"])
    assert found["effect"] == pytest.approx(model.params[["a", "b", "a:b"]].sum())


def test_its_p_and_interval_are_those_of_a_t_test_over_seeds():
    contrast = VALUES["a+b"] - VALUES["a"] - VALUES["b"] + VALUES["none"]
    test = stats.ttest_1samp(contrast, 0)
    found = table_of(VALUES).loc["a+b"]
    assert found["p_value"] == pytest.approx(test.pvalue)
    assert found[["interval_low", "interval_high"]].tolist() == pytest.approx([*test.confidence_interval(0.95)])
    assert found["outcome"] == "more"


def test_of_three_parts_the_baseline_is_taken_off_three_times():
    expected = np.mean(VALUES["b+a+c"] - VALUES["a"] - VALUES["b"] - VALUES["c"] + 2 * VALUES["none"])
    assert table_of(VALUES).loc["b+a+c", "interaction"] == pytest.approx(expected)


def test_less_is_better_where_the_metric_says_so():
    worse = table_of(VALUES, metric="excess_objective", higher=False)
    assert worse.loc["a+b", "outcome"] == "less"
    assert worse.loc["a+b", "interaction"] == pytest.approx(-table_of(VALUES).loc["a+b", "interaction"])


def test_effects_that_add_up_are_additive():
    noise = np.random.default_rng(1).normal(0, 0.01, 6)
    values = {"none": [0.5] * 6, "a": [0.6] * 6, "b": [0.7] * 6, "a+b": 0.8 + noise - noise.mean()}
    assert table_of(values).loc["a+b", "outcome"] == "additive"


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"b": VALUES["b"][:1]}, {}),
        ({"b": [None, *VALUES["b"][1:]]}, {"metric": "excess_objective", "higher": False}),
    ],
    ids=["one common seed", "infinitely bad"],
)
def test_what_cannot_be_tested_is_untested(change, more):
    found = table_of(VALUES | change, **more).loc["a+b"]
    assert found["outcome"] == "untested"
    assert math.isnan(found["p_holm"])


def test_unequal_budgets_are_not_compared():
    rows = trials_of(VALUES)
    rows.loc[rows["regularizer"] == "b", "epochs_planned"] = 7
    found = analysis.interaction_table(rows).set_index("regularizer")
    assert found.loc["a+b", ["outcome", "num_seeds"]].tolist() == ["untested", 0]


def test_a_combination_without_its_parts_has_no_row():
    assert table_of({name: VALUES[name] for name in ("none", "a", "a+b")}).empty


def test_effects_that_add_up_but_for_rounding_are_no_interaction():
    """In binary 0.3 - 0.4 - 0.2 + 0.3 is -5.6e-17 for every seed."""
    values = {"none": [0.3] * 3, "a": [0.4] * 3, "b": [0.2] * 3, "a+b": [0.3] * 3}
    found = table_of(values).loc["a+b"]
    assert found[["interaction", "interval_low", "interval_high", "p_value"]].tolist() == [0, 0, 0, 1]
    assert found["outcome"] == "additive"
