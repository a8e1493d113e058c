"""Trials that workers lose: what counts against a trial, and what against its node; and how many are out at once.

Losses are told as Ray tells them, since an hour of evictions takes an hour; `test_nodes_come_and_go` has real ones.
"""

import pytest
from test_plan import plan_of

from harness.control.files import RUNNING, node_of, noted
from harness.execution import Execution
from harness.in_flight import MAX_EVICTIONS, MAX_WORKER_LOSSES, InFlight
from harness.progress import Progress
from harness.results.store import Store
from harness.schedule import Schedule

ONE_HOUR_OF_SPOT = 20  # evictions of one trial: a node that is taken back every three minutes


@pytest.fixture
def in_flight(tmp_path):
    """A function that makes the trials in flight of a small campaign."""
    store = Store(tmp_path)
    store.prepare()
    with (tmp_path / "progress").open("w") as stream:

        def make(**settings):
            plan = plan_of(tune_trials=0, seeds=1, only=("digits-mlp", "none"))
            progress = Progress(plan, num_workers=1, stream=stream)
            return InFlight(Schedule(plan, {}), store, Execution(), progress, **settings), store

        yield make


def lose(trials, number):
    """Give the one trial out so often, and lose its worker each time, as Tune tells it."""
    for time in range(number):
        pack = trials.give(f"{time}")
        assert pack is not None, f"not given out again after {time} losses"
        trials.take(f"{time}", {}, was_lost=True)


def test_a_busy_hour_of_evictions_ends_no_trial(in_flight):
    trials, store = in_flight(has_lost_node=lambda spec: True)
    lose(trials, ONE_HOUR_OF_SPOT)
    assert trials.give("again") is not None
    assert store.finished() == {}


def test_a_trial_that_ends_every_node_it_gets_is_recorded_in_the_end(in_flight):
    trials, store = in_flight(has_lost_node=lambda spec: True)
    lose(trials, MAX_EVICTIONS + 1)
    assert [done.status for done in store.finished().values()] == ["crashed"]


def test_losses_on_nodes_that_stay_are_the_trials_own(in_flight):
    trials, store = in_flight()
    lose(trials, MAX_WORKER_LOSSES + 1)
    assert [done.status for done in store.finished().values()] == ["crashed"]


def test_evictions_do_not_add_to_losses(in_flight):
    gone = iter([True, False, True, False, True, False])
    trials, store = in_flight(has_lost_node=lambda spec: next(gone))
    lose(trials, 5)
    assert store.finished() == {}
    trials.give("6")
    trials.take("6", {}, was_lost=True)
    assert [done.status for done in store.finished().values()] == ["crashed"]


def test_why_a_trial_could_not_be_started_stands_in_its_row(in_flight):
    trials, store = in_flight()
    for time in range(MAX_WORKER_LOSSES + 1):
        trials.give(f"{time}")
        trials.take(f"{time}", {"not_started": "OSError: [Errno 24] Too many open files"}, was_lost=False)
    (row,) = store.rows(["status", "error_message"])
    assert row["status"] == "crashed"
    assert "could not be started in 3 tries" in row["error_message"]
    assert "[Errno 24] Too many open files" in row["error_message"]


def test_no_more_are_out_than_there_is_room_for_and_more_when_nodes_join(in_flight, tmp_path):
    room = [2]
    store = Store(tmp_path)
    plan = plan_of(tune_trials=0, seeds=2)
    with (tmp_path / "other").open("w") as stream:
        trials = InFlight(
            Schedule(plan, {}), store, Execution(), Progress(plan, num_workers=1, stream=stream),
            room=lambda: room[0],
        )  # fmt: skip
        assert [trials.give(name) is not None for name in "abc"] == [True, True, False]
        assert not trials.is_finished
        room[0] = 3
        assert [trials.give(name) is not None for name in "cd"] == [True, False]


def test_a_node_that_cannot_run_trials_ends_the_run_with_a_sentence(in_flight):
    trials, _ = in_flight()
    trials.give("a")
    trials.take("a", {"node_problem": "The node 10.0.0.7 lacks the data."}, was_lost=False)
    assert trials.give("b") is None
    assert trials.node_problem == "The node 10.0.0.7 lacks the data."
    assert not trials.is_finished
    assert not trials.is_waiting


def test_the_note_of_a_lost_trial_names_its_node_once(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    store.make_folder(RUNNING)
    (spec,) = Schedule(plan_of(), {}).next()
    assert node_of(store, spec) is None, "it had not begun"
    with noted(store, (spec,), node_id="abc"):
        assert node_of(store, spec) == "abc"
        assert node_of(store, spec) is None
