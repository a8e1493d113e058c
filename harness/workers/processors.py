"""How many CPUs this process may use; `taskset`, SLURM or a container may allow fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_2 = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD"
_CGROUP_1 = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))


def usable_cpus() -> int:
    """Number of CPUs that this process may use, by its affinity and the quota of its container; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def trials_at_once(cpus_per_trial: float, most: int | None = None) -> int:
    """How many trials with `cpus_per_trial` CPUs this machine can run at once: at least 1, at most `most`."""
    fitting = max(1, int(usable_cpus() / cpus_per_trial))
    return fitting if most is None else min(fitting, most)


def _quota() -> float | None:
    """The container's limit in CPUs; None if there is none or the system does not tell."""
    try:
        quota, period = _CGROUP_2.read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = (path.read_text().strip() for path in _CGROUP_1)
        except OSError:
            return None
    try:
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None
