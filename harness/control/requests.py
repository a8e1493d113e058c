"""Requests of other terminals, and how the run carries them out: between trials, in its main thread."""

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
    """Requests that the run has read and not yet carried out."""

    stop: threading.Event = field(default_factory=threading.Event)
    retry: threading.Event = field(default_factory=threading.Event)

    def taken_up(self, schedule: Schedule, store: Store, progress: Progress, out: Collection[str] = ()) -> Schedule:
        """The schedule after a request to retry, if there is one: its failed trials are given out again.

        Timing trials are not retried: they run after all others, without other trials beside them. Trials in `out`,
        which workers have now, are not affected.

        Raises:
            OSError, ResultsError: if the rows cannot be read or written.
        """
        if not self.retry.is_set():
            return schedule
        self.retry.clear()
        stored = store.finished()
        failed = {
            trial_id: done
            for trial_id, done in schedule.failed(stored).items()
            if done.role != "timing" and trial_id not in out and trial_id not in store.borrowed
        }
        store.retry(failed)
        progress.forgotten(failed.values())
        schedule = schedule.again({trial_id: done for trial_id, done in stored.items() if trial_id not in failed}, out)
        progress.replanned(schedule)
        return schedule
