"""The campaigns that are disturbed: without Ray, on a Ray of their own, on a bad disk or S3 server, on a cluster."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from arena import Arena, finish, processes_of
from clusters import HEAD, OTHER, end_node, two_nodes
from disturbances import Disturbance, Run, run_to_its_end
from ending import Unsound, check_files, check_nothing_left, check_rows, reproducible, unused_shared_memory
from object_store import failing_s3
from victims import kill, stop_for_a_while

Expected = Mapping[str, Mapping[str, Any]]
SERIAL = ("run", "slow", "--serial")
ON_RAY = ("run", "slow")
NUM_TRIALS = 14
DISK_BYTES = 32 * 2**20  # a report is written beside the one that it replaces


def undisturbed(folder: Path) -> Expected:
    """The rows of the campaign if nothing comes between."""
    folder.mkdir()
    arena = Arena(folder)
    ended = arena.regarena(*SERIAL, "--results", "results")
    if ended.returncode != 0:
        raise Unsound(f"the undisturbed campaign failed: {ended.stderr}")
    return reproducible(folder / "results")


@contextlib.contextmanager
def _sound(folder: Path, expected: Expected, results: Callable[[], Path]) -> Iterator[tuple[Arena, str]]:
    """An arena with a temporary folder of its own; at the end the rows are as expected, and nothing is left."""
    folder.mkdir()
    arena, before = Arena(folder), unused_shared_memory()
    temporary = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))  # short, as the paths of sockets must be
    try:
        yield arena, str(temporary)
        check_rows(results(), expected)
        check_files(results())
        with contextlib.suppress(Unsound):  # the processes of a driver that was killed may write on for a while:
            check_nothing_left(arena, temporary, before)  # then the next run removes what they left
            return
        ended = arena.regarena(*SERIAL, "--results", "another", TMPDIR=str(temporary))
        if ended.returncode != 0:
            raise Unsound(f"a campaign after it failed: {ended.stderr}")
        check_nothing_left(arena, temporary, before)
    finally:
        for pid in processes_of(arena):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(temporary)])


def serially(folder: Path, rng: random.Random, expected: Expected, counts: Counter[str]) -> None:
    """Processes of a campaign without Ray are killed or stopped, and a second command comes in between."""
    with _sound(folder, expected, lambda: folder / "results") as (arena, temporary):
        command = (*SERIAL, "--results", "results")
        disturbances = [
            _killing(arena, "trial", rng, "serial: "),
            _killing(arena, "fork server", rng, "serial: "),
            _killing(arena, "driver", rng, "serial: "),
            _stopping(arena, rng.choice(("trial", "fork server", "driver")), rng, "serial: "),
            Disturbance(kind="serial: second command at once", act=partial(_second, arena, command, temporary)),
        ]
        run_to_its_end(arena, command, _shuffled(disturbances, rng), rng, counts, NUM_TRIALS, TMPDIR=temporary)


def on_ray(folder: Path, rng: random.Random, expected: Expected, counts: Counter[str]) -> None:
    """Processes of a campaign on Ray are killed or stopped."""
    with _sound(folder, expected, lambda: folder / "results") as (arena, temporary):
        disturbances = [
            _killing(arena, "worker", rng, "Ray: "),
            _killing(arena, rng.choice(("trial", "fork server")), rng, "Ray: "),
            _killing(arena, "driver", rng, "Ray: "),
            _killing(arena, rng.choice(("raylet", "gcs")), rng, "Ray: "),
            _stopping(arena, rng.choice(("worker", "driver", "raylet")), rng, "Ray: "),
            Disturbance(kind="Ray: kill of all processes", act=partial(_kill_all, arena), kills_driver=True),
        ]
        command = (*ON_RAY, "--results", "results")
        run_to_its_end(arena, command, _shuffled(disturbances, rng), rng, counts, NUM_TRIALS, TMPDIR=temporary)


def on_a_bad_disk(folder: Path, rng: random.Random, expected: Expected, counts: Counter[str]) -> None:
    """The disk of the results is full or cannot be written: from the start, amid the trials, and at the end."""
    if os.geteuid() != 0:
        raise NotImplementedError("only root can mount a small disk")
    disk = folder / "disk"
    with _sound(folder, expected, lambda: folder / "copy") as (arena, temporary), _mounted(disk):
        command = (*SERIAL, "--results", "disk/results")
        for phase in ("the start", "the middle", "the end"):
            what, spoil, mend = rng.choice(((" full", _fill, _empty), (" not to be written", _lock, _unlock)))
            kind = f"disk{what} at {phase}"
            if phase == "the start":
                spoil(disk)
                ended = arena.regarena(*command, TMPDIR=temporary)
                mend(disk)
                if ended.returncode not in (1, 2) or "Traceback" in ended.stderr:
                    raise Unsound(f"{kind}: the command ended with {ended.returncode}: {ended.stderr[-3000:]}")
                counts[kind] += 1
            elif phase == "the middle":
                disturbance = Disturbance(
                    kind=kind, act=lambda _, spoil=spoil: spoil(disk), ends_run=True, mend=lambda mend=mend: mend(disk)
                )
                run_to_its_end(arena, command, [disturbance], rng, counts, NUM_TRIALS, TMPDIR=temporary)
            else:  # the tables and the report are written anew
                spoil(disk)
                ended = arena.regarena(*command, TMPDIR=temporary)
                mend(disk)
                if "Traceback" in ended.stderr:
                    raise Unsound(f"{kind}: a stack trace: {ended.stderr[-3000:]}")
                counts[kind] += 1
        ended = arena.regarena(*command, TMPDIR=temporary)
        if ended.returncode != 0:
            raise Unsound(f"on the mended disk the command ended with {ended.returncode}: {ended.stderr[-3000:]}")
        subprocess.run(["cp", "-r", str(disk / "results"), str(folder / "copy")], check=True)


def on_a_bad_object_store(folder: Path, rng: random.Random, expected: Expected, counts: Counter[str]) -> None:
    """An S3 server answers some requests by 503, then all of them for a while, in which a run ends."""
    copy = folder / "copy"
    with failing_s3(rng) as server, _sound(folder, expected, lambda: server.copy(copy)) as (arena, temporary):

        def some(_: Run) -> bool:
            server.failing = 0.2
            return True

        def all_of_them(_: Run) -> bool:
            server.failing = 1.0
            return True

        def none() -> None:
            server.failing = 0.0

        disturbances = [
            Disturbance(kind="S3: some answers are 503", act=some),
            Disturbance(kind="S3: all answers are 503", act=all_of_them, ends_run=True, mend=none),
        ]
        command = (*SERIAL, "--results", server.location)
        environment = server.environment | {"TMPDIR": temporary}
        run_to_its_end(arena, command, disturbances, rng, counts, NUM_TRIALS, **environment)


def on_a_cluster(folder: Path, rng: random.Random, expected: Expected, counts: Counter[str]) -> None:
    """A cluster of two nodes loses one, then its head; another cluster ends the campaign."""
    with _sound(folder, expected, lambda: folder / "results") as (arena, temporary):
        token = secrets.token_hex(32)
        given = {"RAY_AUTH_TOKEN": token, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "TMPDIR": temporary}

        def lose(name: str, _: Run) -> bool:
            return end_node(arena, name) > 0

        losses = [Disturbance(kind="cluster: node is lost", act=partial(lose, OTHER))]
        losses.append(Disturbance(kind="cluster: head is lost", act=partial(lose, HEAD), ends_run=True))
        for left in (losses, []):
            with two_nodes(arena, token) as address:
                command = (*ON_RAY, "--address", address, "--results", "results")
                if left:
                    with contextlib.suppress(_HeadIsLost):
                        left[-1] = _raising(left[-1])
                        run_to_its_end(arena, command, left, rng, counts, NUM_TRIALS, **given)
                else:
                    run_to_its_end(arena, command, left, rng, counts, NUM_TRIALS, **given)


CAMPAIGNS: dict[str, Callable[[Path, random.Random, Expected, Counter[str]], None]] = {
    "serial": serially,
    "ray": on_ray,
    "disk": on_a_bad_disk,
    "s3": on_a_bad_object_store,
    "cluster": on_a_cluster,
}


class _HeadIsLost(Exception):
    """The cluster is no more, so that the campaign cannot go on there."""


def _raising(disturbance: Disturbance) -> Disturbance:
    def leave() -> None:
        raise _HeadIsLost

    return Disturbance(kind=disturbance.kind, act=disturbance.act, ends_run=True, mend=leave)


def _shuffled(disturbances: list[Disturbance], rng: random.Random) -> list[Disturbance]:
    return rng.sample(disturbances, len(disturbances))


def _killing(arena: Arena, kind: str, rng: random.Random, where: str) -> Disturbance:
    return Disturbance(
        kind=f"{where}kill of {kind}",
        act=lambda run: kill(arena, run, kind, rng),
        kills_driver=kind == "driver",
        ends_run=kind in ("raylet", "gcs"),
    )


def _stopping(arena: Arena, kind: str, rng: random.Random, where: str) -> Disturbance:
    return Disturbance(kind=f"{where}stop of {kind}", act=lambda run: stop_for_a_while(arena, run, kind, rng))


def _second(arena: Arena, command: tuple[str, ...], temporary: str, run: Run) -> bool:
    """The same command meanwhile is refused; the first one stands still, else it might end before."""
    run.send_signal(signal.SIGSTOP)
    ended = finish(arena.start(*command, TMPDIR=temporary))
    run.send_signal(signal.SIGCONT)
    if ended.returncode != 75 or "Traceback" in ended.stderr:
        raise Unsound(f"a second command at once ended with {ended.returncode}: {ended.stderr[-3000:]}")
    return True


def _kill_all(arena: Arena, run: Run) -> bool:
    """Every process at once, as when the power fails."""
    for pid in processes_of(arena) | {run.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return True


@contextlib.contextmanager
def _mounted(disk: Path) -> Iterator[None]:
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path) -> bool:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return True


def _empty(disk: Path) -> None:
    (disk / "filler").unlink()


def _lock(disk: Path) -> bool:
    """No file can be made in the folder of the rows, even by root."""
    folder = disk / "results" / "trials" if (disk / "results" / "trials").exists() else disk
    return subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode == 0


def _unlock(disk: Path) -> None:
    for folder in (disk, disk / "results" / "trials"):
        if folder.exists():
            subprocess.run(["chattr", "-i", str(folder)], capture_output=True)
