"""The limit of the memory of a trial's process: a share of the machine that it runs on."""

from __future__ import annotations

import os
from pathlib import Path

from harness.execution import Execution
from harness.workers.gpu_shares import num_gpus, num_held
from harness.workers.processors import trials_at_once

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
MEMORY_SHARE = 0.85  # of the machine's memory, divided among the trials that run at once
CUDA_BYTES = 4 * 2**30  # least share of a trial on a GPU: CUDA's libraries and context alone take 1.5 to 3 GiB


def memory_limit(execution: Execution) -> int | None:
    """Bytes that a trial's process may take beyond what it has at its start; None if there is no limit.

    It is what the user asked for, else the machine's memory divided by the number of trials that run on it at once:
    `Execution.trials_at_once`, or as many as its processors and GPUs allow. The memory limit of a container or of a
    Slurm job takes the place of the machine's memory.
    """
    if execution.memory_bytes is not None:
        return execution.memory_bytes
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    share = int(MEMORY_SHARE * min([total, *cgroup_limits()]) / (1 if execution.exclusive else _num_at_once(execution)))
    return share if execution.device == "cpu" else max(share, CUDA_BYTES)


def cgroup_limits() -> list[int]:
    """Limits in bytes of this process's control groups (version 2), those of its parents included."""
    try:
        own = OWN_CGROUP.read_text().strip().splitlines()
    except OSError:
        return []
    path = next((line[3:] for line in own if line.startswith("0::")), "/").strip("/")
    folders = [CGROUPS / path, *(CGROUPS / path).parents]
    limits = []
    for folder in [folder for folder in folders if folder == CGROUPS or CGROUPS in folder.parents]:
        try:
            text = (folder / "memory.max").read_text().strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []  # else "max"
    return limits


def _num_at_once(execution: Execution) -> int:
    if execution.trials_at_once is not None:
        return execution.trials_at_once
    by_processor = trials_at_once(execution.cpus_per_trial, execution.most_at_once)
    if execution.device == "cpu":
        return by_processor
    by_gpu = num_held(num_gpus(), execution.gpu_fraction)  # 0 if the system does not tell
    return min(by_processor, by_gpu or by_processor)
