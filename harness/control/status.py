"""The state of a campaign, read from its folder; every value is checked, since anybody may have written the files."""

from __future__ import annotations

import contextlib
import math
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from harness.control.files import RUN_FILE, RUNNING, Ask, is_run_id, request_file
from harness.errors import BadInput, RegarenaError
from harness.records import ROLES
from harness.records.folders import TRIALS
from harness.results.campaign_file import CAMPAIGN_FILE, read_campaign
from harness.results.store import Store
from harness.results.trial_summary import FINISHED_COLUMNS, TrialSummary

SILENT_SECONDS = 30.0  # a run that has not updated run.json for this long counts as ended,
SILENT_INTERVALS = 5  # if it has also missed this many updates, which are rarer on an object store
PATIENCE_SECONDS = 30.0  # for a run to read a request
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class RunningPack:
    """Trials that one process runs now; for several at once all values but the seeds are those of the first."""

    task: str
    regularizer: str
    role: str
    seeds: tuple[int, ...]
    started_at: datetime
    machine: str
    pid: int
    gpus: str


@dataclass(frozen=True, kw_only=True)
class CellStanding:
    """Counts of trials of one contestant on one task; `total` and `best` are None if no run.json tells them."""

    task: str
    regularizer: str
    done: int
    failures: Mapping[str, int]
    total: int | None = None
    best: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One trial that ended without a result."""

    task: str
    regularizer: str
    role: str
    status: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a campaign according to its folder; times are in UTC."""

    location: str
    suite: str
    is_running: bool
    run_id: str  # of the last run; "" if none has written an account, as those of older versions
    started_at: datetime | None
    seen_at: datetime | None
    ended_at: datetime | None
    end: str  # "completed", or the class of the error that ended it; "" before its end
    machine: str
    pid: int
    num_workers: int  # trials at once
    seconds_left: float | None  # estimated; None if unknown
    cells: tuple[CellStanding, ...]
    running: tuple[RunningPack, ...]
    failures: tuple[Failure, ...]

    @property
    def num_done(self) -> int:
        """Number of trials of the last run's plan that have ended."""
        return sum(cell.done for cell in self.cells)

    @property
    def num_failed(self) -> int:
        """Number of these without a result."""
        return sum(sum(cell.failures.values()) for cell in self.cells)

    @property
    def num_trials(self) -> int | None:
        """Number of trials in the last run's plan; None if no run has written it."""
        totals = [cell.total for cell in self.cells]
        return None if None in totals else sum(total or 0 for total in totals)

    def as_json(self) -> dict[str, Any]:
        """The state as a dictionary for JSON, with the totals."""
        content = asdict(self)
        return {"num_done": self.num_done, "num_failed": self.num_failed, "num_trials": self.num_trials} | content


def read_status(location: str, with_failures: bool = True) -> Status:
    """The state of the campaign in a folder.

    Args:
        location: the results folder, or a URI.
        with_failures: whether to read failures from the rows, which takes seconds in a folder of many files.

    Raises:
        BadInput: if the folder holds no campaign, or its files are damaged or have another content than expected.
        ResultsError: if the rows cannot be read.
    """
    store = Store(location)
    campaign, run = read_campaign(store), _run_of(store)
    if campaign is None and run is None:
        begin = f"regarena run SUITE --results {shlex.quote(location)}"
        raise BadInput(f"{location} holds no campaign; `{begin}` begins one.")
    rows = _rows(store) if with_failures or run is None else []
    account = run or {}
    interval = account.get("interval_seconds", 0.0)
    seen_at, ended_at = account.get("seen_at"), account.get("ended_at")
    is_running = (
        seen_at is not None
        and ended_at is None
        and (datetime.now(UTC) - seen_at).total_seconds() < max(SILENT_SECONDS, SILENT_INTERVALS * interval)
    )
    if store.damaged and not is_running:
        raise BadInput(
            f"{location} holds damaged files: {', '.join(store.damaged)}. `regarena verify {shlex.quote(location)}` "
            "says what is wrong with them; the next run there trains their trials again."
        )
    return Status(
        location=location,
        suite=str(account.get("suite") or (campaign or {}).get("suite", "")),
        is_running=is_running,
        run_id=account.get("run_id", ""),
        started_at=account.get("started_at"),
        seen_at=seen_at,
        ended_at=ended_at,
        end=account.get("end", ""),
        machine=account.get("machine", ""),
        pid=account.get("pid", 0),
        num_workers=account.get("num_workers", 0),
        seconds_left=account.get("seconds_left"),
        cells=tuple(account["cells"] if run else _cells_from(rows)),
        running=tuple(_running(store)) if is_running else (),
        failures=tuple(_failure(row) for row in rows if TrialSummary.from_row(row).is_failure),
    )


