import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.contestants import Contestant
from harness.results.trial_summary import TrialSummary
from harness.search.studies import CellStudy
from search_spaces import SPACES
from search_spaces.space import Choice, Integer, Real
from tasks.experiments import TASKS

SPACE = {
    "rate": Real(low=0.01, high=1.0, log=True, source=""),
    "size": Integer(low=1, high=7, source=""),
    "where": Choice(options=("dense", "conv", "all"), source=""),
}
DEFAULTS = {"rate": 0.1, "size": 3, "where": "conv", "fixed": 9}


def study(seed=0, higher_is_better=True, defaults=DEFAULTS):
    return CellStudy(SPACE, defaults, higher_is_better, seed)


def value_of(proposal):
    return -(math.log(proposal["rate"] / 0.3) ** 2) - (proposal["size"] - 5) ** 2 + (proposal["where"] == "all")


def done(value, status="completed"):
    return TrialSummary("", status, value)


def proposals(cell_study, outcomes):
    """What a study proposes when it is told each outcome: a function of the proposal."""
    asked = []
    for outcome in outcomes:
        asked.append(cell_study.ask())
        cell_study.tell(outcome(asked[-1]))
    return asked


def succeed(proposal):
    return done(value_of(proposal))


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_study_proposes_what_plain_optuna_proposes(higher_is_better):
    sampler = optuna.samplers.TPESampler(
        seed=7, n_startup_trials=5, n_ei_candidates=24, multivariate=True, constant_liar=False
    )
    plain = optuna.create_study(sampler=sampler, direction="maximize" if higher_is_better else "minimize")
    plain.enqueue_trial({name: DEFAULTS[name] for name in SPACE})
    expected = []
    for _ in range(15):
        trial = plain.ask()
        expected.append(
            {
                "rate": trial.suggest_float("rate", 0.01, 1.0, log=True),
                "size": trial.suggest_int("size", 1, 7),
                "where": trial.suggest_categorical("where", ("dense", "conv", "all")),
            }
        )
        plain.tell(trial, value_of(expected[-1]))
    assert proposals(study(7, higher_is_better), [succeed] * 15) == expected


def test_the_same_seed_and_values_bring_the_same_proposals_and_another_seed_brings_others():
    assert proposals(study(3), [succeed] * 12) == proposals(study(3), [succeed] * 12)
    assert proposals(study(3), [succeed] * 3)[1:] != proposals(study(4), [succeed] * 3)[1:]


@given(st.integers(1, 11))
@settings(max_examples=5)
def test_a_larger_budget_repeats_the_proposals_of_the_smaller_one(budget):
    assert proposals(study(5), [succeed] * 12)[:budget] == proposals(study(5), [succeed] * budget)


def test_the_first_proposal_is_the_papers_own():
    assert study().ask() == {name: DEFAULTS[name] for name in SPACE}


@pytest.mark.parametrize("name", SPACES)
def test_every_contestants_first_proposal_is_its_papers_values_where_its_space_holds_them(name):
    contestant, task = Contestant(name), TASKS["digits-convnet"]
    space, defaults = contestant.space(task, "smoke"), contestant.resolve(task, "smoke")
    holds = {
        Real: lambda allowed, value: allowed.low <= value <= allowed.high,
        Integer: lambda allowed, value: allowed.low <= value <= allowed.high,
        Choice: lambda allowed, value: value in allowed.options,
    }
    inside = all(holds[type(allowed)](allowed, defaults[field]) for field, allowed in space.items())
    first = CellStudy(space, defaults, True, 0).ask()
    assert (first == {field: defaults[field] for field in space}) == inside
    assert all(holds[type(allowed)](allowed, first[field]) for field, allowed in space.items())


@pytest.mark.parametrize("outside", [{"rate": 2.0}, {"size": 0}, {"where": "nowhere"}], ids=str)
def test_papers_values_outside_the_space_are_not_proposed(outside):
    first = study(defaults={**DEFAULTS, **outside}).ask()
    assert first == study(defaults={**DEFAULTS, "rate": 5.0}).ask()
    assert 0.01 <= first["rate"] <= 1.0
    assert 1 <= first["size"] <= 7


@pytest.mark.parametrize("status", ["diverged", "timeout", "out_of_memory"])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_trial_to_avoid_is_told_as_the_worst_value_so_far(status, higher_is_better):
    def fail(proposal):
        return done(None, status)

    def worst(proposal):
        values = [value_of(earlier) for earlier in before]
        return done(min(values) if higher_is_better else max(values))

    before = proposals(study(2, higher_is_better), [succeed] * 6)
    told = [succeed] * 6 + [fail] + [succeed] * 6
    meant = [succeed] * 6 + [worst] + [succeed] * 6
    assert proposals(study(2, higher_is_better), told) == proposals(study(2, higher_is_better), meant)


@pytest.mark.parametrize("status", ["failed", "crashed"])
def test_a_trial_that_failed_teaches_the_search_nothing(status):
    """The model is made of the trials that succeeded: plain Optuna with a failed trial proposes the same."""
    sampler = optuna.samplers.TPESampler(
        seed=2, n_startup_trials=5, n_ei_candidates=24, multivariate=True, constant_liar=False
    )
    plain = optuna.create_study(sampler=sampler, direction="maximize")
    plain.enqueue_trial({name: DEFAULTS[name] for name in SPACE})
    expected = []
    for index in range(12):
        trial = plain.ask()
        expected.append(
            {
                "rate": trial.suggest_float("rate", 0.01, 1.0, log=True),
                "size": trial.suggest_int("size", 1, 7),
                "where": trial.suggest_categorical("where", ("dense", "conv", "all")),
            }
        )
        if index == 4:
            plain.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            plain.tell(trial, value_of(expected[-1]))
    outcomes = [succeed] * 4 + [lambda proposal: done(None, status)] + [succeed] * 7
    assert proposals(study(2), outcomes) == expected


@pytest.mark.parametrize("status", ["diverged", "timeout", "out_of_memory", "failed", "crashed"])
def test_a_study_whose_trials_all_fail_goes_on_proposing(status):
    asked = proposals(study(), [lambda proposal: done(None, status)] * 8)
    assert len({tuple(proposal.items()) for proposal in asked}) == 8


def test_the_search_finds_the_better_half_of_the_space():
    asked = proposals(study(0), [succeed] * 40)
    assert max(map(value_of, asked[20:])) > max(map(value_of, asked[:5]))
    assert sum(proposal["where"] == "all" for proposal in asked[20:]) > 10
