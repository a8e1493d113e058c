"""How trials are executed: device, threads, limits, data. Never part of a trial's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import BadInput

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
    needs_cuda: bool = False  # some trial replays CUDA graphs
    working_folder: str | None = None  # where trials run; None is where the process is that asks for them
    preload: tuple[str, ...] = ()  # tasks whose data the fork server reads once, for all its children

    def placed(self, gpu_fraction: float) -> Execution:
        """On this share of a GPU; on the processor at 0.

        Raises:
            BadInput: when trials need a GPU and get none.
        """
        if self.needs_cuda and gpu_fraction == 0:
            raise BadInput("--cuda-graphs replays what was recorded on a GPU, and trials run without one here.")
        return replace(self, gpu_fraction=gpu_fraction, device="cuda" if gpu_fraction > 0 else "cpu")

    def for_trials(self, number: int) -> Execution:
        """The same for a process that runs so many trials: it may take as long as all of them."""
        seconds = self.trial_seconds
        return self if seconds is None else replace(self, trial_seconds=number * seconds)

    @property
    def data_folder(self) -> Path | None:
        """Where data sets are read from."""
        return Path(self.data_dir) if self.data_dir else None


def placed(execution: Execution, gpus_per_trial: float | None) -> Execution:
    """The execution with its device: a GPU where there is one or one was asked for, as on Ray.

    Raises:
        BadInput: when a GPU was asked for and there is none.
    """
    import torch

    fraction = gpus_per_trial
    if fraction is None:
        fraction = execution.gpu_fraction if torch.cuda.is_available() else 0.0
    if fraction > 0 and not torch.cuda.is_available():
        raise BadInput(f"--gpus-per-trial {fraction:g} was asked for, but this machine has no GPU.")
    return execution.placed(fraction)
