"""What other terminals asked of this run, as the run itself takes it up: between trials, in its main thread."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the workers import this module through the tuner, and must not import torch
    from harness.progress import Progress
    from harness.results.store import Store
    from harness.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests that the run has seen and not yet taken up."""

    stop: threading.Event = field(default_factory=threading.Event)
    retry: threading.Event = field(default_factory=threading.Event)

    def taken_up(self, schedule: Schedule, store: Store, progress: Progress, out: Collection[str] = ()) -> Schedule:
        """The schedule as it is after what was asked: failed trials are forgotten, and will be given out again.

        Timing trials run after all others, once the machine is free, and are not retried here. Trials that are `out`
        with workers stay there, and end as they end.

        Raises:
            OSError, ResultsError: when the rows cannot be read or written.
        """
        if not self.retry.is_set():
            return schedule
        self.retry.clear()
        stored = store.finished()
        failed = {
            trial_id: done
            for trial_id, done in stored.items()
            if done.is_failure and done.role != "timing" and trial_id not in out
        }
        store.forget(failed)
        progress.forgotten(failed.values())
        return schedule.again({trial_id: done for trial_id, done in stored.items() if trial_id not in failed}, out)
