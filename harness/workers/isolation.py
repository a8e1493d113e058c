"""A trial's body in a child process that can be killed: a hang, a crash or too much memory becomes a record.

Children are forked from a fork server that has imported torch and read the data once, so that a child costs
milliseconds. A child dies with its parent (PR_SET_PDEATHSIG), whatever kills the parent.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.forkserver
import os
import resource
import signal
import sys
import time
import types
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.execution import Execution
from harness.records import Pack, Status, TrialRecord, TrialSpec, utc_now
from harness.workers import compiled_code
from harness.workers.answers import Answer, send_answer
from harness.workers.environment import PACKAGE_ROOT, environment
from harness.workers.interrupts import held
from harness.workers.temporary_folders import folder_of_this_process, temporary_files_in

PRELOAD_VARIABLE = "REGARENA_PRELOAD"  # names of tasks, for harness.workers.preload
DATA_VARIABLE = "REGARENA_DATA"
FOLDER_VARIABLE = "REGARENA_TEMPORARY_FOLDER"  # of the process that asks for trials; the fork server outlives that
MAX_ATTEMPTS = 2  # of a trial whose process died: if it crashes again, the trial itself is at fault
MALLOC_VARIABLE = "GLIBC_TUNABLES"
# Activations are freed and asked for again in every step. By default glibc gives large blocks back to the system each
# time and faults every page of them in anew; so tuned, a process keeps them, in huge pages where the system has them.
# The price: with holes between the blocks it kept, a trial's peak was up to a tenth higher (DenseNet-BC).
_MALLOC = {
    "glibc.malloc.mmap_max": "0",
    "glibc.malloc.trim_threshold": str(2**33),
    "glibc.malloc.hugetlb": "1",
}
_MAX_STARTS = 20
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def run_isolated(spec: TrialSpec, execution: Execution) -> TrialRecord:
    """Run one trial in a child process, again once if it crashes; always returns a record."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        record = _attempt((spec,), execution)[0].with_values(attempts=attempt)
        if record.status != "crashed":
            break
    return record


def run_pack_isolated(pack: Pack, execution: Execution) -> list[TrialRecord]:
    """Run the trials of a pack in one child process; a single one as `run_isolated` does.

    Several get a record each, or none at all if anything goes wrong: then they are to run one by one. Their limit of
    time is the sum of their own; that of memory is one process's, as for one trial.
    """
    if len(pack) == 1:
        return [run_isolated(pack[0], execution)]
    return _attempt(pack, execution.for_trials(len(pack)))


def _attempt(pack: Pack, execution: Execution) -> list[TrialRecord]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.workers.preload"])
    receiver, sender = context.Pipe(duplex=False)
    # Not a daemon, which may have no children: a trial's data may be read by workers of its own. It is killed below.
    child = context.Process(target=_body, args=(pack, execution, sender), daemon=False)
    try:
        with held():  # a signal amid the request would leave the server with half of it
            _start(child, execution)
        # The child exists by now: the server's own start does not count as the trial's time.
        started_at, started = utc_now(), time.monotonic()
        sender.close()
        answer = _await(child, receiver, execution, started)
    finally:
        if child.pid is not None:
            child.kill()
            child.join()
        receiver.close()
    if isinstance(answer, list):
        return answer
    if len(pack) > 1:
        return []
    status, message = answer
    return [lost_record(pack[0], execution, status, message).with_values(started_at=started_at)]


def lost_record(spec: TrialSpec, execution: Execution, status: Status, message: str) -> TrialRecord:
    """The record of a trial that could not answer for itself."""
    from harness.trial import base_values

    values = base_values(spec, execution) | {"finished_at": utc_now(), "error_type": status, "error_message": message}
    return TrialRecord(spec=spec, status=status, values=values)


