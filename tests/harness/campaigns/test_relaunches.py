"""A Tune run that Ray aborts is started again as long as rows keep coming."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from harness import tuner
from harness.control.requests import Requests
from harness.errors import Interrupted
from harness.execution import Execution
from harness.plan import Budget, make_plan
from harness.progress import Progress
from harness.request import Cluster
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.workers.interrupts import ended_by_signals
from tasks.suites import Group, Suite

SUITE = Suite(groups=(Group(tasks=("digits-mlp",), regularizers=("none",)),), scale="smoke", tune_trials=0)


def fit(folder: Path, ends: list[int | None], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Runs of Tune that end after so many trials with two under way, by an error; None is the one that ends well.

    Returns how many trials were done and how many out when each run began.
    """
    plan = make_plan("one", SUITE, Budget(scale="smoke", tune_trials=0, seeds=9, timing_repeats=0), "campaign")
    store, began = Store(folder), []
    store.prepare()

    def once(schedule: Schedule, store: Store, execution: Execution, progress: Progress, *others: object) -> Any:
        began.append((progress.num_run, progress._running().total()))
        number = ends[len(began) - 1]
        if number is None:
            return schedule, None
        for pack in (schedule.next() for _ in range(number + 2)):
            assert pack is not None
            progress.given_out(pack)
            if progress.num_run < sum(filter(None, ends[: len(began)])):
                progress.ended(pack, [TrialSummary(spec.trial_id, "completed", 0.5) for spec in pack])
        return schedule, RuntimeError("aborted by Ray")

    monkeypatch.setattr(tuner, "_fit_once", once)
    with Progress(plan, num_workers=4, stream=(folder / "progress").open("w")) as progress:
        tuner._fit(Schedule(plan, {}), store, Execution(), progress, Cluster(), Requests())
    return began


def test_a_run_that_is_aborted_begins_anew_with_nothing_given_out(tmp_path, monkeypatch):
    assert fit(tmp_path, [2, 1, None], monkeypatch) == [(0, 0), (2, 0), (3, 0)]


def test_a_run_that_brings_nothing_ends_with_its_error(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="aborted by Ray"):
        fit(tmp_path, [1, 0, None], monkeypatch)


def test_a_sigterm_before_tune_listens_is_an_interruption():
    """Tune is told by SIGUSR1, which ends a process that has no handler for it."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"), ended_by_signals() as was_stopped:
        signal.raise_signal(signal.SIGTERM)
    assert was_stopped()
    assert signal.getsignal(signal.SIGTERM) is before
