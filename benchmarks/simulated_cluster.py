"""Campaigns on a cluster that is made up: idle share of its slots, and what the driver costs, with a virtual clock.

The real plan, schedule, studies and trials in flight decide what runs; only the trials are made up. How long one takes
and what comes of it are functions of its identity: cells differ by their tasks and contestants, trials of a cell by a
tenth. One trial in fifty diverges, one in a hundred attempts loses its worker half way, and its trial runs again.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import os
import resource
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sizes import sized
from harness.execution import Execution
from harness.in_flight import InFlight
from harness.plan import Budget, Plan, make_plan
from harness.progress import Progress
from harness.records import HYPERPARAMETER_PREFIX, TRIAL_FIELDS, Pack, TrialRecord, TrialSpec
from harness.records.folders import TRIALS
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from tasks.experiments import SUITES
from tasks.suites import Group, Suite

DIVERGED_SHARE, LOST_SHARE = 0.02, 0.01
QUEUED = 2  # trials that the tuner gives out beyond the slots
NUM_STUDY_TRIALS = 50

Ended = list[tuple[TrialSpec, TrialSummary]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A campaign on so many slots, at a width of its studies, and the share of idle time that it may have."""

    name: str
    suite: Suite
    num_slots: int
    width: int
    goal: float | None = None
    tune_trials: int | None = None


def run() -> Iterable[Mapping[str, object]]:
    """One row per campaign and cluster; then the start of a run whose trials are all stored, in one file."""
    for case in _cases():
        row, ended = _simulated(case)
        yield row
    yield _started_over(case, ended)


def _cases() -> Iterator[Case]:
    group = Group(tasks=("cifar10-resnet56",), regularizers=("none", "localdrop"))
    tune = Suite(groups=(group,), scale="paper", tune_trials=NUM_STUDY_TRIALS)
    table2, leaderboard = SUITES["distortion-table2"], SUITES["leaderboard"]
    if sized(False, True):
        yield Case(name="tune", suite=tune, num_slots=4, width=2, tune_trials=8)
        return
    for num_slots in (8, 16, 128, 1024):
        for width in (1, 4, 16):
            goal = 0.20 if (num_slots, width) == (16, 16) else None
            yield Case(name="tune", suite=tune, num_slots=num_slots, width=width, goal=goal)
    for num_slots in (8, 32, 128):
        for width in (1, 4, 8):
            goal = 0.25 if (num_slots, width) == (32, 8) else None
            yield Case(name="distortion-table2", suite=table2, num_slots=num_slots, width=width, goal=goal)
    for num_slots, width in ((8, 4), (128, 4), (512, 1), (512, 4), (1024, 4)):
        goal = 0.10 if (num_slots, width) == (512, 4) else None
        yield Case(name="leaderboard", suite=leaderboard, num_slots=num_slots, width=width, goal=goal)


def _simulated(case: Case) -> tuple[dict[str, object], Ended]:
    plan = _plan(case)
    before = _resident_mib()
    with _in_flight(plan, case.num_slots) as in_flight:
        started = time.process_time()
        cluster = _Cluster(in_flight, case.num_slots)
        cluster.run()
        cpu_seconds = time.process_time() - started
    busy, span = cluster.busy_seconds, cluster.now
    num_ended = len(cluster.ended)
    row: dict[str, object] = {
        "campaign": case.name,
        "slots": case.num_slots,
        "width": case.width,
        "trials": num_ended,
        "idle_share": 1 - busy / (span * case.num_slots),
        **({} if case.goal is None else {"goal": f"<={case.goal}"}),
        "hours": span / 3600,
        "driver_ms_per_trial": 1000 * cpu_seconds / num_ended,
        "driver_goal": "<=3",
        "memory_mib": max(0.0, _resident_mib() - before),
    }
    return row, cluster.ended


def _started_over(case: Case, ended: Ended) -> dict[str, object]:
    """Processor seconds to read the rows and to replay the studies over them."""
    plan = _plan(case)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.prepare()
        _write_rows(list(map(_row, ended)), f"{folder}/{TRIALS}/all.parquet")
        started = time.process_time()
        stored = store.finished()
        read = time.process_time()
        assert Schedule(plan, stored, proposals=store.proposals).next() is None, "all trials are stored"
        replayed = time.process_time()
    return {
        "started over": case.name,
        "rows": len(stored),
        "reading_seconds": read - started,
        "replaying_seconds": replayed - read,
        "goal": "<=3 in all",
    }


