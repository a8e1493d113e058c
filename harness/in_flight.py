"""The trials that workers have now, and their outcomes: the state behind Tune's searcher. Does not import Ray."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
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


class InFlight:
    """Which of our trials each Tune trial carries, and how often the worker of each was lost."""

    def __init__(
        self,
        schedule: Schedule,
        store: Store,
        execution: Execution,
        progress: Progress,
        requests: Requests | None = None,
    ) -> None:
        self._schedule, self._store, self._execution, self._progress = schedule, store, execution, progress
        self._requests = requests or Requests()
        self._out: dict[str, Pack] = {}
        self._num_losses: Counter[str] = Counter()  # of workers, by trial_id
        self.write_error = ""
        self.is_finished = False

    def give(self, tune_id: str) -> Pack | None:
        """The next pack, for the Tune trial `tune_id` to run; None if none is ready or rows cannot be written."""
        self._take_up_requests()
        pack = None if self.write_error else self._schedule.next()
        if pack is not None:
            self._out[tune_id] = pack
            self._progress.given_out(pack)
        self.is_finished = pack is None and not self._out and not self.write_error
        return pack

    def _take_up_requests(self) -> None:
        if not self._requests.retry.is_set():  # the usual case, which need not list the trials that are out
            return
        out = [spec.trial_id for pack in self._out.values() for spec in pack]
        try:
            self._schedule = self._requests.taken_up(self._schedule, self._store, self._progress, out)
        except (OSError, ResultsError) as error:
            self.write_error = self.write_error or str(error)

    @property
    def is_waiting(self) -> bool:
        """Whether workers have trials whose end may make other trials ready."""
        return bool(self._out)

    def count_loss(self, tune_id: str) -> None:
        """Count a loss of the worker of the Tune trial `tune_id`."""
        self._num_losses.update(spec.trial_id for spec in self._out.get(tune_id, ()))

    def take(self, tune_id: str, result: dict[str, Any], was_lost: bool) -> None:
        """Take in how the Tune trial `tune_id` ended; Tune will not retry it.

        If its worker was lost, its trials are given out again, one by one, until each has lost too many workers. Tune's
        own retries do not suffice: it gives up at once if one lost worker breaks two of its calls. A Tune trial that
        neither reported nor lost its worker was cut off; its trials run when the campaign is resumed.
        """
        if was_lost:
            self.count_loss(tune_id)
        pack = self._out.pop(tune_id, None)
        if pack is None:
            return
        self.write_error = self.write_error or result.get("write_error", "")
        if "finished" in result:
            self._note(pack, [TrialSummary(**fields) for fields in json.loads(result["finished"])])
        elif was_lost:
            num_losses = self._num_losses[pack[0].trial_id]
            is_spent = len(pack) == 1 and num_losses > MAX_WORKER_LOSSES
            self._note(pack, [record_lost_trial(pack[0], num_losses, self._store, self._execution)] if is_spent else [])

    def _note(self, pack: Pack, ends: Sequence[TrialSummary]) -> None:
        """Pass on how the trials ended; with an empty `ends` they will run again, one by one."""
        for spec, finished in zip(pack, ends, strict=False):
            self._schedule.record(spec, finished)
        if stopped := self._schedule.take_stopped():
            self._store.drop_checkpoints(stopped)
        if not ends:
            self._schedule.split(pack)
        self._progress.ended(pack, ends)


def record_lost_trial(spec: TrialSpec, num_losses: int, store: Store, execution: Execution) -> TrialSummary:
    """Write a row for a trial whose worker was lost too often; a replay of its study needs the outcome."""
    message = f"The trial's worker was lost {num_losses} times."
    record = lost_record(spec, execution, "crashed", message).with_values(attempts=num_losses)
    store.write(record)
    return TrialSummary.of(record)
