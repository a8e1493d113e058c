"""Runs trials in a child process that can be killed: a hang, a crash or too much memory becomes a record.

Children are forked from a fork server that has imported torch and read the data once, so that starting one takes
milliseconds. A child is killed when its parent ends (PR_SET_PDEATHSIG), however that ends.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import multiprocessing.forkserver
import os
import resource
import signal
import sys
import time
import types
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.execution import Execution
from harness.records import Pack, Status, TrialRecord, TrialSpec, utc_now
from harness.workers import compiled_code
from harness.workers.answers import Answer, send_answer
from harness.workers.environment import PACKAGE_ROOT, environment, make_importable
from harness.workers.exit_codes import how_it_ended
from harness.workers.gpu_shares import all_slots, num_slots, one_slot
from harness.workers.host_memory import memory_limit
from harness.workers.interrupts import held
from harness.workers.temporary_folders import folder_of_this_process, temporary_files_in

PRELOAD_VARIABLE = "REGARENA_PRELOAD"  # names of tasks, for harness.workers.preload
DATA_VARIABLE = "REGARENA_DATA"
MODULES_VARIABLE = "REGARENA_MODULES"  # names of modules, comma-separated
IMAGES_VARIABLE = "REGARENA_IMAGES"  # folders of the user's own images, as JSON
FOLDER_VARIABLE = "REGARENA_TEMPORARY_FOLDER"  # folder of the process that runs trials; the fork server removes it
MAX_PRELOADED_FOLDERS = 16  # the length of an environment variable is limited
MAX_ATTEMPTS = 2  # of a trial whose process died: if it crashes again, the trial itself is at fault
MALLOC_VARIABLE = "GLIBC_TUNABLES"
# Every step frees its activations and allocates them again. By default glibc returns large blocks to the system each
# time, and every page of a new block costs a page fault. With these settings a process keeps the blocks, in huge pages
# where the system has them. The cost is fragmentation: a trial's peak memory was up to a tenth higher (DenseNet-BC).
_MALLOC = {
    "glibc.malloc.mmap_max": "0",
    "glibc.malloc.trim_threshold": str(2**33),
    "glibc.malloc.hugetlb": "1",
}
_MAX_STARTS = 20
_POLL_SECONDS = 0.05
_GPU_GRACE_SECONDS = 5.0  # for the end of a process that used a GPU: a kill may end others that share it through MPS
_PR_SET_PDEATHSIG = 1


def run_isolated(spec: TrialSpec, execution: Execution) -> TrialRecord:
    """Run one trial in a child process, a second time if it crashes; always returns a record.

    A trial that shares a GPU and runs out of memory runs once more, with the whole GPU for itself.
    """
    with one_slot(execution.gpu_fraction):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            record = _attempt((spec,), execution)[0].with_values(attempts=attempt)
            if record.status != "crashed":
                break
    if record.status == "out_of_memory" and num_slots(execution.gpu_fraction) > 1:
        with all_slots(execution.gpu_fraction):
            record = _attempt((spec,), replace(execution, gpu_fraction=1.0))[0].with_values(attempts=attempt + 1)
    return record


def run_pack_isolated(pack: Pack, execution: Execution) -> list[TrialRecord]:
    """Run the trials of a pack in one child process; a single one as `run_isolated` does.

    If anything goes wrong with several, the list is empty, and the caller runs them one by one. Several have the sum of
    their time limits, but only one trial's memory limit.
    """
    if len(pack) == 1:
        return [run_isolated(pack[0], execution)]
    with one_slot(execution.gpu_fraction):
        return _attempt(pack, execution.for_trials(len(pack)))


def _attempt(pack: Pack, execution: Execution) -> list[TrialRecord]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.workers.preload"])
    receiver, sender = context.Pipe(duplex=False)
    # Not a daemon, since these may have no children, and a trial may start processes that load data. Killed below.
    child = context.Process(target=_body, args=(pack, execution, sender), daemon=False)
    try:
        with held():  # a signal meanwhile would leave the fork server with half of the request
            _start(child, execution)
        # The child exists now: the start of the fork server does not count as time of the trial.
        started_at, started = utc_now(), time.monotonic()
        sender.close()
        answer = _await(child, receiver, execution, started)
        if isinstance(answer, list) and execution.device != "cpu":
            child.join(_GPU_GRACE_SECONDS)
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
    """The record of a trial whose process returned none."""
    from harness.trial import base_values

    values = base_values(spec, execution) | {"finished_at": utc_now(), "error_type": status, "error_message": message}
    return TrialRecord(spec=spec, status=status, values=values)


def _await(
    child: BaseProcess, receiver: Connection, execution: Execution, started: float
) -> list[TrialRecord] | tuple[Status, str]:
    """Wait for the child's records; returns them, or the status and message of a trial without records."""
    assert child.pid is not None
    base, answer, limit = _resident_bytes(child.pid), Answer(receiver), memory_limit(execution)
    while True:
        is_alive = child.is_alive()  # asked before the pipe is read: a process of the trial may keep the pipe open
        try:
            if (records := answer.poll(_POLL_SECONDS)) is not None:
                return records
        except (EOFError, OSError, ValueError):  # ValueError: something else wrote into the pipe
            is_alive = False
        if not is_alive:
            child.join(5)
            return "crashed", f"The trial's process ended without a result ({how_it_ended(child.exitcode)})."
        if execution.trial_seconds is not None and time.monotonic() - started > execution.trial_seconds:
            return "timeout", f"The trial ran longer than its limit of {execution.trial_seconds:g} s and was ended."
        if limit is not None and _resident_bytes(child.pid) - base > limit:
            return "out_of_memory", f"The trial used more than its limit of {limit / 2**20:.0f} MiB and was ended."


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if it has ended or the system does not tell."""
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
            except (EOFError, OSError):  # the fork server was killed; multiprocessing starts a new one when it notices
                if not attempts_left:
                    raise
                time.sleep(_POLL_SECONDS)
    finally:
        sys.modules["__main__"] = main


def _variables(execution: Execution) -> dict[str, str]:
    """Further environment variables of the fork server and its children."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    variables = {
        PRELOAD_VARIABLE: ",".join(execution.preload),
        DATA_VARIABLE: execution.data_dir or "",
        MODULES_VARIABLE: ",".join(execution.preload_modules),
        IMAGES_VARIABLE: json.dumps(list(dict.fromkeys(execution.task_data.values()))[:MAX_PRELOADED_FOLDERS]),
        MALLOC_VARIABLE: malloc_tunables(os.environ.get(MALLOC_VARIABLE, "")),
        "PYTHONPATH": os.pathsep.join(paths if PACKAGE_ROOT in paths else [PACKAGE_ROOT, *paths]),
        "PYTHONSAFEPATH": "1",  # no code is imported from the current folder
        FOLDER_VARIABLE: folder_of_this_process(),
        "TMPDIR": folder_of_this_process(),
        compiled_code.VARIABLE: compiled_code.place_of_compiled_code(),
    }
    if execution.device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it unset for trials without GPUs: they would see all
    return variables


