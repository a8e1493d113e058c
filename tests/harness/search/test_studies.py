import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.contestants import Contestant
from harness.results.trial_summary import Proposals, TrialSummary
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


def study(seed=0, higher_is_better=True, defaults=DEFAULTS, width=1):
    return CellStudy(SPACE, defaults, higher_is_better, seed, width)


def value_of(proposal):
    return -(math.log(proposal["rate"] / 0.3) ** 2) - (proposal["size"] - 5) ** 2 + (proposal["where"] == "all")


def done(value, status="completed"):
    return TrialSummary("", status, value)


def proposals(cell_study, outcomes):
    """What a study proposes when it is told each outcome at once: a function of the proposal."""
    asked = []
    for place, outcome in enumerate(outcomes):
        asked.append(cell_study.ask())
        cell_study.tell(place, outcome(asked[-1]))
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
@settings(max_examples=5, deadline=None)
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


def plain_optuna(width, num_proposals, seed=7):
    """The rule of parallel studies, written down again: before proposal k all outcomes up to k - width are told."""
    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=5, n_ei_candidates=24, multivariate=True, constant_liar=width > 1
    )
    plain = optuna.create_study(sampler=sampler, direction="maximize")
    plain.enqueue_trial({name: DEFAULTS[name] for name in SPACE})
    trials, asked = [], []
    for place in range(num_proposals):
        if place >= width:
            plain.tell(trials[place - width], value_of(asked[place - width]))
        trials.append(plain.ask())
        asked.append(
            {
                "rate": trials[-1].suggest_float("rate", 0.01, 1.0, log=True),
                "size": trials[-1].suggest_int("size", 1, 7),
                "where": trials[-1].suggest_categorical("where", ("dense", "conv", "all")),
            }
        )
    return asked


@pytest.mark.parametrize("width", [1, 2, 4, 7, 30])
def test_a_study_of_any_width_proposes_what_plain_optuna_with_a_constant_liar_proposes(width):
    assert proposals(study(7, width=width), [succeed] * 20) == plain_optuna(width, 20)


def some_end(proposal):
    """A made-up outcome: a function of the proposal, in which some fail in each way."""
    ways = ("diverged", "failed", "completed", "completed", "completed")
    status = ways[int(proposal["rate"] * 1e6) % len(ways)]
    return done(value_of(proposal) if status == "completed" else None, status)


def in_order_of_arrival(cell_study, num_trials, num_slots, choose, outcome=some_end):
    """What a study proposes when any of the trials in flight ends next; `choose(n)` picks one of n."""
    asked, running = [], []
    while len(asked) < num_trials or running:
        while len(asked) < num_trials and len(running) < num_slots and (proposal := cell_study.ask()) is not None:
            running.append(len(asked))
            asked.append(proposal)
        assert running, "a study that waits for nothing proposes"
        place = running.pop(choose(len(running)))
        cell_study.tell(place, outcome(asked[place]))
    return asked


@given(width=st.integers(1, 9), num_slots=st.integers(1, 12), data=st.data())
@settings(max_examples=25, deadline=None)
def test_proposals_depend_neither_on_the_order_of_arrival_nor_on_the_number_of_slots(width, num_slots, data):
    one_by_one = in_order_of_arrival(study(width=width), 20, 1, lambda number: 0)
    assert one_by_one == proposals(study(width=width), [some_end] * 20)
    arrival = in_order_of_arrival(
        study(width=width), 20, num_slots, lambda number: data.draw(st.integers(0, number - 1), label="who ends")
    )
    assert arrival == one_by_one


@pytest.mark.parametrize("width", [1, 4, 16])
def test_what_depends_on_no_outcome_is_proposed_at_once_and_the_rest_in_the_order_of_asking(width):
    cell_study, asked = study(width=width), []
    while (proposal := cell_study.ask()) is not None:
        asked.append(proposal)
    assert len(asked) == width + 4, "with the fifth outcome the model begins"
    for place in range(1, 5):
        cell_study.tell(place, succeed(asked[place]))
    assert cell_study.ask() is None, "outcomes that arrive early are held back"
    cell_study.tell(0, succeed(asked[0]))
    assert cell_study.ask() is not None
    assert cell_study.ask() is None


@pytest.mark.parametrize("width", [1, 8])
def test_the_smallest_space_is_never_proposed_twice_alike_even_if_its_border_is_best(width):
    """Two equal proposals would be one trial, and a budget one smaller than that of other contestants."""
    space = Contestant("none").space(TASKS["digits-mlp"], "smoke")
    assert set(space) == {"learning_rate"}
    cell_study = CellStudy(space, {}, True, 0, width)
    asked = in_order_of_arrival(cell_study, 60, width, lambda number: 0, lambda each: done(each["learning_rate"]))
    rates = [each["learning_rate"] for each in asked]
    assert max(rates) > 0.99 * space["learning_rate"].high
    assert len(set(rates)) == len(rates)


