"""What must hold when a campaign has ended, however it was disturbed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from arena import Arena, by_id, processes, processes_of, what_is_reproducible

PATIENCE_SECONDS = 120  # Ray's agents outlive a driver that was killed by a minute
CODES = (0, 1, 2, 75, 130)  # with which the command may end by itself
OF_THE_WAY = ("attempts",)  # how often a trial had to be tried
SHARED_MEMORY = Path("/dev/shm")


class Unsound(Exception):
    """Something does not hold."""


def reproducible(results: Path) -> dict[str, dict[str, Any]]:
    """The rows without what depends on the clock, the run, and the way to the end."""
    return {
        trial_id: {name: value for name, value in what_is_reproducible(row).items() if name not in OF_THE_WAY}
        for trial_id, row in by_id(results).items()
    }


def check_end(ended: subprocess.CompletedProcess[str], was_killed: bool) -> None:
    """A command ends with a documented exit code and without a stack trace, unless it was killed itself."""
    if was_killed and ended.returncode < 0:
        return
    if ended.returncode not in CODES:
        raise Unsound(f"the command ended with {ended.returncode}: {ended.stderr[-3000:]}")
    if ended.returncode and "regarena: " not in ended.stderr:
        raise Unsound(f"the command ended with {ended.returncode} and without a sentence: {ended.stderr[-3000:]}")
    if "Traceback" in ended.stderr:
        raise Unsound(f"the command ended with a stack trace: {ended.stderr[-5000:]}")


def check_rows(results: Path, expected: Mapping[str, Mapping[str, Any]]) -> None:
    """The rows are those of an undisturbed campaign."""
    found = reproducible(results)
    missing, added = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or added:
        raise Unsound(f"{len(missing)} trials are missing, {len(added)} are too many")
    for trial_id, row in found.items():
        other = expected[trial_id]
        pairs = {name: (row.get(name), other.get(name)) for name in row.keys() | other.keys()}
        if differing := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
            raise Unsound(f"trial {trial_id} has other values than in an undisturbed campaign: {differing}")


def check_files(results: Path) -> None:
    """No unfinished file, no checkpoint and no file that was set aside is left in the results folder."""
    odd = [
        path.name
        for path in results.rglob("*")
        if path.name.endswith(".damaged") or (path.name.startswith(".") and path.name not in (".lock", ".nodes.json"))
    ]
    if odd or (results / "checkpoints").exists():
        raise Unsound(f"in the results folder are left {odd or 'checkpoints'}")


def check_nothing_left(arena: Arena, temporary: Path, before: frozenset[str]) -> None:
    """No process runs on, and nothing is left in the temporary folder or in shared memory."""
    _await(lambda: processes_of(arena), "processes run on")
    _await(lambda: [path.name for path in temporary.iterdir()], "in the temporary folder are left")
    _await(lambda: unused_shared_memory() - before, "in shared memory are left")


def unused_shared_memory() -> frozenset[str]:
    """Files of this user in shared memory that no process holds: those of others beside this program are in use."""
    names = {path.name for path in SHARED_MEMORY.iterdir() if path.lstat().st_uid == os.getuid()}
    if not names:
        return frozenset()
    held = ""
    for pid, _, _ in processes():
        try:
            held += Path(f"/proc/{pid}/maps").read_text()
            held += "\n".join(os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
    return frozenset(name for name in names if f"{SHARED_MEMORY}/{name}" not in held)


def _await(left: Callable[[], Any], what: str) -> None:
    latest = time.monotonic() + PATIENCE_SECONDS
    while found := left():
        if time.monotonic() > latest:
            raise Unsound(f"{what}: {sorted(found)[:20]}")
        time.sleep(0.2)
