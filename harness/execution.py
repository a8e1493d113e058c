"""How trials are executed: device, threads, limits, data. None of it is part of a trial's identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import BadInput

CHECKPOINT_SECONDS = 60.0
AUTO = -1.0  # instead of a share of a GPU: choose the share by the memory that trials need


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings of a campaign's trials. Holds only text and numbers, so that it can be pickled for any worker."""

    data_dir: str | None = None
    device: str = "cpu"  # as torch names it
    gpu_fraction: float = 0.0  # share of a GPU that one trial takes; 0 on the processor
    cpu_threads: int = 1
    cpus_per_trial: float = 1.0
    most_at_once: int | None = None  # trials on one machine; None: as many as its processors and GPUs hold
    trials_at_once: int | None = None  # on this machine, as Ray's node counts them; None: by its processors and GPUs
    trial_seconds: float | None = None  # wall-clock limit of one trial; None is no limit
    known_limit: bool = False  # whether trials without a limit get one from the times of their cell: `times.limits`
    memory_bytes: int | None = None  # that a trial's process may take beyond its start; None: its share of the machine
    exclusive: bool = False  # no other trial of the campaign runs on the machine
    checkpoint_location: str | None = None  # the results folder or URI; None is no checkpoints
    checkpoint_seconds: float = CHECKPOINT_SECONDS  # least time between two of one trial; shorter trials write none
    needs_cuda: tuple[str, ...] = ()  # switches that some trial uses and only a GPU supports
    working_folder: str | None = None  # of the trials' processes; None is that of the calling process
    preload: tuple[str, ...] = ()  # tasks whose data the fork server reads once, for all its children
    preload_modules: tuple[str, ...] = ()  # modules that it imports once, likewise
    task_data: Mapping[str, str] = field(default_factory=dict)  # folders of tasks with data of their own, by task
    code_folder: str | None = None  # folder of a campaign's file that names functions of the user's code

    def placed(self, gpu_fraction: float) -> Execution:
        """The same settings with this share of a GPU and the device that goes with it; 0 is the processor.

        Raises:
            BadInput: if trials need a GPU and get none.
        """
        if self.needs_cuda and gpu_fraction == 0:
            asked = ", ".join(f"--{name.replace('_', '-')}" for name in self.needs_cuda)
            raise BadInput(f"{asked}: needs a GPU, and trials run on the processor here; leave it out.")
        return replace(self, gpu_fraction=gpu_fraction, device="cuda" if gpu_fraction > 0 else "cpu")

    def alone(self) -> Execution:
        """The same settings for a trial that has the machine, and a whole GPU if it trains on one, for itself."""
        return replace(self, exclusive=True, gpu_fraction=max(1.0, self.gpu_fraction) if self.gpu_fraction else 0.0)

    def for_trials(self, number: int) -> Execution:
        """The same settings for a process that runs `number` trials: its time limit is the sum of theirs."""
        seconds = self.trial_seconds
        return self if seconds is None else replace(self, trial_seconds=number * seconds)

    def data_folder_of(self, task_name: str) -> Path | None:
        """The folder with the data of a task: its own, or that of all data sets; None without one."""
        folder = self.task_data.get(task_name, self.data_dir)
        return Path(folder) if folder else None


def placed(execution: Execution, gpus_per_trial: float | None) -> Execution:
    """The execution with its device, chosen on this machine without Ray, by the same rule as on Ray.

    Args:
        execution: the settings; its `gpu_fraction` is used where there is a GPU and none was asked for.
        gpus_per_trial: share of a GPU that was asked for, or None.

    Raises:
        BadInput: if a GPU was asked for and there is none, or more than one.
    """
    import torch

    fraction = gpus_per_trial
    if fraction == AUTO:  # one trial at a time has all of the GPU
        fraction = 1.0
    if fraction is not None and fraction > 1:
        raise BadInput(f"A trial trains on one GPU: --gpus-per-trial must be at most 1, got {fraction:g}.")
    if fraction is None:
        fraction = execution.gpu_fraction if torch.cuda.is_available() else 0.0
    if fraction > 0 and not torch.cuda.is_available():
        raise BadInput(f"--gpus-per-trial {fraction:g} was asked for, but this machine has no GPU.")
    return execution.placed(fraction)
