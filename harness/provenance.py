"""Where a row comes from: versions, hardware, and a hash of the code that the trial uses. No host or user names."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import code_identity
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.task import Task

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
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


_GPU_AND = " |"  # between the GPU and its processor


def hardware_key(device: str, cpu_threads: int) -> str:
    """What times may be compared on: the device's name and the threads; equal keys mean comparable times."""
    if device.startswith("cuda"):
        import torch

        gpu = torch.cuda.get_device_name(device) if torch.cuda.is_available() else "a GPU out of reach"
        return f"{gpu}{_GPU_AND} {processor()} x{cpu_threads}"
    return f"{processor()} x{cpu_threads}"


def is_of_gpu(key: str) -> bool:
    """Whether a `hardware_key` is that of a GPU.

    >>> is_of_gpu("NVIDIA H100 | AMD EPYC x1"), is_of_gpu("AMD EPYC x1")
    (True, False)
    """
    return _GPU_AND in key


def code_hash(task_name: str, regularizer_names: Iterable[str]) -> str:
    """Code version of what one cell uses: its task, data set, architecture and regularizers, and all that they use.

    Without regularizers it is that of what all contestants of the task share: rows meet in a table where it is equal.
    """
    task: Task = TASKS[task_name]
    targets = [TASKS.target(task_name), *(REGULARIZERS.target(name) for name in regularizer_names)]
    targets += [DATASETS.target(task.dataset)] if task.dataset in DATASETS else []
    targets += [ARCHITECTURES.target(task.architecture)] if task.architecture in ARCHITECTURES else []
    return code_identity.code_hash([*ALWAYS_USED, *targets])
