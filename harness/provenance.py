"""Where a row comes from: versions, hardware, and a hash of the code that the trial uses. No host or user names."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import code_identity
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import TASKS
from tasks.lookup import task_of
from tasks.regularizers import REGULARIZERS
from tasks.task import Task

DRIVER_FILE = Path("/proc/driver/nvidia/version")
ALWAYS_USED = ("harness.trial:prepare", "tasks.training:Training")


def package_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def software() -> dict[str, Any]:
    """The provenance columns that are the same for all trials of a process."""
    return {
        **_git(),
        "python_version": platform.python_version(),
        "torch_version": package_version("torch"),
        "numba_version": package_version("numba"),
        "ray_version": package_version("ray"),
        "optuna_version": package_version("optuna"),
        "regarena_version": package_version("regarena"),
    }


def _git() -> dict[str, Any]:
    """Commit of the checkout that this code runs from; nulls where it is installed without one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {"git_commit": None, "git_dirty": None}
    try:
        commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
        status = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": None, "git_dirty": None}
    return {"git_commit": commit, "git_dirty": bool(status)}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


_GPU_SEPARATOR = " |"  # between the GPU and the processor in a `hardware_key`


def hardware_key(device: str, cpu_threads: int) -> str:
    """The hardware and settings that a time depends on, as text; times are comparable if their keys are equal.

    It names the processor, the machine's memory and the number of torch's threads; on a GPU, before these, the GPU, its
    memory, and the versions of its driver and of CUDA.
    """
    machine = f"{processor()}, {_gibibytes(memory_bytes())} x{cpu_threads}"
    return f"{_gpu(device)}{_GPU_SEPARATOR} {machine}" if device.startswith("cuda") else machine


def _gpu(device: str) -> str:
    import torch

    if not torch.cuda.is_available():
        return "a GPU out of reach"
    try:
        properties = torch.cuda.get_device_properties(device)
    except Exception:  # whatever is wrong with the GPU, the trial gets a row
        return "a GPU that does not answer"
    versions = f"driver {driver_version()}, CUDA {torch.version.cuda or torch.version.hip or 'unknown'}"
    return f"{properties.name}, {_gibibytes(properties.total_memory)}, {versions}"


def _gibibytes(num_bytes: int) -> str:
    return f"{round(num_bytes / 2**30)} GiB"


def memory_bytes() -> int:
    """The machine's memory in bytes; a container's limit is not considered."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@lru_cache(maxsize=1)
def driver_version() -> str:
    """The version of NVIDIA's kernel driver, or "unknown"."""
    with contextlib.suppress(OSError):
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", DRIVER_FILE.read_text(encoding="utf-8"))
        return found[0] if found else "unknown"
    return "unknown"


def is_of_gpu(key: str) -> bool:
    """Whether a `hardware_key` names a GPU.

    >>> is_of_gpu("NVIDIA H100, 80 GiB, driver 550.54, CUDA 12.4 | AMD EPYC, 64 GiB x1"), is_of_gpu("AMD EPYC x1")
    (True, False)
    """
    return _GPU_SEPARATOR in key


def code_hash(task_name: str, regularizer_names: Iterable[str], definition: str = "") -> str:
    """Hash of the code that one cell uses: its task, data set, architecture and regularizers, and all that these use.

    Without regularizers it covers what all contestants on the task share; rows are compared only if that is equal. The
    definition of a task that a campaign's file defines is a part of it.
    """
    task: Task = task_of(task_name, definition)
    targets = [*task.own_code, *([] if definition else [TASKS.target(task_name)])]
    targets += [REGULARIZERS.target(name) for name in regularizer_names]
    targets += [DATASETS.target(task.dataset)] if task.dataset in DATASETS else []
    targets += [ARCHITECTURES.target(task.architecture)] if task.architecture in ARCHITECTURES else []
    of_code = code_identity.code_hash([*ALWAYS_USED, *targets], task.own_packages)
    return sha256(f"{of_code} {definition}".encode()).hexdigest()[:12] if definition else of_code
