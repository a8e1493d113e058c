"""A calibration: some steps of a cell's training on made-up data, timed here and now. Reads no data, leaves nothing."""

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

MAX_CPU_SAMPLES = 16  # of a step on a processor, where a large network's whole batch may take a minute
QUICK_STEP_SECONDS = 0.5  # a whole batch that takes less is timed as it is
NUM_STEPS = 3
STILL = 1e-8  # a learning rate that hardly moves the weights: on random labels a usual one may diverge
MIN_SECONDS = 0.2  # of timed steps: quick ones are timed more often
NO_DATA = "A calibration reads no data: decoding images from files comes on top."
SCALED = (
    "Where only a part of the batch was timed, seconds per sample were scaled: what is done once per step counts too "
    "often."
)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured of one cell."""

    rates: Rates
    batch_size: int  # of the timed steps

    @property
    def seconds_per_step(self) -> float:
        """Of the timed steps."""
        return self.rates.seconds_per_sample * self.batch_size


def estimate_by_calibration(cell: Cell, execution: Execution, switches: Switches | None = None) -> Estimate | None:
    """The cell's time from a calibration; None for a task that cannot be rehearsed."""
    workload = cell.task.workload(cell.scale, execution.data_folder)
    calibration = None if workload is None else calibrate(cell, execution, switches)
    if workload is None or calibration is None:
        return None
    whole = calibration.batch_size == workload.batch_size
    samples = f"{calibration.batch_size}" if whole else f"{calibration.batch_size} of {workload.batch_size}"
    source = f"calibrated: {1e3 * calibration.seconds_per_step:.3g} ms for {samples} samples"
    caveats = (ALONE, NO_DATA) if whole else (ALONE, NO_DATA, SCALED)
    return Estimate(seconds=seconds_by_role(workload, calibration.rates), source=source, caveats=caveats)


def calibrate(cell: Cell, execution: Execution, switches: Switches | None = None) -> Calibration | None:
    """Time steps, what follows an epoch, and one evaluation, in this process; None if the task cannot be rehearsed.

    Steps are executed by these switches, or (None) as the protocol says.
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
        assert rehearsed is not None  # it was so with a smaller batch
        measured = _measure(*rehearsed, device)
    return measured


def _is_quick(cell: Cell, rates: Rates, execution: Execution) -> bool:
    """Whether a step of the protocol's whole batch takes no time worth saving."""
    workload = cell.task.workload(cell.scale, execution.data_folder)
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
        rehearsal.training.warm_up()  # compiles, as a trial does before its steps count
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
    """Median seconds of a step, the first one apart, at places spread over the training.

    Of a regularizer that works in every n-th step, the mean over n steps: as many times at least as one is enough for.
    """
    num_steps, period = training.protocol.epochs * len(training.batches), period_steps(training)
    batches = chain.from_iterable(training.batches.epoch() for _ in count())
    seconds: list[float] = []
    while len(seconds) <= -(-NUM_STEPS // period) or period * sum(seconds[1:]) < MIN_SECONDS:
        training.seek(int((len(seconds) % NUM_STEPS + 0.5) / NUM_STEPS * max(num_steps - period, 0)))
        seconds.append(_once(lambda: training.run_steps(islice(batches, period), epoch), device) / period)
    return statistics.median(seconds[1:])


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of some work; quick work is done once before."""
    seconds = _once(work, device)
    return _once(work, device) if seconds < QUICK_STEP_SECONDS else seconds


def _once(work: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started
