"""Calibration: timing some training steps of a cell on made-up data, on this machine. Reads and writes no files."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count, islice

import torch

from harness.cells import Cell
from harness.execution import Execution
from harness.times.cost import ALONE, Estimate, Rates, seconds_by_role
from harness.times.timing import MAX_PERIOD_EPOCHS, period_steps, synchronise
from tasks.runtime.switches import Switches
from tasks.task import Rehearsal, Setting
from tasks.training import Training

MAX_CPU_SAMPLES = 16  # batch size on a processor, where a whole batch of a large network may take a minute
QUICK_STEP_SECONDS = 0.5  # if a whole batch is expected to take at most this long, the whole batch is timed
NUM_STEPS = 3  # timed at least
STILL = 1e-8  # learning rate that hardly changes the weights: with a usual one, random labels may diverge
MIN_SECONDS = 0.2  # timed at least, with more steps if they are quick
NO_DATA = "A calibration reads no data: the time to decode images from files comes in addition."
SCALED = (
    "Where only a part of a batch was timed, times were scaled by the batch size, which overestimates work that is "
    "done once per step."
)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The measured times of one cell."""

    rates: Rates
    batch_size: int  # of the timed steps

    @property
    def seconds_per_step(self) -> float:
        """Seconds of one of the timed steps."""
        return self.rates.seconds_per_sample * self.batch_size


def estimate_by_calibration(cell: Cell, execution: Execution, switches: Switches | None = None) -> Estimate | None:
    """The cell's time from a calibration; None for a task that cannot be rehearsed."""
    workload = cell.task.workload(cell.scale, execution.data_folder_of(cell.task_name))
    calibration = None if workload is None else calibrate(cell, execution, switches)
    if workload is None or calibration is None:
        return None
    whole = calibration.batch_size == workload.batch_size
    samples = f"{calibration.batch_size}" if whole else f"{calibration.batch_size} of {workload.batch_size}"
    source = f"calibrated: {1e3 * calibration.seconds_per_step:.3g} ms for {samples} samples"
    caveats = (ALONE, NO_DATA) if whole else (ALONE, NO_DATA, SCALED)
    return Estimate(
        seconds=seconds_by_role(workload, calibration.rates),
        source=source,
        caveats=caveats,
        samples_per_second=1 / calibration.rates.seconds_per_sample,
        reads_data=False,
    )


def calibrate(cell: Cell, execution: Execution, switches: Switches | None = None) -> Calibration | None:
    """Time steps, the work after an epoch, and one evaluation; None if the task cannot be rehearsed.

    Runs in this process. Steps are executed with these switches; None is the protocol's.
    """
    torch.set_num_threads(execution.cpu_threads)
    device = torch.device(execution.device)
    limit = MAX_CPU_SAMPLES if device.type == "cpu" else None
    rehearsed = _rehearse(cell, device, switches, limit)
    if rehearsed is None:
        return None
    measured = _measure(*rehearsed, device)
    if limit is not None and measured.batch_size == limit and _is_quick(cell, measured.rates, execution):
        rehearsed = _rehearse(cell, device, switches, None)
        assert rehearsed is not None  # the task could be rehearsed with a smaller batch
        measured = _measure(*rehearsed, device)
    return measured


def _is_quick(cell: Cell, rates: Rates, execution: Execution) -> bool:
    """Whether a step with the protocol's whole batch is quick enough to be timed."""
    workload = cell.task.workload(cell.scale, execution.data_folder_of(cell.task_name))
    return workload is not None and rates.seconds_per_sample * workload.batch_size <= QUICK_STEP_SECONDS


def _rehearse(
    cell: Cell, device: torch.device, switches: Switches | None, max_batch_size: int | None
) -> tuple[Rehearsal, float] | None:
    """The cell's rehearsal, and the seconds that its preparation took."""
    hyperparameters = cell.contestant.resolve(cell.task, cell.scale, cell.points[0])
    setting = Setting(seed=0, scale=cell.scale, learning_rate=STILL, device=device, switches=switches)
    started = time.perf_counter()
    rehearsal = cell.task.rehearse(cell.contestant.build(hyperparameters), setting, max_batch_size)
    if rehearsal is not None and rehearsal.training.protocol.switches.compile:
        rehearsal.training.warm_up()  # compiles, as a trial does before its steps are timed
    synchronise(device)
    return None if rehearsal is None else (rehearsal, time.perf_counter() - started)


def _measure(rehearsal: Rehearsal, setup_seconds: float, device: torch.device) -> Calibration:
    training = rehearsal.training
    network, hooks, batch_size = training.network, training.hooks, training.batches.batch_size
    period = min(hooks.period_epochs(), MAX_PERIOD_EPOCHS)
    step_seconds = _time_steps(training, period, device)
    surgery_seconds = _once(lambda: [hooks.after_epoch(epoch, network) for epoch in range(1, period + 1)], device)
    evaluation_seconds = _timed(training.evaluate, device)
    rates = Rates(
        seconds_per_sample=step_seconds / batch_size,
        seconds_per_evaluated=evaluation_seconds / rehearsal.num_evaluated,
        surgery_seconds=surgery_seconds,
        period_epochs=period,
        setup_seconds=setup_seconds,
    )
    return Calibration(rates=rates, batch_size=batch_size)


def _time_steps(training: Training, epoch: int, device: torch.device) -> float:
    """Median seconds of a step, without the first one, at positions spread over the training.

    If a regularizer acts in every n-th step, whole periods of n steps are timed, and a step is their mean.
    """
    num_steps, period = training.protocol.epochs * len(training.batches), period_steps(training)
    batches = chain.from_iterable(training.batches.epoch() for _ in count())
    seconds: list[float] = []
    while len(seconds) <= -(-NUM_STEPS // period) or period * sum(seconds[1:]) < MIN_SECONDS:
        training.seek(int((len(seconds) % NUM_STEPS + 0.5) / NUM_STEPS * max(num_steps - period, 0)))
        seconds.append(_once(lambda: training.run_steps(islice(batches, period), epoch), device) / period)
    return statistics.median(seconds[1:])


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of some work; quick work is done once before, as a warm-up."""
    seconds = _once(work, device)
    return _once(work, device) if seconds < QUICK_STEP_SECONDS else seconds


def _once(work: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started
