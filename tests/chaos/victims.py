"""The processes of a run, by what they are."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from arena import Arena, processes, processes_of

STOPPED_SECONDS = 2.0


def by_kind(arena: Arena, run: subprocess.Popen[str]) -> dict[str, list[int]]:
    """The process ids of each kind: driver, trial, fork server, worker, raylet, gcs."""
    parents = {pid: parent for pid, parent, _ in processes()}
    ours = processes_of(arena) | _descendants(run.pid, parents)
    found: dict[str, list[int]] = defaultdict(list)
    forked = {pid for pid in ours if "multiprocessing.forkserver" in _command(pid)}
    for pid in sorted(ours):
        command = _command(pid)
        if pid == run.pid:
            found["driver"].append(pid)
        elif pid in forked:
            found["trial" if parents.get(pid) in forked else "fork server"].append(pid)
        elif command.startswith("ray::") and "IDLE" not in command:
            found["worker"].append(pid)
        elif "/raylet/raylet" in command:
            found["raylet"].append(pid)
        elif "gcs_server" in command:
            found["gcs"].append(pid)
    return found


def kill(arena: Arena, run: subprocess.Popen[str], kind: str, rng: random.Random) -> bool:
    """End a process of this kind; False where there is none at the moment."""
    pids = by_kind(arena, run)[kind]
    return bool(pids) and _signal(rng.choice(pids), signal.SIGKILL)


def stop_for_a_while(arena: Arena, run: subprocess.Popen[str], kind: str, rng: random.Random) -> bool:
    """Stop a process and have it go on, as a suspended machine or a debugger does."""
    pids = by_kind(arena, run)[kind]
    if not pids or not _signal(pid := rng.choice(pids), signal.SIGSTOP):
        return False
    time.sleep(STOPPED_SECONDS)
    _signal(pid, signal.SIGCONT)
    return True


def _signal(pid: int, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _descendants(root: int, parents: dict[int, int]) -> set[int]:
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
