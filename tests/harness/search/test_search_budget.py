"""Budgets in epochs: how many proposals a search makes follows from the outcomes, whatever ends first."""

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.command.options import RunOptions, ScaleName, request_of
from harness.errors import BadInput
from harness.plan import Budget, make_plan
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.search.budget import SearchBudget
from tasks.suites import Group, Suite

TASK = "digits-200-convnet"  # 60 epochs
SUITE = Suite(groups=(Group(tasks=(TASK,), regularizers=("none",)),), scale="smoke", tune_trials=4)
BRACKET_OF_60 = 9 * 7 + 3 * (20 - 7) + 1 * (60 - 20)  # rungs at 1/9 and 1/3 of 60 epochs
FIRST_OF_60 = 9 * 7 + 4 * (20 - 7) + 2 * (60 - 20)  # of the first bracket, whose first trial trains to the end


def plan_of(tune_epochs, tune_width=1, halving=False, suite=SUITE, **fields):
    budget = Budget.of(suite, None, halving, tune_epochs=tune_epochs, tune_width=tune_width, seeds=1)
    return make_plan("suite", suite, budget, "campaign", **fields)


def epochs_of(plan):
    (cell,) = plan.running_cells
    return cell.task.epochs(cell.scale)


def ended(spec, epochs):
    """A made-up end, a function of the trial alone: it fails, diverges, ends early, or trains as far as it is to."""
    digest = hashlib.sha256(spec.trial_id.encode()).digest()
    until, value = spec.until_epoch or epochs, int.from_bytes(digest[1:8], "big") / 2**56
    if digest[0] < 50:
        return TrialSummary(spec.trial_id, ("failed", "diverged")[digest[0] % 2], None, rung=spec.rung)
    if digest[0] < 100:
        run = 1 + digest[9] % until
        return TrialSummary(spec.trial_id, "stopped_early", value, rung=spec.rung, epochs_run=run)
    status = "completed" if spec.until_epoch is None else "pruned"
    return TrialSummary(spec.trial_id, status, value, rung=spec.rung, epochs_run=until)


def searched(plan, choose=lambda out: 0, num_slots=1, interrupted=lambda: False, end=ended):
    """The outcomes of all proposals, by their place, when trials end in a chosen order."""
    epochs, stored, places, out = epochs_of(plan), {}, {}, []
    schedule = Schedule(plan, stored)
    while True:
        while len(out) < num_slots and (pack := schedule.next()) is not None:
            out += pack
        if not out:
            ids = [places[place] for place in range(len(places))]
            return [stored[trial_id] for trial_id in ids], ids
        spec = out.pop(choose(out))
        if spec.role == "tune":
            assert places.setdefault(spec.tune_index, spec.trial_id) == spec.trial_id
        stored[spec.trial_id] = end(spec, epochs)
        schedule.record(spec, stored[spec.trial_id])
        if interrupted():  # what workers had is lost, and runs again
            out, schedule = [], Schedule(plan, dict(stored))


def charged(finished, epochs, rungs=()):
    """What a trial counts, by the documented rule."""
    if finished.epochs_run is not None:
        return finished.epochs_run
    return rungs[finished.rung] if finished.rung is not None and finished.rung < len(rungs) else epochs


@pytest.mark.parametrize("halving", [False, True], ids=["whole", "halving"])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_proposals_do_not_depend_on_slots_order_or_interruptions(halving, data):
    width = data.draw(st.sampled_from([9, 20] if halving else [1, 4]), label="width")
    plan = plan_of(data.draw(st.integers(FIRST_OF_60 if halving else 60, 480), label="epochs"), width, halving)
    drawn = random.Random(data.draw(st.integers(0, 2**32), label="seed of the order"))
    assert searched(plan) == searched(
        plan,
        choose=lambda out: drawn.randrange(len(out)),
        num_slots=data.draw(st.integers(1, 16), label="slots"),
        interrupted=lambda: drawn.random() < 0.1,
    )


@settings(max_examples=20, deadline=None)
@given(num_epochs=st.integers(60, 900), width=st.sampled_from([1, 6]))
def test_a_trial_begins_if_all_before_it_and_a_whole_training_fit(num_epochs, width):
    plan = plan_of(num_epochs, width)
    outcomes, _ = searched(plan)
    used = [charged(finished, epochs_of(plan)) for finished in outcomes]
    for place in range(len(used)):
        assert sum(used[:place]) + epochs_of(plan) <= num_epochs
    assert sum(used) + epochs_of(plan) > num_epochs, "one more would have fitted"


@settings(max_examples=10, deadline=None)
@given(num_epochs=st.integers(FIRST_OF_60, 900))
def test_with_halving_a_bracket_begins_if_all_before_it_and_a_full_one_fit(num_epochs):
    plan = plan_of(num_epochs, 9, halving=True)
    assert epochs_of(plan) == 60
    outcomes, _ = searched(plan)
    assert len(outcomes) % 9 == 0
    used = [charged(finished, 60, (7, 20)) for finished in outcomes]
    for begin in range(0, len(used), 9):
        assert sum(used[:begin]) + (BRACKET_OF_60 if begin else FIRST_OF_60) <= num_epochs
    assert sum(used) + BRACKET_OF_60 > num_epochs


