"""What a person sees while a campaign runs: a live table on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from harness.plan import Plan
from harness.records import Pack, TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.terminal.text import say

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_INTERVAL_SECONDS = 30.0
REFRESHES_PER_SECOND = 4.0


@dataclass
class _CellState:
    total: int
    done: int = 0
    failed: int = 0
    best: float | None = None
    higher_is_better: bool = True

    def note_value(self, value: float | None) -> None:
        if value is None:
            return
        better = self.best is None or (value > self.best if self.higher_is_better else value < self.best)
        self.best = value if better else self.best


@dataclass
class Progress:
    """Counts trials as they start and end, and shows them.

    Args:
        plan: what is to run.
        num_workers: trials that run at once, of those given out; the time left is shared among them.
        stream: where to; a live table if it is a terminal.
    """

    plan: Plan
    num_workers: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    failures: Counter[str] = field(default_factory=Counter)  # of this run and earlier ones, by status
    num_rejected: int = 0  # likewise: proposals of the studies with which training diverges
    num_run: int = 0

    def __post_init__(self) -> None:
        """Make a line per cell."""
        self._cells = {
            (cell.task_name, cell.regularizer): _CellState(
                total=self.plan.num_trials(cell), higher_is_better=cell.task.higher_is_better
            )
            for cell in self.plan.running_cells
        }
        self._out: list[Pack] = []
        self._seconds = 0.0
        self._last_line = time.monotonic()
        self._live = None
        if self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(file=self.stream),
                get_renderable=self._table,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
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
                self._count(spec, stored[trial_id])

    def given_out(self, pack: Pack) -> None:
        """Trials are given to the workers, which take them in this order."""
        self._out.append(pack)

    def all_lost(self) -> None:
        """What was given to workers comes to no end; it will be given out anew."""
        self._out.clear()

    def ended(self, pack: Pack, ends: Sequence[TrialSummary]) -> None:
        """Trials ended; without `ends` they are to start again."""
        self._out.remove(pack)
        for spec, finished in zip(pack, ends, strict=False):
            self._seconds += finished.seconds
            self.num_run += 1
            self._count(spec, finished)
        now = time.monotonic()
        if self._live is None and now - self._last_line > PLAIN_INTERVAL_SECONDS:
            self._last_line = now
            self._print_line()

    def _count(self, spec: TrialSpec, finished: TrialSummary) -> None:
        state = self._cells[spec.cell]
        state.done += 1
        self.num_rejected += finished.is_rejection
        if finished.is_failure:
            state.failed += 1
            self.failures[finished.status] += 1
        if spec.role in ("tune", "default", "confirm"):
            state.note_value(finished.validation_value)

    def _running(self) -> Counter[tuple[str, str]]:
        """Trials that workers have, by cell; those given out beyond these wait at the door."""
        running: Counter[tuple[str, str]] = Counter()
        for pack in self._out[: self.num_workers]:
            running[pack[0].cell] += len(pack)
        return running

    def _totals(self) -> tuple[int, int, int, int]:
        states = self._cells.values()
        return (
            sum(state.done for state in states),
            self._running().total(),
            sum(state.failed for state in states),
            sum(state.total for state in states),
        )

    def _time_left(self, done: int, total: int) -> str:
        """From the trials' own seconds, so that the start of the workers does not count as if it came again."""
        if not self.num_run:
            return "some time"
        seconds = self._seconds / self.num_run * max(total - done, 0) / self.num_workers
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"

    def _headline(self) -> str:
        done, running, failed, total = self._totals()
        left = self._time_left(done, total)
        return (
            f"{self.plan.suite}: {done} of {total} trials done, {running} running, {failed} failed, about {left} left"
        )

    def _print_line(self) -> None:
        say(self._headline(), self.stream, flush=True)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(title=self._headline(), title_justify="left", box=None, pad_edge=False)
        for heading in ("task", "regularizer"):
            table.add_column(heading)
        for heading in ("done", "running", "failed", "best validation"):
            table.add_column(heading, justify="right")
        running = self._running()
        for (task, regularizer), state in self._cells.items():
            best = "" if state.best is None else f"{state.best:.4g}"
            table.add_row(
                task,
                regularizer,
                f"{state.done}/{state.total}",
                str(running[task, regularizer] or ""),
                str(state.failed or ""),
                best,
            )
        return table