def ask(location: str, what: Ask) -> Status:
    """Send a request to the run on a folder, and wait until it has read it; returns the state before.

    Raises:
        BadInput: if no run works there, or the request cannot be written.
        RegarenaError: if the run does not read it within PATIENCE_SECONDS.
    """
    status = read_status(location, with_failures=False)
    if not status.is_running:
        raise BadInput(f"No run works on {location}: {last_run(status)}")
    store, name = Store(location), request_file(what, status.run_id)
    try:
        store.write_json(name, {"asked_at": datetime.now(UTC).isoformat(timespec="seconds")}, lasting=False)
    except OSError as error:
        raise BadInput(f"The request cannot be written into {location} ({error}).") from error
    latest = time.monotonic() + PATIENCE_SECONDS
    while store.read_json(name) is not None:
        if time.monotonic() > latest:
            raise RegarenaError(
                f"The run on {location} did not answer within {PATIENCE_SECONDS:g} s (process {status.pid} on "
                f"{status.machine}); the request is stored, and the run carries it out if it is still alive."
            )
        time.sleep(_POLL_SECONDS)
    return status


def await_end(location: str) -> Status:
    """Wait until the run on a folder has ended; returns the state then.

    Raises:
        RegarenaError: if it does not end within PATIENCE_SECONDS.
    """
    latest = time.monotonic() + PATIENCE_SECONDS
    while (status := read_status(location, with_failures=False)).is_running:
        if time.monotonic() > latest:
            raise RegarenaError(
                f"The run on {location} has read the request, but had not ended {PATIENCE_SECONDS:g} s later "
                f"(process {status.pid} on {status.machine})."
            )
        time.sleep(_POLL_SECONDS)
    return status


def last_run(status: Status) -> str:
    """A sentence on how the last run ended."""
    if status.started_at is None:
        return "no run has left its state there."
    if status.ended_at is None:
        return (
            f"the last run, started {at(status.started_at)}, was last seen {at(status.seen_at)} and was probably "
            "killed. What is finished is kept; the same `regarena run` resumes."
        )
    ends = {"completed": "was completed", "Interrupted": "was stopped"}
    how = ends.get(status.end, f"ended with an error ({status.end})")
    resume = "" if status.end == "completed" else " What is finished is kept; the same `regarena run` resumes."
    return f"the last run {how} {at(status.ended_at)}.{resume}"


def at(moment: datetime | None) -> str:
    """A time in words, in UTC; without the date if it is today."""
    if moment is None:
        return "at no known time"
    today = datetime.now(UTC).date() == moment.date()
    return f"at {moment:%H:%M} UTC" if today else f"on {moment:%Y-%m-%d at %H:%M} UTC"


def _rows(store: Store) -> list[dict[str, Any]]:
    if not store.files(TRIALS):
        return []
    return store.rows((*FINISHED_COLUMNS, "error_message", "reason"))


