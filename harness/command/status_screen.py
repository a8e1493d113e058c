"""What `regarena status` shows: the state of a campaign, once or repeatedly, fitted to the window."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from harness.command.printing import say_json
from harness.control.status import Status, at, last_run, read_status
from harness.errors import Interrupted
from harness.terminal.durations import estimated, in_words
from harness.terminal.layout import PlainHeading
from harness.terminal.live_view import Section, view_of
from harness.terminal.text import encodable, is_terminal, say, tell, window_columns

WATCH_SECONDS = 2.0
PLAIN_WATCH_SECONDS = 30.0
ALL_LINES = 1_000_000  # no limit on lines, or on their width
MAX_MESSAGE = 200  # characters of an error's text

_RUNNING = (
    PlainHeading(heading="running on"),
    PlainHeading(heading="regularizer"),
    PlainHeading(heading="role", weight=95),
    PlainHeading(heading="seed", numeric=True, weight=60),
    PlainHeading(heading="for", numeric=True, weight=98),
    PlainHeading(heading="machine", weight=80),
    PlainHeading(heading="GPU", weight=85),
    PlainHeading(heading="process", numeric=True, weight=70),
)
_FAILED = (
    PlainHeading(heading="failed on"),
    PlainHeading(heading="regularizer"),
    PlainHeading(heading="trials", numeric=True, weight=95),
    PlainHeading(heading="status", weight=98),
)
_LEFT = (
    PlainHeading(heading="left on"),
    PlainHeading(heading="trials left", numeric=True),
    PlainHeading(heading="done", numeric=True, weight=90),
    PlainHeading(heading="failed", numeric=True, weight=80),
)


def show_status(location: str, watch: bool, as_json: bool) -> None:
    """Print the state of a campaign; with `watch` repeatedly, until its run ends."""
    if watch:
        _watch(location)
        return
    status = read_status(location)
    if as_json:
        say_json(json.dumps(status.as_json(), indent=2, default=str))
        return
    for line in _lines(status, window_columns() or ALL_LINES, ALL_LINES):
        say(line)
    for message in _messages(status):
        tell(message)


def _watch(location: str) -> None:
    """Show the state repeatedly while the run lasts; Ctrl-C ends only the watching."""
    try:
        if is_terminal(sys.stdout):
            _watch_in_window(location)
        else:
            while (status := read_status(location, with_failures=False)).is_running:
                say(", ".join(_headline(status)), flush=True)
                time.sleep(PLAIN_WATCH_SECONDS)
    except Interrupted:
        return
    show_status(location, watch=False, as_json=False)


def _watch_in_window(location: str) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    status = read_status(location, with_failures=False)
    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        while status.is_running:
            columns, lines = console.size
            view = "\n".join(_lines(status, columns, lines - 1))
            live.update(Text(encodable(view, sys.stdout), no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(WATCH_SECONDS)
            status = read_status(location, with_failures=False)


def _lines(status: Status, columns: int, lines: int) -> list[str]:
    return view_of(_headline(status), list(_sections(status)), columns, lines)


def _headline(status: Status) -> list[str]:
    total, done = status.num_trials, status.num_done
    parts = [
        f"{status.suite} in {status.location}",
        (f"{done:,} trials done" if total is None else f"{done:,} of {total:,} trials done"),
        f"{status.num_failed:,} failed",
    ]
    if not status.is_running:
        return [*parts, f"not running: {last_run(status)}"]
    running = sum(len(pack.seeds) for pack in status.running)
    parts.append(f"{running} running, {status.num_workers} at once")
    if status.seconds_left is not None:
        parts.append(f"{estimated(status.seconds_left)} left")
    return [
        *parts,
        f"running since {at(status.started_at).removeprefix('at ')}",
        f"process {status.pid} on {status.machine}",
        f"last seen {_since(status.seen_at)} ago",
    ]


def _sections(status: Status) -> Iterator[Section]:
    yield Section(
        columns=_RUNNING,
        rows=[
            (
                pack.task, pack.regularizer, pack.role, _seeds(pack.seeds), _since(pack.started_at), pack.machine,
                pack.gpus, str(pack.pid),
            )
            for pack in status.running
        ],
    )  # fmt: skip
    failed = [
        (cell.task, cell.regularizer, str(number), kind)
        for cell in status.cells
        for kind, number in cell.failures.items()
    ]
    yield Section(columns=_FAILED, rows=failed)
    yield Section(columns=_LEFT, rows=list(_left(status)))


def _left(status: Status) -> Iterator[tuple[str, ...]]:
    """A row for each task with trials left; tasks that are done have none."""
    for task in dict.fromkeys(cell.task for cell in status.cells):
        cells = [cell for cell in status.cells if cell.task == task]
        if any(cell.total is None for cell in cells):
            continue
        done, total = sum(cell.done for cell in cells), sum(cell.total or 0 for cell in cells)
        failed = sum(sum(cell.failures.values()) for cell in cells)
        if done < total:
            yield task, f"{total - done:,}", f"{done:,}", f"{failed:,}" if failed else "–"


def _messages(status: Status) -> Iterator[str]:
    """Why trials failed: each message once, with the number of its trials, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for failure in status.failures:
        key = (failure.status, failure.message[:MAX_MESSAGE])
        counts[key] = counts.get(key, 0) + 1
    if counts:
        yield ""
    for (kind, message), number in sorted(counts.items(), key=lambda item: -item[1]):
        yield f"{number} {kind}: {message or 'without a message'}"
    if counts and status.is_running:
        yield f"`regarena retry {shlex.quote(status.location)}` gives failed trials another try while the run goes on."


def _seeds(seeds: tuple[int, ...]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{len(seeds)} seeds"


def _since(moment: datetime | None) -> str:
    if moment is None:
        return "–"
    return in_words(max(0.0, (datetime.now(UTC) - moment).total_seconds()))
