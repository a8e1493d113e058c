"""The progress of a running campaign: a live table on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, TextIO

from harness.contestants import BASELINE
from harness.plan import Plan
from harness.records import Pack, TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.terminal.durations import estimated
from harness.terminal.layout import PlainHeading
from harness.terminal.live_view import Section, view_of
from harness.terminal.text import encodable, is_terminal, say

if TYPE_CHECKING:
    from rich.text import Text

    from harness.schedule import Schedule

PLAIN_INTERVAL_SECONDS = 30.0
REFRESHES_PER_SECOND = 4.0


_RUNNING = (
    PlainHeading(heading="running on"),
    PlainHeading(heading="regularizer"),
    PlainHeading(heading="now", numeric=True, weight=80),
    PlainHeading(heading="done", numeric=True, weight=90),
    PlainHeading(heading="best validation", numeric=True, weight=70),
)
_FAILED = (
    PlainHeading(heading="failed on"),
    PlainHeading(heading="regularizer"),
    PlainHeading(heading="trials", weight=90),
)
_BEST = (
    PlainHeading(heading="best so far on"),
    PlainHeading(heading="regularizer"),
    PlainHeading(heading="validation", numeric=True),
    PlainHeading(heading=BASELINE, numeric=True, weight=80),
)


@dataclass
class _CellState:
    total: int
    higher_is_better: bool
    num_others: int  # of the total, those that are no tune trials
    num_epochs: int  # of a training to the end
    done: int = 0
    others_done: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # by status
    best: float | None = None

    def note_value(self, value: float | None) -> None:
        if value is not None and self.is_beaten_by(value):
            self.best = value

    def is_beaten_by(self, value: float) -> bool:
        """Whether this validation value is better than the best so far."""
        return self.best is None or (value > self.best if self.higher_is_better else value < self.best)


@dataclass
class Progress:
    """Counts trials as they start and end, and shows them.

    Args:
        plan: the campaign's plan.
        num_workers: trials that run at once; further trials that were given out are queued.
        stream: where the progress is printed; a live table if it is a terminal.
    """

    plan: Plan
    num_workers: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    failures: Counter[str] = field(default_factory=Counter)  # of this run and earlier ones, by status
    num_rejected: int = 0  # likewise: proposals of the studies with which training diverges
    num_run: int = 0  # trials that ended in this run

    def __post_init__(self) -> None:
        """Create a counter for each cell, and the live view on a terminal."""
        self._cells = {
            (cell.task_name, cell.regularizer): _CellState(
                total=self.plan.num_trials(cell),
                num_others=self.plan.num_trials(cell) - self.plan.search_budget(cell).num_trials(0),
                num_epochs=cell.task.epochs(cell.scale),
                higher_is_better=cell.task.higher_is_better,
            )
            for cell in self.plan.running_cells
        }
        self._lock = threading.Lock()  # the live view is drawn by a thread of its own
        self._out: dict[str, Pack] = {}  # by the id of its first trial, in the order in which they were given out
        self._counted: set[str] = set()
        self._tune_seconds: dict[str, float] = {}  # by trial, of this run
        self._whole_seconds: dict[str, float] = {}  # likewise, as if it had trained to the end
        self._last_line = time.monotonic()
        self._live = None
        if is_terminal(self.stream):
            from rich.console import Console
            from rich.live import Live

            self._console = Console(file=self.stream, highlight=False)
            self._live = Live(
                console=self._console,
                get_renderable=self._view,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                vertical_overflow="crop",
            )

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        if self._live is not None:
            self._live.stop()
        elif self.num_run:
            self._print_line()

    def already(self, spec_ids: dict[str, TrialSpec], stored: dict[str, TrialSummary]) -> None:
        """Count trials that were finished before this run."""
        for trial_id, spec in spec_ids.items():
            if trial_id in stored:
                with self._lock:
                    self._count_locked(spec, stored[trial_id])

    def replanned(self, schedule: Schedule, cell: tuple[str, str] | None = None) -> None:
        """Take over how many trials a cell needs, or each cell: fewer than planned if its search brings no winner."""
        with self._lock:
            for each in self._cells if cell is None else [cell]:
                self._cells[each].total = schedule.num_trials(each)

    def given_out(self, pack: Pack) -> None:
        """Count trials that were given to the workers, which run them in this order."""
        self._out[pack[0].trial_id] = pack
        self._print_line_after(PLAIN_INTERVAL_SECONDS)

    def all_lost(self) -> None:
        """Forget the trials that workers had: the workers are gone, and the trials will be given out again."""
        self._out.clear()

    def ended(self, pack: Pack, ends: Sequence[TrialSummary]) -> None:
        """Count trials that ended; with an empty `ends` the pack failed, and its trials will run again one by one."""
        del self._out[pack[0].trial_id]
        for spec, finished in zip(pack, ends, strict=False):
            with self._lock:  # other threads estimate the time left
                self._count_locked(spec, finished)
                self._note_seconds(spec, finished)
                self.num_run += 1
        self._print_line_after(2 * PLAIN_INTERVAL_SECONDS)  # a line that is due waits for the next trial

    def forgotten(self, failed: Iterable[TrialSummary]) -> None:
        """Take failed trials, which will run again, out of the counts."""
        with self._lock:
            for finished in failed:
                state = self._cells.get((finished.task, finished.regularizer))
                if state is not None and finished.trial_id in self._counted:  # rows of older code were not counted
                    state.done -= 1
                    state.others_done -= finished.role != "tune"
                    self._counted.discard(finished.trial_id)
                    state.failures[finished.status] -= 1
                    state.failures += Counter()  # drops statuses with a count of 0
                    self.failures[finished.status] -= 1
                    self.failures += Counter()

    def standing(self) -> dict[str, Any]:
        """The state of the campaign as JSON, which `regarena status` shows in another terminal."""
        with self._lock:
            cells = [
                {
                    "task": task,
                    "regularizer": regularizer,
                    "total": state.total,
                    "done": state.done,
                    "failures": dict(state.failures),
                    "best": state.best if state.best is not None and math.isfinite(state.best) else None,
                }
                for (task, regularizer), state in self._cells.items()
            ]
            done, total = (sum(cell[key] for cell in cells) for key in ("done", "total"))  # type: ignore[misc]  # the counts of a cell
            return {
                "num_workers": self.num_workers,
                "seconds_left": self._seconds_left(done, total),
                "cells": sorted(cells, key=lambda cell: (str(cell["task"]), str(cell["regularizer"]))),
            }

    def _count_locked(self, spec: TrialSpec, finished: TrialSummary) -> None:
        state = self._cells[spec.cell] = self._cells.pop(spec.cell)  # cells are kept in the order of their last change
        is_new = spec.trial_id not in self._counted  # a trial that goes on from a rung ends several times
        state.done += is_new
        state.others_done += is_new and spec.role != "tune"
        self._counted.add(spec.trial_id)
        self.num_rejected += finished.is_rejection
        if finished.is_failure:
            state.failures[finished.status] += 1
            self.failures[finished.status] += 1
        if spec.role in ("tune", "default", "confirm") and finished.has_result:
            state.note_value(finished.validation_value)

    def _running(self) -> Counter[tuple[str, str]]:
        """Trials that workers have, by cell; trials beyond the number of workers are queued."""
        running: Counter[tuple[str, str]] = Counter()
        for pack in list(self._out.values())[: self.num_workers]:
            running[pack[0].cell] += len(pack)
        return running

    def _totals(self) -> tuple[int, int, int, int]:
        states = self._cells.values()
        return (
            sum(state.done for state in states),
            self._running().total(),
            sum(state.failures.total() for state in states),
            sum(state.total for state in states),
        )

    def _time_left(self, done: int, total: int) -> list[str]:
        """Estimated from the trials' own seconds, which do not contain the start of the workers."""
        seconds = self._seconds_left(done, total)
        if seconds is None:
            return []
        return [f"{estimated(seconds)} left" if done < total else "nothing left"]

    def _seconds_left(self, done: int, total: int) -> float | None:
        if not self.num_run:
            return None  # nothing is known yet
        num_left = max(total - done, 0)
        others_left = min(num_left, sum(state.num_others - state.others_done for state in self._cells.values()))
        whole = fmean(self._whole_seconds.values())
        tune = fmean(self._tune_seconds.values()) if self._tune_seconds else whole
        return (others_left * whole + (num_left - others_left) * tune) / self.num_workers

    def _note_seconds(self, spec: TrialSpec, finished: TrialSummary) -> None:
        """Note what the trial took so far, and what a training to the end takes: with halving most stop early."""
        part = 1.0
        if finished.status == "pruned" and finished.epochs_run:
            part = finished.epochs_run / self._cells[spec.cell].num_epochs
        self._whole_seconds[spec.trial_id] = finished.seconds / part
        if spec.role == "tune":
            self._tune_seconds[spec.trial_id] = finished.seconds

    def _headline(self) -> list[str]:
        done, running, failed, total = self._totals()
        return [
            f"{self.plan.suite}: {done:,} of {total:,} trials done",
            f"{running} running",
            f"{failed:,} failed",
            *self._time_left(done, total),
        ]

    def _print_line_after(self, seconds: float) -> None:
        now = time.monotonic()
        if self._live is None and now - self._last_line > seconds:
            self._last_line = now
            self._print_line()

    def _print_line(self) -> None:
        say(", ".join(self._headline()), self.stream, flush=True)

    def _view(self) -> Text:
        """The live view in the current size of the window; the last line stays free, or the terminal would scroll."""
        from rich.text import Text

        columns, lines = self._console.size
        with self._lock:
            view = view_of(self._headline(), self._sections(), columns, lines - 1)
        return Text(encodable("\n".join(view), self.stream), no_wrap=True, overflow="crop")

    def _sections(self) -> list[Section]:
        """What runs, in the order of its start; what failed and the best of each task, the last to change first."""
        recent = list(reversed(self._cells.items()))
        running = [
            (*cell, str(count), f"{self._cells[cell].done}/{self._cells[cell].total}", _value(self._cells[cell].best))
            for cell, count in self._running().items()
        ]
        failed = [(*cell, _in_words(state.failures)) for cell, state in recent if state.failures]
        best: dict[str, tuple[str, _CellState]] = {}
        for (task, regularizer), state in recent:
            if state.best is not None and (task not in best or best[task][1].is_beaten_by(state.best)):
                best[task] = (regularizer, state)
        leaders = [
            (task, regularizer, _value(state.best), _value(self._best_of(task, BASELINE)))
            for task, (regularizer, state) in best.items()
        ]
        return [
            Section(columns=_RUNNING, rows=running),
            Section(columns=_FAILED, rows=failed),
            Section(columns=_BEST, rows=leaders),
        ]

    def _best_of(self, task: str, regularizer: str) -> float | None:
        state = self._cells.get((task, regularizer))
        return None if state is None else state.best


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:#.4g}"


def _in_words(failures: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in failures.most_common())