def _cells_from(rows: Iterable[Mapping[str, Any]]) -> Iterator[CellStanding]:
    """The counts from rows alone, which only tell how many trials have ended."""
    done: Counter[tuple[str, str]] = Counter()
    failures: dict[tuple[str, str], Counter[str]] = {}
    for finished in map(TrialSummary.from_row, rows):
        if finished.status != "skipped":
            cell = (finished.task, finished.regularizer)
            done[cell] += 1
            failures.setdefault(cell, Counter())[finished.status] += finished.is_failure
    for (task, regularizer), number in sorted(done.items()):
        yield CellStanding(task=task, regularizer=regularizer, done=number, failures=+failures[task, regularizer])


def _failure(row: Mapping[str, Any]) -> Failure:
    named = {name: str(row[name]) for name in ("task", "regularizer", "role", "status")}
    return Failure(**named, message=str(row["error_message"] or row["reason"] or ""))


def _running(store: Store) -> list[RunningPack]:
    """The notes of processes, the oldest first; notes that are invalid, or vanish meanwhile, are left out."""
    found = []
    for name in store.names_in(RUNNING):
        with contextlib.suppress(RegarenaError, KeyError, TypeError, ValueError):
            content = store.read_json(f"{RUNNING}/{name}")
            if content is not None:
                found.append(_pack(content))
    return sorted(found, key=lambda pack: (pack.started_at, pack.task, pack.regularizer, pack.seeds))


def _pack(content: Mapping[str, Any]) -> RunningPack:
    texts = {name: content[name] for name in ("task", "regularizer", "role", "machine", "gpus")}
    if not all(isinstance(text, str) for text in texts.values()) or texts["role"] not in ROLES:
        raise ValueError("a note must hold text, and one of the roles")
    seeds = tuple(_whole(seed) for seed in content["seeds"])
    return RunningPack(**texts, seeds=seeds, started_at=_moment(content["started_at"]), pid=_whole(content["pid"]))


def _run_of(store: Store) -> dict[str, Any] | None:
    """The run's account with values of the right types; None if there is none.

    Raises:
        BadInput: if a value is missing or has another type.
    """
    content: Any = store.read_json(RUN_FILE)
    if content is None:
        return None
    try:
        if not is_run_id(content["run_id"]):
            raise ValueError(f"'run_id' must be 16 hexadecimal digits, got {content['run_id']!r:.40}")
        for name in ("suite", "end", "machine"):
            if not isinstance(content[name], str):
                raise ValueError(f"{name!r} must be text, got {content[name]!r:.40}")
        interval = float(content["interval_seconds"])
        if not 0 < interval <= 3600:
            raise ValueError(f"'interval_seconds' must lie in (0, 3600], got {interval}")
        left = content["seconds_left"]
        return {
            "run_id": content["run_id"],
            "suite": content["suite"],
            "end": content["end"],
            "machine": content["machine"],
            "pid": _whole(content["pid"]),
            "num_workers": _whole(content["num_workers"]),
            "interval_seconds": interval,
            "seconds_left": None if left is None else _real(left),
            "started_at": _moment(content["started_at"]),
            "seen_at": _moment(content["seen_at"]),
            "ended_at": None if content["ended_at"] is None else _moment(content["ended_at"]),
            "cells": [_cell(each) for each in content["cells"]],
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{store.location}/{RUN_FILE} is not valid ({what}). Remove it: it holds no results, and the next run "
            f"writes a new one; keep {CAMPAIGN_FILE} and the rows."
        ) from error


def _cell(content: Mapping[str, Any]) -> CellStanding:
    names = {name: content[name] for name in ("task", "regularizer")}
    if not all(isinstance(name, str) for name in (*names.values(), *content["failures"])):
        raise ValueError("'cells' must name tasks, regularizers and statuses")
    return CellStanding(
        **names,
        done=_whole(content["done"]),
        total=_whole(content["total"]),
        failures={status: _whole(number) for status, number in content["failures"].items()},
        best=None if content["best"] is None else _real(content["best"]),
    )


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"a whole number of at least 0 was expected, got {value!r:.40}")
    return value


def _real(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a number was expected, got {value!r:.40}")
    return float(value)


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time with its zone was expected, got {text!r:.40}")
    return moment.astimezone(UTC)