def test_an_outcome_of_no_proposal_and_a_width_below_1_are_refused():
    with pytest.raises(ValueError, match="Proposals 0 to -1 were made, got an outcome of proposal 0"):
        study().tell(0, done(0.5))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        study(width=0)


class Countless(optuna.samplers.TPESampler):
    """A sampler that nobody may ask."""

    def sample_relative(self, *_):
        raise AssertionError("a stored proposal was computed again")

    sample_independent = sample_relative


def mixed(proposal):
    """Outcomes of all kinds, by the proposal."""
    kinds = {
        1: done(None, "diverged"),
        2: done(None, "failed"),
        3: TrialSummary("", "pruned", value_of(proposal), rung=1),
    }
    return kinds.get(proposal["size"], succeed(proposal))


@pytest.mark.parametrize("width", [1, 3])
def test_proposals_that_are_known_are_not_computed_again(width, monkeypatch):
    known = Proposals()
    first = proposals(CellStudy(SPACE, DEFAULTS, True, 0, width, known), [mixed] * 12)
    assert first == proposals(study(width=width), [mixed] * 12)
    as_stored = {digest: {**each, "size": float(each["size"]), "other": 1} for digest, each in known.items()}
    monkeypatch.setattr(optuna.samplers, "TPESampler", Countless)
    again = proposals(CellStudy(SPACE, DEFAULTS, True, 0, width, Proposals(as_stored)), [mixed] * 12)
    assert again == first
    assert [type(each["size"]) for each in again] == [int] * 12


def moved(proposal, relative):
    return {**proposal, "rate": proposal["rate"] * (1 + relative)}


def test_a_stored_proposal_that_another_processor_rounded_otherwise_is_taken_although_its_digest_is_another():
    known = Proposals()
    first = proposals(CellStudy(SPACE, DEFAULTS, True, 0, 3, known), [mixed] * 12)
    elsewhere = {
        f"old {digest}": moved(each, 2e-16 * (-1) ** place) for place, (digest, each) in enumerate(known.items())
    }
    assert any(each not in first for each in elsewhere.values())
    again = proposals(CellStudy(SPACE, DEFAULTS, True, 0, 3, Proposals(elsewhere)), [mixed] * 12)
    assert again == [elsewhere[f"old {digest}"] for digest in known]


@pytest.mark.parametrize("other", [{"relative": 1e-6}, {"size": 7}, {"where": "nowhere"}], ids=str)
def test_a_stored_proposal_that_differs_by_more_than_rounding_is_not_taken(other):
    known = Proposals()
    first = proposals(CellStudy(SPACE, DEFAULTS, True, 0, 3, known), [succeed] * 8)
    relative, values = other.get("relative", 2e-16), {name: each for name, each in other.items() if name in SPACE}
    elsewhere = {
        f"old {digest}": moved(each, relative) | values
        for digest, each in known.items()
        if not values or each[next(iter(values))] not in values.values()
    }
    assert len(elsewhere) > 4
    assert proposals(CellStudy(SPACE, DEFAULTS, True, 0, 3, Proposals(elsewhere)), [succeed] * 8) == first


@pytest.mark.parametrize("damage", [{"size": 2.5}, {"size": 8}, {"where": "nowhere"}, {"rate": "0.1"}], ids=str)
def test_a_stored_proposal_that_the_space_does_not_hold_is_computed_again(damage):
    known = Proposals()
    usual = proposals(CellStudy(SPACE, DEFAULTS, True, 0, 1, known), [mixed] * 12)
    digests = list(known)
    known[digests[8]] = {**known[digests[8]], **damage}
    assert proposals(CellStudy(SPACE, DEFAULTS, True, 0, 1, known), [mixed] * 12) == usual


def test_a_larger_budget_goes_on_from_known_proposals_as_if_they_had_been_computed():
    known = Proposals()
    proposals(CellStudy(SPACE, DEFAULTS, True, 0, 2, known), [mixed] * 9)
    longer = proposals(CellStudy(SPACE, DEFAULTS, True, 0, 2, Proposals(known)), [mixed] * 14)
    assert longer == proposals(study(width=2), [mixed] * 14)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"defaults": {**DEFAULTS, "size": 4}},
        {"higher_is_better": False},
        {"space": {**SPACE, "size": Integer(low=1, high=8, source="")}},
        {"outcomes": [lambda _: done(-1.0)] * 12},
    ],
    ids=lambda other: next(iter(other)),
)
def test_known_proposals_that_were_made_from_something_else_are_not_taken(other):
    usual = {"space": SPACE, "defaults": DEFAULTS, "higher_is_better": True, "seed": 0, "outcomes": [succeed] * 12}
    known = Proposals()

    def proposed(known, space, defaults, higher_is_better, seed, outcomes):
        return proposals(CellStudy(space, defaults, higher_is_better, seed, 1, known), outcomes)

    proposed(known, **usual)
    expected = proposed(Proposals(), **{**usual, **other})
    assert proposed(known, **{**usual, **other}) == expected
