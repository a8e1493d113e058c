"""Halving: decisions are a function of the values, whatever ends first and however often a campaign is resumed."""

import hashlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_records import record

from harness.campaign import plan_campaign
from harness.command.options import RunOptions, request_of
from harness.errors import BadInput
from harness.plan import Budget, make_plan
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import CellProgress, Schedule
from harness.search.halving import BRACKET, bracket_epochs, rung_epochs, standing
from tasks.suites import Group, Suite


def at(value, rung, status="pruned"):
    return TrialSummary("", status, value, rung=rung)


def trained_to(value, rung, num_rungs):
    """A trial that trained to a rung, or to the end: its value grows on the way, in the same order."""
    if value is None:
        return at(None, rung, "failed")
    return at(value + rung, rung, "completed" if rung == num_rungs else "pruned")


def survivors(values, num_rungs, num_spared=0):
    """The rule written down again: at each rung the best third of those that came so far go on; None fails at once.

    The first ones, if spared, go on besides and are not counted.
    """
    levels = [0] * len(values)
    spared, active = range(min(num_spared, len(values))), [*range(len(values))][num_spared:]
    for rung in range(num_rungs):
        best = sorted((v for v in active if values[v] is not None), key=lambda place: -values[place])
        active = best[: (len(active) + 2) // 3]
        for place in [*active, *(v for v in spared if values[v] is not None)]:
            levels[place] = rung + 1
    return levels


VALUES = st.lists(
    st.one_of(st.none(), st.integers(0, 10**6)), min_size=1, max_size=12, unique_by=lambda v: v or object()
)


@given(values=VALUES, num_rungs=st.integers(0, 3), num_spared=st.integers(0, 2), data=st.data())
@settings(max_examples=60, deadline=None)
def test_who_goes_on_does_not_depend_on_the_order_of_arrival(values, num_rungs, num_spared, data):
    """What is known at each moment is the newest outcome of each trial alone, as after any resumption."""
    outcomes: list[Any] = [None] * len(values)
    while (now := standing(outcomes, num_rungs, higher_is_better=True, num_spared=num_spared)).going:
        place = data.draw(st.sampled_from(sorted(now.going)), label="who ends")
        outcomes[place] = trained_to(values[place], now.going[place], num_rungs)
    assert now.over == set(range(len(values)))
    assert [finished.rung for finished in outcomes] == survivors(values, num_rungs, num_spared)


@pytest.mark.parametrize(
    ("num_spared", "epochs", "rungs", "part"),
    [
        (0, 9 * 10 + 3 * 20 + 60, [2, 1, 1, 0, 0, 0, 0, 0, 0], 0.26),
        (1, 9 * 10 + 4 * 20 + 2 * 60, [2, 2, 1, 1, 0, 0, 0, 0, 0], 0.36),
    ],
)
def test_a_bracket_of_nine_trains_for_about_a_third_of_the_epochs(num_spared, epochs, rungs, part):
    used = 0
    outcomes: list[Any] = [None] * BRACKET
    ends = (*rung_epochs(90), 90)
    while (now := standing(outcomes, 2, higher_is_better=False, num_spared=num_spared)).going:
        for place, rung in now.going.items():
            used += ends[rung] - (ends[rung - 1] if rung else 0)
            outcomes[place] = trained_to(float(place), rung, 2)
    assert used == epochs == bracket_epochs(90, num_spared)
    assert [finished.rung for finished in outcomes] == rungs, "lower is better"
    assert used / (BRACKET * 90) == pytest.approx(part, abs=0.005)


def test_a_spared_trial_goes_on_though_it_is_the_worst_unless_it_failed():
    values = [0.1, 0.9, 0.8, 0.7]
    outcomes = [at(value, 0) for value in values]
    assert standing(outcomes, 1, higher_is_better=True, num_spared=1).going == {0: 1, 1: 1}
    failed = [at(None, 0, "diverged"), *outcomes[1:]]
    assert standing(failed, 1, higher_is_better=True, num_spared=1).going == {1: 1}


def test_equal_values_are_decided_by_the_order_of_asking():
    assert standing([at(0.5, 0)] * 4, 1, higher_is_better=True).going == {0: 1, 1: 1}


SUITE = Suite(
    groups=(Group(tasks=("digits-mlp",), regularizers=("none", "dropout")),),
    scale="paper",
    tune_trials=18,
    halving=True,
)


def plan():
    budget = Budget(scale="paper", tune_trials=18, seeds=1, timing_repeats=0, tune_width=9, halving=True)
    return make_plan("suite", SUITE, budget, "campaign")


def end(spec):
    """A made-up end of one part of a trial: a function of the trial and of how far it trained; some fail on the way."""
    names = (*spec.cell, spec.role, spec.seed, spec.tune_index, spec.rung)
    digest = hashlib.sha256(str(names).encode()).digest()
    value = int.from_bytes(digest[1:8], "big") / 2**56
    status = "diverged" if digest[0] < 20 else "completed" if spec.until_epoch is None else "pruned"
    return TrialSummary(spec.trial_id, status, None if status == "diverged" else value, rung=spec.rung)


def run_to_the_end(stored, num_slots=1, choose=lambda number: 0, ends_after=10**6):
    schedule, out = Schedule(plan(), stored), []
    while ends_after:
        if len(out) < num_slots and (pack := schedule.next()) is not None:
            out += pack
            continue
        if not out:
            return True
        spec = out.pop(choose(len(out)))
        stored[spec.trial_id] = end(spec)
        schedule.record(spec, stored[spec.trial_id])
        ends_after -= 1
    return False


@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_interleaving_interrupted_anywhere_ends_with_the_same_rows(data):
    expected, stored = {}, {}
    run_to_the_end(expected)
    while not run_to_the_end(
        stored,
        data.draw(st.integers(1, 12), label="slots"),
        lambda number: data.draw(st.integers(0, number - 1), label="who ends"),
        data.draw(st.integers(1, 90), label="trials until it is killed"),
    ):
        pass
    assert stored == expected


def test_a_study_stops_most_trials_early_and_confirms_one_that_trained_to_its_end():
    stored = {}
    run_to_the_end(stored)
    (cell, _) = plan().running_cells
    progress = CellProgress(plan(), cell, stored)
    winner = progress.winner()
    assert stored[winner.trial_id].status == "completed"
    confirmed = [spec for spec in progress.needed_ids().values() if spec.role == "confirm"]
    assert [(spec.halving, spec.rung, spec.until_epoch) for spec in confirmed] == [("", None, None)]
    tuned = [done for trial_id, done in stored.items() if trial_id in progress.needed_ids() and done.rung is not None]
    assert Counter(done.rung for done in tuned) == {0: 5 + 6, 1: 2 + 2, 2: 2 + 1}
    first = next(spec for spec in progress.needed_ids().values() if spec.role == "tune" and spec.tune_index == 0)
    assert stored[first.trial_id].status == "completed", "the default setting is spared"


def test_a_trial_goes_on_that_a_worker_had_when_failed_trials_were_tried_again():
    expected, stored = {}, {}
    run_to_the_end(expected)
    schedule, out = Schedule(plan(), stored), []
    while (pack := schedule.next()) is not None:
        out += pack
    again = schedule.again(stored, [spec.trial_id for spec in out])
    while out:
        spec = out.pop()
        stored[spec.trial_id] = end(spec)
        again.record(spec, stored[spec.trial_id])
        while (pack := again.next()) is not None:
            out += pack
    assert stored == expected


def test_what_stopped_at_a_rung_for_good_is_told_so_that_its_checkpoint_can_go():
    schedule, stopped, ends = Schedule(plan(), {}), [], {}
    while (pack := schedule.next()) is not None:
        ends[pack[0].trial_id] = end(pack[0])
        schedule.record(pack[0], ends[pack[0].trial_id])
        stopped += schedule.take_stopped()
    assert schedule.take_stopped() == []
    assert sorted(stopped) == sorted(trial_id for trial_id, done in ends.items() if done.status == "pruned")


def test_the_rule_is_part_of_the_identity_of_tune_trials_alone():
    halved, whole = (
        plan(),
        make_plan(
            "suite", SUITE, Budget(scale="paper", tune_trials=18, seeds=1, timing_repeats=0, tune_width=9), "campaign"
        ),
    )
    specs = [CellProgress(each, each.running_cells[0], {}).needed_ids() for each in (halved, whole)]
    assert {spec.role for trial_id, spec in specs[0].items() if trial_id in specs[1]} == {"default"}
    assert {spec.halving for spec in specs[0].values() if spec.role == "tune"} == {"1/9 1/3"}


def test_budgets_that_leave_a_bracket_open_are_refused(tmp_path):
    def budget_of(**options):
        return request_of("s", SUITE, RunOptions(results=str(tmp_path), **options)).budget

    assert (budget_of().tune_trials, budget_of().tune_width) == (18, 9)
    with pytest.raises(BadInput, match="must be a multiple of it, such as 18 or 27, got 20"):
        budget_of(tune_trials=20)
    with pytest.raises(BadInput, match="--tune-width must be at least 9, got 4"):
        budget_of(tune_width=4)
    request = request_of("s", SUITE, RunOptions(results=str(tmp_path)))
    store = Store(tmp_path)
    store.prepare()
    store.write(record(role="tune"))
    store.write_json("campaign.json", {"campaign_id": "c", "suite": "s", "requests": [{"tune_trials": 9}]})
    with pytest.raises(BadInput, match="began without --halving"):
        plan_campaign(request, store)