def _row(end: tuple[TrialSpec, TrialSummary]) -> dict[str, object]:
    """The row of a trial."""
    spec, done = end
    values = {"validation_value": done.validation_value, "train_seconds": done.seconds}
    return TrialRecord(spec=spec, status=done.status, values=values).row()  # type: ignore[arg-type]  # one of the statuses


def _write_rows(rows: list[dict[str, Any]], path: str) -> None:
    """All rows in one file, hyperparameters that are text for some contestants and numbers for others left out."""
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith(HYPERPARAMETER_PREFIX):
                kinds.setdefault(name, set()).add(float if type(value) is int else type(value))
    types = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}
    fields = [(name, types[next(iter(kind))]) for name, kind in kinds.items() if len(kind) == 1]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([*TRIAL_FIELDS, *fields])), path)


def _plan(case: Case) -> Plan:
    budget = Budget(
        scale=case.suite.scale,  # type: ignore[arg-type]  # Budget checks it
        tune_trials=case.suite.tune_trials if case.tune_trials is None else case.tune_trials,
        seeds=case.suite.seeds,
        timing_repeats=0,
        tune_width=case.width,
    )
    return make_plan(case.name, case.suite, budget, "simulated")


@contextmanager
def _in_flight(plan: Plan, num_slots: int) -> Iterator[InFlight]:
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        store = Store(folder)
        store.prepare()
        progress = Progress(plan, num_workers=num_slots, stream=nowhere)
        yield InFlight(Schedule(plan, {}), store, Execution(), progress)


class _Cluster:
    """Slots that run what they are given in the order in which it is given, as Tune does; time is a number."""

    def __init__(self, in_flight: InFlight, num_slots: int) -> None:
        self._in_flight, self._num_slots = in_flight, num_slots
        self._queue: deque[tuple[str, Pack]] = deque()
        self._running: list[tuple[float, str, Pack, bool]] = []  # end, id, trials, whether the worker is lost then
        self._num_given = 0
        self.now = self.busy_seconds = 0.0
        self.ended: Ended = []

    def run(self) -> None:
        """Until nothing is left."""
        self._fill()
        while self._running:
            self.now, tune_id, pack, is_lost = heapq.heappop(self._running)
            if is_lost:
                self._in_flight.take(tune_id, {}, was_lost=True)
            else:
                ends = [(spec, _end(spec)) for spec in pack]
                told = json.dumps([asdict(done) for _, done in ends])
                self._in_flight.take(tune_id, {"finished": told}, was_lost=False)
                self.ended += ends
            self._fill()

    def _fill(self) -> None:
        while len(self._queue) + len(self._running) < self._num_slots + QUEUED:
            tune_id = f"{self._num_given:07}"
            pack = self._in_flight.give(tune_id)
            if pack is None:
                break
            self._num_given += 1
            self._queue.append((tune_id, pack))
        while self._queue and len(self._running) < self._num_slots:
            tune_id, pack = self._queue.popleft()
            seconds = sum(map(_seconds, pack))
            is_lost = _draw(tune_id, "lost") < LOST_SHARE
            seconds *= 0.5 if is_lost else 1.0
            self.busy_seconds += seconds
            heapq.heappush(self._running, (self.now + seconds, tune_id, pack, is_lost))


def _seconds(spec: TrialSpec) -> float:
    """Of one trial: hours for some tasks, minutes for others; contestants cost up to twice the baseline."""
    task = 1200 * math.exp(statistics.NormalDist().inv_cdf(_draw(spec.task)))
    contestant = 1 + _draw(spec.regularizer)
    return task * contestant * math.exp(0.1 * statistics.NormalDist().inv_cdf(_draw(spec.trial_id, "seconds")))


def _end(spec: TrialSpec) -> TrialSummary:
    has_diverged = spec.role == "tune" and _draw(spec.trial_id, "end") < DIVERGED_SHARE
    return TrialSummary(
        trial_id=spec.trial_id,
        status="diverged" if has_diverged else "completed",
        validation_value=None if has_diverged else _draw(spec.trial_id, "value"),
        task=spec.task,
        regularizer=spec.regularizer,
        role=spec.role,
        seconds=_seconds(spec),
    )


def _draw(*names: str) -> float:
    """Uniform in (0, 1), a function of the names."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return (int.from_bytes(digest[:7], "big") + 0.5) / 2**56


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
