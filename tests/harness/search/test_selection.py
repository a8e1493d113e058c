import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.command.options import RuleName
from harness.errors import BadInput
from harness.records import SELECTIONS, TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.search.selection import BEST_VALIDATION, RULES, num_validation, rule_named
from tasks.experiments import TASKS


def tuned(values, **more):
    specs = [
        TrialSpec(
            task="t", regularizer="r", hyperparameters={"h": index}, seed=0, role="tune", scale="smoke", code_hash=""
        )
        for index in range(len(values))
    ]
    others = [{name: each[place] for name, each in more.items()} for place in range(len(values))]
    return [
        (spec, TrialSummary(spec.trial_id, "completed", value, **other))
        for spec, value, other in zip(specs, values, others, strict=True)
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_nobody_is_better_than_the_winner_and_none_before_it_is_as_good(values):
    higher = BEST_VALIDATION.choose(tuned(values), True).hyperparameters["h"]
    assert higher == values.index(max(values))
    lower = BEST_VALIDATION.choose(tuned(values), False).hyperparameters["h"]
    assert lower == values.index(min(values))


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_of_equals_the_earliest_wins(higher_is_better):
    assert BEST_VALIDATION.choose(tuned([0.5, 0.5, 0.5]), higher_is_better).hyperparameters == {"h": 0}


def test_the_command_and_the_rows_know_the_same_rules():
    assert list(RULES) == [each.value for each in RuleName] == list(SELECTIONS)
    with pytest.raises(BadInput, match=r"one of best_validation, .*, oracle, got 'luck'"):
        rule_named("luck")


def test_each_rule_looks_at_its_own_value():
    trials = tuned([0.9, 0.8, 0.7], best_validation_value=[0.9, 0.95, 0.7], test_value=[0.1, 0.2, 0.3])
    chosen = {name: rule.choose(trials, True, num_samples=10**9).hyperparameters["h"] for name, rule in RULES.items()}
    assert chosen == {"best_validation": 0, "best_epoch": 1, "one_standard_error": 0, "oracle": 2}


@pytest.mark.parametrize(("num_samples", "chosen"), [(100, 0), (400, 1), (10_000, 2)])
def test_one_standard_error_keeps_the_earliest_trial_that_is_as_good_within_the_error(num_samples, chosen):
    """The error of 0.83 is sqrt(0.83 * 0.17 / n): 0.0376, 0.0188 and 0.0038."""
    rule = RULES["one_standard_error"]
    assert rule.choose(tuned([0.80, 0.815, 0.83]), True, num_samples).hyperparameters == {"h": chosen}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 10**6))
def test_whom_one_standard_error_picks_is_near_the_best_and_nobody_before_it_is(values, num_samples):
    place = RULES["one_standard_error"].choose(tuned(values), True, num_samples).hyperparameters["h"]
    best = max(values)
    error = math.sqrt(best * (1 - best) / num_samples)
    assert values[place] >= best - error - 1e-12
    assert all(value <= best - error + 1e-12 for value in values[:place])


def test_a_rule_of_errors_needs_a_share_of_a_known_number_of_samples():
    rule = RULES["one_standard_error"]
    rule.check("t", "accuracy", 300)
    for metric, number in (("excess_objective", 300), ("accuracy", None)):
        with pytest.raises(BadInput, match="Leave the task out with --skip, or use --select best_validation"):
            rule.check("t", metric, number)
    BEST_VALIDATION.check("t", "excess_objective", None)


def test_the_number_of_validation_samples_is_that_of_the_task():
    assert num_validation(TASKS["digits-mlp"], "paper") == 300
