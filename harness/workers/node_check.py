"""What a node of a cluster must have before trials run on it: the code, the results folder and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.errors import BadInput
from harness.execution import Execution
from harness.results.store import Store
from harness.workers.gpu_shares import gpu_memory_bytes
from tasks.table import described

NODES_FILE = ".nodes.json"  # a node that can read it sees the results folder


@dataclass(frozen=True, kw_only=True)
class DataOfTask:
    """The data of one task, as the driver has them."""

    task: str
    definition: str
    folder: str | None
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class NodeCheck:
    """What every node is compared with. Holds only text, so that it can be pickled and hashed."""

    location: str  # of the results
    written: str  # what the driver wrote into NODES_FILE
    data: tuple[DataOfTask, ...] = ()
    passed: frozenset[str] = frozenset()  # ids of the nodes that were found in order when the run began


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a node reports about itself."""

    problem: str  # what keeps it from running trials, as the end of a sentence; "" if nothing does
    hardware: str  # as rows name it
    gpu_bytes: int | None  # memory of its smallest GPU; None if it has none or does not tell


def seen_here(check: NodeCheck | None, execution: Execution) -> Seen:
    """What this node reports about itself; without a check only its hardware."""
    import harness.trial  # noqa: F401  # that all can be imported is part of the check
    from harness.provenance import hardware_key

    problem = "" if check is None else problem_of_this_node(check)
    hardware = hardware_key(execution.device, execution.cpu_threads)
    return Seen(problem=problem, hardware=hardware, gpu_bytes=gpu_memory_bytes())


def data_of(tasks: Mapping[str, tuple[Any, str]], execution: Execution) -> tuple[DataOfTask, ...]:
    """The data of the tasks that read files, as they are on this machine.

    Args:
        tasks: name -> the task, and its definition if a campaign's file defines it.
        execution: with the folders of data.
    """
    found = []
    for name, (task, definition) in tasks.items():
        if task.needs_data:
            folder = execution.data_folder_of(name)
            path = folder.absolute() if folder else None
            fingerprint = task.dataset_fingerprint(path)
            found.append(DataOfTask(task=name, definition=definition, folder=str(path or ""), fingerprint=fingerprint))
    return tuple(found)


def problem_of_this_node(check: NodeCheck, reads_data: bool = True) -> str:
    """What keeps this node from running trials, as the end of a sentence; "" if nothing does.

    Args:
        check: what to compare with.
        reads_data: whether data are read and compared as a whole; else only their files are looked for.
    """
    from pathlib import Path

    from tasks.errors import DataError
    from tasks.lookup import task_of

    try:
        known = Store(check.location).read_json(NODES_FILE)
    except BadInput as error:
        return (
            f"cannot read the results folder: {str(error).rstrip('.')}; every node needs the permission, or the "
            "credentials, to read and write it"
        )
    if known is None or known.get("campaign") != check.written:
        return (
            f"does not see the results folder {check.location}; give --results a folder that all nodes share, or a "
            "URI such as s3://bucket/folder"
        )
    for each in check.data:
        task, folder = task_of(each.task, each.definition), Path(each.folder) if each.folder else None
        try:
            task.check_data(folder)
            fingerprint = task.dataset_fingerprint(folder) if reads_data else each.fingerprint
        except (DataError, OSError) as error:
            return f"lacks the data of {each.task}: {str(error).rstrip('.')}; every node needs the folder of --data"
        if fingerprint != each.fingerprint:
            return (
                f"has other data for {each.task} in {each.folder} (fingerprint {fingerprint}, here "
                f"{each.fingerprint}); copy the same files to every node"
            )
    return ""


@lru_cache(maxsize=1)
def problem_of_late_node(check: NodeCheck, node_id: str) -> str:
    """As `problem_of_this_node`, if the node joined after the run began; "" for others. Checked once per process."""
    if node_id in check.passed:
        return ""
    try:
        return problem_of_this_node(check, reads_data=False)
    except Exception as error:  # raised, it would count as the loss of the trial's worker, and nobody would read it
        return cannot_run(error)


def cannot_run(error: Exception) -> str:
    """The problem of a node on which the check itself fails, such as for want of a package."""
    cause = getattr(error, "cause", None)  # an error of Ray that wraps that of the node has the whole traceback as text
    why = described(cause if isinstance(cause, Exception) else error)
    return f"cannot run trials ({why}); every node needs the same versions of Python, ray, torch and regarena"
