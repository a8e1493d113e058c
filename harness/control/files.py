"""The files in `control/` of the results folder, through which a run and other terminals communicate.

`run.json` holds the run's current state, and is rewritten every few seconds. `running/TRIAL.json` names a process and
the trials that it runs now. `stop-RUN.json` and `retry-RUN.json` are requests to the run of that id. None of them holds
results.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from harness.errors import RegarenaError
from harness.records import utc_now
from harness.results.store import Store

if TYPE_CHECKING:
    from harness.records import Pack, TrialSpec

CONTROL = "control"
RUN_FILE = f"{CONTROL}/run.json"
RUNNING = f"{CONTROL}/running"
REQUESTS = ("stop", "retry")

Ask = Literal["stop", "retry"]


def request_file(ask: Ask, run_id: str) -> str:
    """The file of a request to the run of this id, which `is_run_id` must accept."""
    return f"{CONTROL}/{ask}-{run_id}.json"


def is_run_id(text: object) -> bool:
    """Whether it is a run's id: 16 hexadecimal digits, so that it cannot contain a path."""
    return isinstance(text, str) and len(text) == 16 and all(each in "0123456789abcdef" for each in text)


@contextlib.contextmanager
def noted(store: Store, pack: Pack, uses_gpu: bool = False, node_id: str = "") -> Iterator[None]:
    """A context in which a note says that this process runs these trials; none if it cannot be written."""
    first = pack[0]
    name = _note_of(first)
    note = {
        "trial_ids": [spec.trial_id for spec in pack],
        "task": first.task,
        "regularizer": first.regularizer,
        "role": first.role,
        "seeds": [spec.seed for spec in pack],
        "started_at": utc_now().isoformat(timespec="seconds"),
        "machine": socket.gethostname(),
        "pid": os.getpid(),
        "node_id": node_id,
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "") if uses_gpu else "",
    }
    with contextlib.suppress(OSError):
        store.write_json(name, note, lasting=False)
    try:
        yield
    finally:
        store.remove(name)


def node_of(store: Store, spec: TrialSpec) -> str | None:
    """The id of the cluster's node that ran a trial when its process was lost; None if no process had begun with it.

    The note that the process left is removed, so that a later loss is not taken for this one.
    """
    with contextlib.suppress(OSError, RegarenaError):
        note = store.read_json(_note_of(spec))
        store.remove(_note_of(spec))
        return None if note is None else str(note.get("node_id"))
    return None


def _note_of(spec: TrialSpec) -> str:
    return f"{RUNNING}/{spec.trial_id}.json"
