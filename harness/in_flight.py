"""The trials that workers have now, and their outcomes: the state behind Tune's searcher. Does not import Ray."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.control.requests import Requests
from harness.errors import ResultsError
from harness.records import TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.workers.isolation import lost_record

if TYPE_CHECKING:  # the workers import this module through the tuner, and must not import torch
    from harness.execution import Execution
    from harness.progress import Progress
    from harness.records import Pack
    from harness.schedule import Schedule

MAX_WORKER_LOSSES = 2  # of one trial; after one more its row has the status "crashed"
MAX_EVICTIONS = 50  # of its nodes: far more than spot instances cost in an hour, but a trial may crash its nodes


class InFlight:
    """Which of our trials each Tune trial carries, and how often the worker of each was lost."""

    def __init__(
        self,
        schedule: Schedule,
        store: Store,
        execution: Execution,
        progress: Progress,
        requests: Requests | None = None,
        room: Callable[[], float] = lambda: math.inf,
        has_lost_node: Callable[[TrialSpec], bool] = lambda spec: False,
    ) -> None:
        """`room` returns how many packs workers may have; `has_lost_node` whether the node of a lost trial is gone."""
        self._schedule, self._store, self._execution, self._progress = schedule, store, execution, progress
        self._requests = requests or Requests()
        self._room, self._has_lost_node = room, has_lost_node
        self._out: dict[str, Pack] = {}
        self._num_losses: Counter[str] = Counter()  # of workers, by trial_id
        self._num_evictions: Counter[str] = Counter()  # of workers together with their nodes
        self.write_error = ""
        self.node_problem = ""  # a sentence on a node that cannot run trials
        self.is_finished = False

    def give(self, tune_id: str) -> Pack | None:
        """The next pack, for the Tune trial `tune_id` to run; None if none is ready, or there is no room for it."""
        self._take_up_requests()
        if self._out and len(self._out) >= self._room():
            return None
        is_over = bool(self.write_error or self.node_problem)
        pack = None if is_over else self._schedule.next()
        if pack is not None:
            self._out[tune_id] = pack
            self._progress.given_out(pack)
        self.is_finished = pack is None and not self._out and not is_over
        return pack

    def trial_seconds(self, pack: Pack) -> float | None:
        """The limit of time of each trial of a pack; None is no limit."""
        return self._schedule.limited(self._execution, pack).trial_seconds

    def _take_up_requests(self) -> None:
        if not self._requests.retry.is_set():  # the usual case, which need not list the trials that are out
            return
        out = [spec.trial_id for pack in self._out.values() for spec in pack]
        try:
            self._schedule = self._requests.taken_up(self._schedule, self._store, self._progress, out)
        except (OSError, ResultsError) as error:
            self.write_error = self.write_error or str(error)

    @property
    def schedule(self) -> Schedule:
        """The schedule as it is now; a request to retry replaces it."""
        return self._schedule

    @property
    def is_waiting(self) -> bool:
        """Whether workers have trials whose end may make other trials ready."""
        return bool(self._out)

    def count_loss(self, tune_id: str) -> None:
        """Count a loss of the worker of the Tune trial `tune_id`: against its trials, unless their node is lost."""
        pack = self._out.get(tune_id, ())
        counts = self._num_evictions if pack and self._has_lost_node(pack[0]) else self._num_losses
        counts.update(spec.trial_id for spec in pack)

    def take(self, tune_id: str, result: dict[str, Any], was_lost: bool) -> None:
        """Record how the Tune trial `tune_id` ended; Tune will not retry it.

        If its worker was lost, its trials are given out again, one by one, until each has lost too many workers. Tune's
        own retries do not suffice: it gives up at once if one lost worker breaks two of its calls. A worker that could
        not start the process of its trials counts as lost. A Tune trial that neither reported nor lost its worker was
        cut off; its trials run when the campaign is resumed.
        """
        cause = result.get("not_started", "")
        was_lost = was_lost or bool(cause)
        if was_lost:
            self.count_loss(tune_id)
        pack = self._out.pop(tune_id, None)
        if pack is None:
            return
        self.write_error = self.write_error or result.get("write_error", "")
        self.node_problem = self.node_problem or result.get("node_problem", "")
        if "finished" in result:
            self._note(pack, [TrialSummary(**fields) for fields in json.loads(result["finished"])])
        elif was_lost:
            num_losses, num_evictions = (n[pack[0].trial_id] for n in (self._num_losses, self._num_evictions))
            is_spent = len(pack) == 1 and (num_losses > MAX_WORKER_LOSSES or num_evictions > MAX_EVICTIONS)
            num = num_losses + num_evictions
            ends = [record_lost_trial(pack[0], num, self._store, self._execution, cause)] if is_spent else []
            self._note(pack, ends)

    def _note(self, pack: Pack, ends: Sequence[TrialSummary]) -> None:
        """Pass on how the trials ended; with an empty `ends` they will run again, one by one."""
        for spec, finished in zip(pack, ends, strict=False):
            self._schedule.record(spec, finished)
        self._progress.replanned(self._schedule, pack[0].cell)
        if stopped := self._schedule.take_stopped():
            self._store.drop_checkpoints(stopped)
        if not ends:
            self._schedule.split(pack)
        self._progress.ended(pack, ends)


class DriverOnly:
    """A reference to the trials in flight that Tune can pickle; the unpickled copy is empty.

    Tune pickles its searcher and its callbacks when it starts and in every snapshot. The trials in flight hold what
    cannot be pickled (the terminal of the live view) and what grows with the campaign (the schedule). Snapshots are
    never read.
    """

    def __init__(self, in_flight: InFlight | None) -> None:
        self._in_flight = in_flight

    @property
    def in_flight(self) -> InFlight:
        """The trials in flight; only the driver's own reference has it."""
        if self._in_flight is None:
            raise RuntimeError("This is a pickled copy of Tune's searcher or callback; only the driver's own works.")
        return self._in_flight

    def __reduce__(self) -> tuple[type[DriverOnly], tuple[None]]:
        """Pickle as an empty reference."""
        return DriverOnly, (None,)

    def __deepcopy__(self, memo: object) -> DriverOnly:
        """A copy within the driver refers to the same object."""
        return self


def record_lost_trial(
    spec: TrialSpec, num_losses: int, store: Store, execution: Execution, cause: str = ""
) -> TrialSummary:
    """Write a row for a trial whose worker was lost too often; a replay of its study needs the outcome.

    `cause` is the error with which the worker could not start the trial's process the last time; empty: it started.
    """
    message = f"The trial's worker was lost {num_losses} times."
    if cause:
        message = f"The trial's process could not be started in {num_losses} tries; the last error was {cause}."
    record = lost_record(spec, execution, "crashed", message).with_values(attempts=num_losses)
    store.write(record)
    return TrialSummary.of(record)
