"""Limits of time from what is known of a cell: stated, and switched off on request."""

from dataclasses import replace

from test_plan import SUITE, outcome, plan_of
from typer.testing import CliRunner

from harness.cli import app
from harness.command.options import RunOptions, request_of
from harness.execution import Execution
from harness.plan import Budget, make_plan
from harness.schedule import Schedule
from harness.times.limits import FACTOR, LEAST_SECONDS

BY_KNOWN = Execution(known_limit=True)


def ended(spec, seconds, status="completed", **fields):
    return replace(outcome(spec), status=status, validation_value=0.5, seconds=seconds, **fields)


def give(schedule, task="digits-mlp", regularizer="none"):
    while (pack := schedule.next()) is not None:
        if pack[0].cell == (task, regularizer):
            return pack
    raise AssertionError("the cell has no more trials")


def test_nothing_limits_the_first_trials_and_the_longest_of_the_cell_the_later_ones():
    schedule = Schedule(plan_of(), {})
    pack = give(schedule)
    assert schedule.limited(BY_KNOWN, pack).trial_seconds is None
    schedule.record(pack[0], ended(pack[0], 100.0))
    assert schedule.limited(BY_KNOWN, give(schedule)).trial_seconds == FACTOR * 100.0
    later = give(schedule)
    schedule.record(later[0], ended(later[0], 40.0))
    assert schedule.limited(BY_KNOWN, give(schedule)).trial_seconds == FACTOR * 100.0


def test_the_first_trial_of_a_cell_is_limited_by_others_of_its_task_and_of_no_other():
    schedule = Schedule(plan_of(), {})
    pack = give(schedule)
    schedule.record(pack[0], ended(pack[0], 100.0))
    assert schedule.limited(BY_KNOWN, give(schedule, regularizer="dropout")).trial_seconds == FACTOR * 100.0
    assert schedule.limited(BY_KNOWN, give(schedule, "shallow-linear-dropblock")).trial_seconds is None


def test_a_limit_is_never_short_and_failures_do_not_set_one():
    schedule = Schedule(plan_of(), {})
    pack = give(schedule)
    schedule.record(pack[0], replace(outcome(pack[0]), status="failed", validation_value=None, seconds=1e6))
    assert schedule.limited(BY_KNOWN, give(schedule)).trial_seconds is None
    later = give(schedule)
    schedule.record(later[0], ended(later[0], 0.1))
    assert schedule.limited(BY_KNOWN, give(schedule)).trial_seconds == LEAST_SECONDS


def test_a_part_of_a_training_counts_as_the_whole_one():
    budget = Budget(scale="smoke", tune_trials=9, seeds=1, timing_repeats=0, tune_width=9, halving=True)
    plan = make_plan("suite", SUITE, budget, "campaign", only=("digits-convnet", "none"))
    schedule = Schedule(plan, {})
    pack = give(schedule, "digits-convnet")
    epochs = plan.running_cells[0].task.epochs("smoke")
    schedule.record(pack[0], ended(pack[0], 50.0, status="pruned", rung=0))
    limit = schedule.limited(BY_KNOWN, give(schedule, "digits-convnet")).trial_seconds
    assert limit == FACTOR * 50.0 * epochs / pack[0].until_epoch


def test_the_limit_is_stated_where_it_is_set():
    told = " ".join(CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output.split())
    assert "30 times the longest known of its cell or task, at least 15 min; 0 for none" in told
    assert (FACTOR, LEAST_SECONDS) == (30, 15 * 60)


def test_what_was_asked_for_holds_and_nothing_is_a_limit_too():
    schedule = Schedule(plan_of(), {})
    pack = give(schedule)
    schedule.record(pack[0], ended(pack[0], 100.0))
    later = give(schedule)
    limits = {}
    for asked in (None, 7.0, 0.0):
        execution = request_of("suite", SUITE, RunOptions(trial_seconds=asked)).execution
        limits[asked] = schedule.limited(execution, later).trial_seconds
    assert limits == {None: FACTOR * 100.0, 7.0: 7.0, 0.0: None}
