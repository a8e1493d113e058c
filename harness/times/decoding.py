"""Processors for images that are decoded while training: how many a node needs so that a GPU does not wait for them."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

import torch

from harness.cells import Cell
from harness.execution import Execution
from harness.plan import Plan
from harness.times.calibration import STILL
from harness.times.forecast import Forecast
from harness.times.gpu_input_warning import decodes_on_processors
from tasks.errors import DataError
from tasks.runtime.switches import Switches
from tasks.task import Setting

MIN_SECONDS = 1.0  # of decoding that are measured, in whole batches
FOR_TRAINING = 1  # processor beside those that decode: the trial's own process starts the steps on the GPU
HOW_TO_DECODE = "`plan --calibrate --data DIR` measures how many images a second one processor decodes"
HOW_TO_STEP = (
    "`plan --calibrate` on a machine with the GPU measures how many images a second a trial trains on, --timings DIR "
    "reads it from rows of such a machine"
)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """What is known of a task whose images are decoded while training; None is unknown."""

    task: str
    decoded_per_second: float | None  # images, by one processor of this machine
    trained_per_second: float | None  # images, by a trial of the fastest contestant on a GPU
    may_have_waited: bool = False  # whether that trial waited for images, perhaps
    trials_per_gpu: int = 1

    @property
    def processors_per_trial(self) -> int | None:
        """Those that decode as fast as the GPU trains, and one for the training itself."""
        if self.decoded_per_second is None or self.trained_per_second is None:
            return None
        return math.ceil(self.trained_per_second / self.decoded_per_second) + FOR_TRAINING

    def sentence(self) -> str:
        """How many processors a node needs, or what must be measured to know it."""
        needed, at_least = self.processors_per_trial, "at least " if self.may_have_waited else ""
        if needed is None:
            return f"How many processors a node needs for each GPU on {self.task} is unknown: {self._unknown()}."
        of_gpu = needed * self.trials_per_gpu
        shared = f", or {of_gpu} for a GPU that {self.trials_per_gpu} trials share" if self.trials_per_gpu > 1 else ""
        return (
            f"{self.task}: a trial on a GPU trains on {at_least}{self.trained_per_second:.3g} images a second, and one "
            f"processor here decodes {self.decoded_per_second:.3g}. So that the GPU does not wait for images, a node "
            f"needs {at_least}{needed} processors for each trial on it{shared}: --cpus-per-trial {needed}."
        )

    def _unknown(self) -> str:
        parts = []
        if self.decoded_per_second is None:
            parts.append(HOW_TO_DECODE)
        else:
            parts.append(f"one processor here decodes {self.decoded_per_second:.3g} images a second")
        if self.trained_per_second is None:
            parts.append(HOW_TO_STEP)
        return "; ".join(parts)


def decoding_of(plan: Plan, forecasts: Sequence[Forecast], execution: Execution, calibrate: bool) -> list[Decoding]:
    """What is known of each task whose images processors decode; with `calibrate` their rate is measured."""
    of_task = defaultdict(list)
    for forecast in forecasts:
        if decodes_on_processors(plan, forecast.cell):
            of_task[forecast.cell.task_name].append(forecast)
    return [
        _decoding_of(name, cells, decoded_per_second(cells[0].cell, execution) if calibrate else None, execution)
        for name, cells in of_task.items()
    ]


def decoded_per_second(cell: Cell, execution: Execution) -> float | None:
    """Images of the cell's task that one processor reads, decodes and augments in a second; None without its data.

    Decodes some training batches in this process. The first one is not timed.
    """
    folder = execution.data_folder_of(cell.task_name)
    setting = Setting(seed=0, scale=cell.scale, learning_rate=STILL, data_dir=folder, switches=Switches())
    try:
        training = cell.task.prepare([], setting)
    except DataError:
        return None
    torch.set_num_threads(1)
    batches = chain.from_iterable(training.batches.epoch() for _ in count())
    next(batches)
    num_images, started = 0, time.perf_counter()
    for batch in batches:
        num_images += len(batch.inputs)
        seconds = time.perf_counter() - started
        if seconds >= MIN_SECONDS:
            return num_images / seconds
    return None


def _decoding_of(name: str, cells: Sequence[Forecast], decoded: float | None, execution: Execution) -> Decoding:
    known = [each.estimate for each in cells if each.estimate is not None and each.estimate.samples_per_second]
    shares = [execution.gpu_fraction if each.gpu_fraction is None else each.gpu_fraction for each in known]
    on_gpu = [(each, share) for each, share in zip(known, shares, strict=True) if share > 0]
    if not on_gpu:
        return Decoding(task=name, decoded_per_second=decoded, trained_per_second=None)
    fastest, share = max(on_gpu, key=lambda each: each[0].samples_per_second or 0.0)
    return Decoding(
        task=name,
        decoded_per_second=decoded,
        trained_per_second=fastest.samples_per_second,
        may_have_waited=fastest.reads_data,
        trials_per_gpu=max(1, int(1 / share + 1e-9)),
    )
