"""In which order trials are given out, and a schedule that is made again while workers have trials."""

from dataclasses import replace

import pytest
from test_plan import essentials, outcome, plan_of, run_to_the_end

from harness.campaign import run_campaign
from harness.command.options import RunOptions, request_of
from harness.control.requests import Requests
from harness.progress import Progress
from harness.records import TrialRecord
from harness.results.store import Store
from harness.schedule import Schedule
from tasks.suites import Group, Suite


def test_a_schedule_made_again_leaves_alone_what_workers_have_and_goes_on_with_their_ends():
    """As after a retry: the rows that failed are gone, other trials are under way."""
    schedule, out = Schedule(plan_of(), {}), []
    while (pack := schedule.next()) is not None:
        out += pack
    again, run = schedule.again({}, [spec.trial_id for spec in out]), list(out)
    assert again.next() is None
    for spec in out:
        again.record(spec, outcome(spec))
    while (pack := again.next()) is not None:
        run += pack
        again.record(pack[0], outcome(pack[0]))
    expected = run_to_the_end(plan_of())
    assert len(run) == len(expected)
    assert essentials(run) == essentials(expected)


def test_of_what_is_ready_the_longest_goes_first_and_searches_before_the_rest():
    schedule, out = Schedule(plan_of(only=("digits-mlp", "none", "dropout")), {}), []

    def give():
        (spec,) = schedule.next()
        out.append(spec)
        return spec.role, spec.regularizer

    def end(spec):
        schedule.record(spec, replace(outcome(spec), seconds=10.0 if spec.regularizer == "dropout" else 1.0))

    assert [give() for _ in range(12)][::2] == [("tune", "none")] * 5 + [("default", "none")], "by turns at first"
    for spec in out:
        end(spec)
    assert [give() for _ in range(2)] == [("tune", "dropout"), ("tune", "none")], "by the seconds of a trial"


def test_confirm_trials_of_one_search_wait_for_the_proposals_of_another():
    """Only what others wait for is urgent: the next proposals need the ends of these."""
    schedule, held, ran = Schedule(plan_of(only=("digits-mlp", "none", "dropout")), {}), [], []
    while ("none", "tune", 6) not in ran:  # the last proposal of this search
        (spec,) = schedule.next()
        if (spec.regularizer, spec.role) == ("dropout", "tune"):
            held.append(spec)
        else:
            ran.append((spec.regularizer, spec.role, spec.tune_index))
            schedule.record(spec, outcome(spec))
    for spec in held:
        schedule.record(spec, outcome(spec))
    left = []
    while (pack := schedule.next()) is not None:
        left.append((pack[0].regularizer, pack[0].role))
    assert left[0] == ("dropout", "tune")
    assert ("none", "confirm") in left


SWEEP = Suite(
    groups=(Group(tasks=("digits-mlp",), regularizers=("none", "l1")),),
    scale="smoke",
    tune_trials=0,
    timing_tasks=("digits-mlp",),
    timing_repeats=1,
)


@pytest.fixture
def folder_with_failures(tmp_path):
    """A folder in which trials of both cells failed; some have older code, another scale or a seed of a larger run."""
    store = Store(tmp_path)
    store.prepare()
    plan = plan_of(seeds=2, suite=SWEEP)
    cells = {cell.regularizer: cell for cell in plan.running_cells}
    (first, second), others = plan.default_specs(cells["none"]), plan.default_specs(cells["l1"])
    timing = plan.timing_specs([cells["none"]])[0]
    foreign = [second, *others, replace(first, code_hash="older"), replace(first, scale="short")]
    for spec in (first, timing, *foreign):
        store.write(TrialRecord(spec=spec, status="failed", values={}))
    return store, {first.trial_id}, {timing.trial_id}, {spec.trial_id for spec in foreign}


def test_a_run_that_tries_failed_trials_again_keeps_the_rows_of_those_that_it_does_not_run(
    folder_with_failures, monkeypatch
):
    store, again, timed_again, foreign = folder_with_failures
    given_out, finished = set(), set()

    def run(schedule, timing, store, *_):
        given_out.update(spec.trial_id for spec in (*timing, *schedule.next()))
        finished.update(store.finished())

    monkeypatch.setattr("harness.serial.run", run)
    options = RunOptions(results=store.location, serial=True, only="none", seeds=1, retry_failed=True)
    run_campaign(request_of("suite", SWEEP, options), announce=lambda sentence: None)
    assert finished == foreign
    assert given_out == again | timed_again
    kept = {trial_id for trial_id, done in store.finished().items() if done.is_failure}
    assert kept == foreign | again | timed_again, "no new row was written, so they still count as failed"


def test_a_request_to_retry_keeps_the_rows_of_trials_that_the_run_does_not_have(folder_with_failures):
    store, again, timed, foreign = folder_with_failures
    plan = plan_of(seeds=1, suite=SWEEP, tune_trials=0, only=("none",))
    schedule, requests = Schedule(plan, store.finished()), Requests()
    assert schedule.next() is None
    requests.retry.set()
    schedule = requests.taken_up(schedule, store, Progress(plan, num_workers=1))
    assert set(store.finished()) == foreign | timed
    assert {spec.trial_id for spec in schedule.next()} == again
