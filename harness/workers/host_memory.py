"""The limit of the memory of a trial's process: a share of the machine that it runs on."""

from __future__ import annotations

import os

from harness.execution import Execution
from harness.workers.gpu_shares import num_gpus, num_slots
from harness.workers.processors import trials_at_once

MEMORY_SHARE = 0.85  # of the machine's memory, divided among the trials that run at once
CUDA_BYTES = 4 * 2**30  # least share of a trial on a GPU: CUDA's libraries and context alone take 1.5 to 3 GiB


def memory_limit(execution: Execution) -> int | None:
    """Bytes that a trial's process may take beyond what it has at its start; None if there is no limit.

    What the user asked for, else an equal share of this machine's memory for each of the trials that its processors
    and GPUs hold at once. On a cluster every machine has a share of its own.
    """
    if execution.memory_bytes is not None:
        return execution.memory_bytes
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE
    except (ValueError, OSError):
        return None
    share = int(total / (1 if execution.exclusive else _num_at_once(execution)))
    return share if execution.device == "cpu" else max(share, CUDA_BYTES)


def _num_at_once(execution: Execution) -> int:
    by_processor = trials_at_once(execution.cpus_per_trial, execution.most_at_once)
    if execution.device == "cpu":
        return by_processor
    by_gpu = num_gpus() * num_slots(execution.gpu_fraction)  # 0 if the system does not tell
    return min(by_processor, by_gpu or by_processor)
