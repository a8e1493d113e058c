"""How trials are carried out, apart from what they are: device, threads, limits, data. Never part of an identity."""

from __future__ import annotations

from dataclasses import dataclass

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The same for all trials of a campaign. Holds only names and numbers, so that it travels to any worker."""

    data_dir: str | None = None
    device: str = "cpu"
    gpu_fraction: float = 0.0
    cpu_threads: int = 1
    trial_seconds: float | None = None  # wall-clock limit of one trial; None is no limit
    memory_bytes: int | None = None  # limit of one trial's process above what it starts with; None is no limit
    exclusive: bool = False  # nothing else of ours runs on the machine meanwhile
    checkpoint_location: str | None = None  # the results folder or URI; None is no checkpoints
    checkpoint_seconds: float = CHECKPOINT_SECONDS  # least time between those of one trial; short ones write none
    preload: tuple[str, ...] = ()  # tasks whose data the fork server reads once, for all its children