def malloc_tunables(own: str = "") -> str:
    """The value of GLIBC_TUNABLES for a process that trains; settings in the user's `own` value are kept.

    >>> malloc_tunables("glibc.malloc.mmap_max=9:glibc.malloc.arena_max=2")
    'glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=9:glibc.malloc.arena_max=2'
    """
    theirs = [tunable for tunable in own.split(":") if tunable]
    names = {tunable.partition("=")[0] for tunable in theirs}
    return ":".join([*(f"{name}={value}" for name, value in _MALLOC.items() if name not in names), *theirs])


def _body(pack: Pack, execution: Execution, sender: Connection) -> None:
    """The child's code: run the pack and send its records."""
    _die_with_parent()
    os.dup2(2, 1)  # output of trials must not mix with the command's own output, which another program may read
    if execution.working_folder is not None:
        os.chdir(execution.working_folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the parent decides
    if execution.code_folder is not None:
        make_importable(execution.code_folder)
    limit = memory_limit(execution)
    if limit is not None and execution.device == "cpu":
        _limit_data(limit)
    from harness.trial import failed_record, run_pack

    try:
        records = run_pack(pack, execution)
    except KeyboardInterrupt as error:  # the trial's own: signals do not reach this process
        records = [failed_record(pack[0], execution, error)] if len(pack) == 1 else []
    send_answer(sender, records)
    sender.close()


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent, the fork server, ends; the server ends with the worker.

    The server ends when all other ends of its pipe are closed. A child inherits one and must close it: otherwise a
    trial that hangs would keep the server alive, and the server the trial.
    """
    pipe = getattr(multiprocessing.forkserver._forkserver, "_forkserver_alive_fd", None)
    if pipe is not None:
        os.close(pipe)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_data(memory_bytes: int) -> None:
    """Limit the process's data memory: this acts sooner than the parent's polling, and gives a traceback."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE") if _HAS_PROC else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]  # such as `ulimit -d` sets
    resource.setrlimit(resource.RLIMIT_DATA, (min([used + memory_bytes, *limits]), hard))


_HAS_PROC = Path("/proc/self/statm").exists()