def _await(
    child: BaseProcess, receiver: Connection, execution: Execution, started: float
) -> list[TrialRecord] | tuple[Status, str]:
    """The child's records, or the status and message of why there are none."""
    assert child.pid is not None
    base, answer = _resident_bytes(child.pid), Answer(receiver)
    while True:
        is_alive = child.is_alive()  # before the pipe, whose other end a process of the trial may hold
        try:
            if (records := answer.poll(_POLL_SECONDS)) is not None:
                return records
        except (EOFError, OSError, ValueError):  # ValueError: something else wrote into the pipe
            is_alive = False
        if not is_alive:
            child.join(5)
            return "crashed", f"The trial's process ended without a result ({_how(child.exitcode)})."
        if execution.trial_seconds is not None and time.monotonic() - started > execution.trial_seconds:
            return "timeout", f"The trial ran longer than its limit of {execution.trial_seconds:g} s and was ended."
        limit = execution.memory_bytes
        if limit is not None and _resident_bytes(child.pid) - base > limit:
            return "out_of_memory", f"The trial used more than its limit of {limit / 2**20:.0f} MiB and was ended."


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 where it is gone or the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _start(child: BaseProcess, execution: Execution) -> None:
    """Start the child; the first one starts the fork server, which preloads what the trials need.

    The child must not import this process's main script again (Ray's worker script, pytest).
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        for attempts_left in reversed(range(_MAX_STARTS)):
            try:
                with environment(_variables(execution)), temporary_files_in(folder_of_this_process()):
                    return child.start()
            except (EOFError, OSError):  # the fork server was killed: when that is noticed, there is a new one
                if not attempts_left:
                    raise
                time.sleep(_POLL_SECONDS)
    finally:
        sys.modules["__main__"] = main


def _variables(execution: Execution) -> dict[str, str]:
    """What the fork server has in its environment besides."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    variables = {
        PRELOAD_VARIABLE: ",".join(execution.preload),
        DATA_VARIABLE: execution.data_dir or "",
        MALLOC_VARIABLE: malloc_tunables(os.environ.get(MALLOC_VARIABLE, "")),
        "PYTHONPATH": os.pathsep.join(paths if PACKAGE_ROOT in paths else [PACKAGE_ROOT, *paths]),
        "PYTHONSAFEPATH": "1",  # no code from the folder that the command was given in
        FOLDER_VARIABLE: folder_of_this_process(),
        "TMPDIR": folder_of_this_process(),
        compiled_code.VARIABLE: compiled_code.place_of_compiled_code(),
    }
    if execution.device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it unset for trials without GPUs: they would see all
    return variables


def malloc_tunables(own: str = "") -> str:
    """The value of GLIBC_TUNABLES for a process that trains; what the user's `own` value sets stays.

    >>> malloc_tunables("glibc.malloc.mmap_max=9:glibc.malloc.arena_max=2")
    'glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=9:glibc.malloc.arena_max=2'
    """
    theirs = [tunable for tunable in own.split(":") if tunable]
    names = {tunable.partition("=")[0] for tunable in theirs}
    return ":".join([*(f"{name}={value}" for name, value in _MALLOC.items() if name not in names), *theirs])


def _body(pack: Pack, execution: Execution, sender: Connection) -> None:
    """What the child does."""
    _die_with_parent()
    os.dup2(2, 1)  # output of trials must not mix with the command's own output, which another program may read
    if execution.working_folder is not None:
        os.chdir(execution.working_folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the parent decides
    if execution.memory_bytes is not None and execution.device == "cpu":
        _limit_data(execution.memory_bytes)
    from harness.trial import failed_record, run_pack

    try:
        records = run_pack(pack, execution)
    except KeyboardInterrupt as error:  # the trial's own: signals do not reach this process
        records = [failed_record(pack[0], execution, error)] if len(pack) == 1 else []
    send_answer(sender, records)
    sender.close()


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent, the fork server, ends; the server ends with the worker.

    The server ends when nobody holds its pipe any more. A child inherits an end of it, which it must let go: a trial
    that hangs would otherwise keep the server alive, and the server the trial, for ever.
    """
    pipe = getattr(multiprocessing.forkserver._forkserver, "_forkserver_alive_fd", None)
    if pipe is not None:
        os.close(pipe)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_data(memory_bytes: int) -> None:
    """Cap the process's writable memory: faster than the parent's polling, with a traceback of the place."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE") if _HAS_PROC else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]  # such as `ulimit -d` sets
    resource.setrlimit(resource.RLIMIT_DATA, (min([used + memory_bytes, *limits]), hard))


_HAS_PROC = Path("/proc/self/statm").exists()
