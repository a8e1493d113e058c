"""Trials that share a GPU: each holds one of its slots, and a trial that needs the whole GPU holds all of them.

Ray counts shares of a GPU, but nothing stops a trial from taking more memory than its share. So a trial's process is
limited to its share (`harness.trial`), and a trial that this ends runs once more, alone on the GPU. Ray cannot arrange
that: it would wait for a whole GPU to be free, which workers that are reused never leave.

A slot is a socket with a name in Linux's abstract namespace: the system frees it when its process ends, however that
happens, and no file is left.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

_DOOR = "door"  # a lock for taking slots, so that no trial overtakes one that waits for all of them
GPUS_FOLDER = Path("/proc/driver/nvidia/gpus")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 3600.0  # then a trial runs without its slot: another user of the machine may hold the name
_ROUNDING = 1e-9  # 1 / 0.1 slots are ten


@contextlib.contextmanager
def one_slot(gpu_fraction: float) -> Iterator[None]:
    """A context in which this process holds a slot of its GPU; waits while another trial has, or wants, all slots."""
    with contextlib.ExitStack() as held:
        if num_slots(gpu_fraction) > 1:
            with contextlib.ExitStack() as door:
                _wait(partial(_hold, _DOOR, door))
                _wait(lambda: any(_hold(slot, held) for slot in range(num_slots(gpu_fraction))))
        yield


@contextlib.contextmanager
def all_slots(gpu_fraction: float) -> Iterator[None]:
    """A context in which this process holds all slots of its GPU; waits until the trials that hold some have ended."""
    with contextlib.ExitStack() as held:
        for slot in (_DOOR, *range(num_slots(gpu_fraction))):
            _wait(partial(_hold, slot, held))
        yield


def num_slots(gpu_fraction: float) -> int:
    """Number of trials with this share that a GPU holds; 1 without a GPU."""
    return int(1 / gpu_fraction + _ROUNDING) if 0 < gpu_fraction < 1 else 1


def num_held(num_gpus: float, gpu_fraction: float) -> int:
    """Number of trials with this share, at most 1, that so many GPUs hold: each share is one of a single GPU.

    >>> num_held(2, 0.4), num_held(2, 0.6), num_held(2, 1.0)
    (4, 2, 2)
    """
    return int(num_gpus) * num_slots(gpu_fraction)


def num_gpus() -> int:
    """Number of NVIDIA's GPUs in this machine, without loading CUDA; 0 if the system does not tell."""
    with contextlib.suppress(OSError):
        return len(list(GPUS_FOLDER.iterdir()))
    return 0


def gpu_memory_bytes() -> int | None:
    """Memory of this machine's smallest GPU as NVIDIA's tool tells it, without loading CUDA; None if it does not."""
    command = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        return min(int(line) for line in told.split()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _hold(slot: int | str, held: contextlib.ExitStack) -> bool:
    """Take a slot until `held` is closed; False if another process has it."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "all")  # hashed, since a name has at most 107 characters
    devices = hashlib.sha256(named.encode()).hexdigest()[:16]
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        taken.bind(f"\0regarena-{os.getuid()}-gpu-{devices}-{slot}")
    except OSError as error:
        taken.close()
        return error.errno != errno.EADDRINUSE  # a system without such names has no slots to wait for
    held.enter_context(taken)
    return True


def _wait(is_held: Callable[[], bool]) -> None:
    latest = time.monotonic() + _PATIENCE_SECONDS
    while not is_held() and time.monotonic() < latest:
        time.sleep(_POLL_SECONDS)
