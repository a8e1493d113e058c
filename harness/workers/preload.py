"""Imported once by the fork server: loads torch and the data of the campaign's tasks, to be shared by all children.

It must leave no thread behind, since a fork copies only one. So torch is set to one thread before its first operation,
and neither autograd nor CUDA is used.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import time
from pathlib import Path
from types import FrameType

import pyarrow as pa
import torch

import harness.trial  # what the children run, with all its imports
from harness.provenance import software
from harness.workers.isolation import (
    DATA_VARIABLE,
    FOLDER_VARIABLE,
    IMAGES_VARIABLE,
    MODULES_VARIABLE,
    PRELOAD_VARIABLE,
)
from harness.workers.temporary_folders import remove
from tasks.experiments import TASKS

_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.01
_PARENT = os.getppid()


def _remove_folder_of_parent() -> None:
    """Remove the worker's temporary folder once the worker has ended; it closes its pipe to this server just before."""
    latest = time.monotonic() + _WATCH_SECONDS
    while os.getppid() == _PARENT:
        if time.monotonic() > latest:
            return
        time.sleep(_POLL_SECONDS)
    remove(os.environ[FOLDER_VARIABLE])


def _end_without_parent(number: int, frame: FrameType | None) -> None:
    """End the fork server, and with it its children (PR_SET_PDEATHSIG), once the worker that started it has ended.

    By itself the server waits for its last child, which may hang forever. A timer's signal is used for this: a thread
    is not allowed here, and PR_SET_PDEATHSIG depends on the worker's thread, of which Ray has one per trial.
    """
    if os.getppid() != _PARENT:
        _remove_folder_of_parent()
        os.kill(os.getpid(), signal.SIGKILL)


if FOLDER_VARIABLE in os.environ:  # the fork server, not a process that imports this module only
    atexit.register(_remove_folder_of_parent)
    signal.signal(signal.SIGALRM, _end_without_parent)
    signal.setitimer(signal.ITIMER_REAL, _WATCH_SECONDS, _WATCH_SECONDS)  # a fork does not inherit the timer

torch.set_num_threads(1)
software()  # asks git, which costs more than a small trial; children inherit the answer
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)  # the first optimizer imports torch's compiler: seconds

pa.array([0.0])  # Arrow imports pandas when it first converts values: a quarter of a second in every child

_data = Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None
for _name in filter(None, os.environ.get(PRELOAD_VARIABLE, "").split(",")):
    # Missing or damaged data is reported by the trial, as a row; here it only means that nothing is preloaded.
    with contextlib.suppress(Exception):
        TASKS[_name].dataset_fingerprint(_data)

for _name in filter(None, os.environ.get(MODULES_VARIABLE, "").split(",")):
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
for _folder in json.loads(os.environ.get(IMAGES_VARIABLE) or "[]"):
    with contextlib.suppress(Exception):
        from tasks.datasets.own_images import own_index_of

        own_index_of(Path(_folder))

__all__ = ["harness"]