@pytest.mark.parametrize("halving", [False, True], ids=["whole", "halving"])
def test_a_larger_budget_begins_with_the_trials_of_a_smaller_one(halving):
    small, large = (searched(plan_of(epochs, 9, halving))[1] for epochs in (300, 700))
    assert large[: len(small)] == small
    assert len(large) > len(small) > 0


def test_a_contestant_that_always_fails_gets_as_many_trials_as_whole_trainings_fit():
    def fail(spec, epochs):
        return TrialSummary(spec.trial_id, "failed", None)

    for width in (1, 8):
        outcomes, _ = searched(plan_of(7 * 60 + 59, width), end=fail)
        assert len(outcomes) == 7


@pytest.mark.parametrize(("halving", "size"), [(False, 1), (True, 9)], ids=["whole", "halving"])
def test_trials_that_end_in_their_first_epoch_are_as_many_as_can_be(halving, size):
    def end_at_once(spec, epochs):
        return TrialSummary(spec.trial_id, "stopped_early", 0.5, rung=spec.rung, epochs_run=1)

    plan = plan_of(200, 9, halving)
    outcomes, _ = searched(plan, end=end_at_once)
    (cell,) = plan.running_cells
    assert len(outcomes) == plan.search_budget(cell).most_trials
    room = 200 - (BRACKET_OF_60 if halving else 60)
    assert len(outcomes) == size * (room // size + 1)


def test_proposals_that_are_made_twice_count_twice_so_that_a_small_space_ends():
    budget = SearchBudget(num_trials=0, num_epochs=10, training_epochs=5, halving=False)
    again = TrialSummary("same", "stopped_early", 0.5, epochs_run=2)
    place = 0
    while budget.has_room(place):
        budget.note(place, again)
        place += 1
    assert place == 3, "after 0, 2 and 4 epochs a training of 5 fits, after 6 it does not"


def test_the_plan_counts_trials_that_run_all_epochs_until_others_are_known():
    plan = plan_of(5 * 60 + 30)
    (cell,) = plan.running_cells
    assert plan.num_trials(cell) == 1 + 5 + 1  # default, tune and confirm trials
    schedule = Schedule(plan, {})
    pack = schedule.next()
    half = TrialSummary(pack[0].trial_id, "stopped_early", 0.5, epochs_run=30)
    schedule.record(pack[0], half)
    assert schedule.num_trials(pack[0].cell) == 1 + 6 + 1, "30 epochs are used, and 5 more trainings fit"


def test_rows_hold_the_budget_of_tune_trials_and_their_identity_does_not():
    plan, counted = plan_of(300), make_plan("suite", SUITE, Budget.of(SUITE, tune_trials=5, seeds=1), "campaign")
    by_epochs, by_trials = ([*Schedule(each, {}).known_trials().values()] for each in (plan, counted))
    tuned = [spec for spec in by_epochs if spec.role == "tune"]
    assert {spec.tune_epochs for spec in tuned} == {300}
    assert {spec.trial_id for spec in by_epochs} == {spec.trial_id for spec in by_trials}
    (cell,) = plan.running_cells
    assert [spec.tune_epochs for spec in plan.confirm_specs(cell, tuned[0])] == [None]


def test_a_budget_that_holds_no_training_is_refused_with_the_least_one():
    with pytest.raises(BadInput, match=rf"--tune-epochs must be at least 60, which a trial of the task {TASK} takes"):
        plan_of(59)
    with pytest.raises(BadInput, match=rf"must be at least {FIRST_OF_60}, which a bracket of 9 trials of the task"):
        plan_of(FIRST_OF_60 - 1, 9, halving=True)
    assert plan_of(FIRST_OF_60, 9, halving=True)
    with pytest.raises(BadInput, match="--tune-epochs must be at least 0"):
        plan_of(-1)


def budget_of(suite, scale=None, **options):
    if scale:
        options["scale"] = scale
    budget = request_of("s", suite, RunOptions(**options)).budget
    return budget.tune_trials, budget.tune_epochs


def test_the_options_replace_the_suites_budget_whichever_it_counts():
    by_epochs = replace(SUITE, tune_trials=0, tune_epochs=500, tune_trials_at={"short": 2})
    assert budget_of(SUITE) == (4, 0)
    assert budget_of(SUITE, tune_epochs=300) == (0, 300)
    assert budget_of(by_epochs) == (0, 500)
    assert budget_of(by_epochs, tune_trials=3) == (3, 0)
    assert budget_of(by_epochs, tune_epochs=0) == (0, 0)
    assert budget_of(by_epochs, scale=ScaleName.short) == (2, 0)
    with pytest.raises(BadInput, match="give one of --tune-trials and --tune-epochs, got 3 and 300"):
        budget_of(SUITE, tune_trials=3, tune_epochs=300)
    with pytest.raises(BadInput, match="a number of trials or of epochs, not both: got 4 tune trials and 500"):
        Budget.of(replace(SUITE, tune_epochs=500))
