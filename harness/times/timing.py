"""Timing of a training and its unregularized twin: chunks of steps in turn, so that both see the same machine load.

The time that this takes does not depend on the size of the data: a chunk is at most an epoch long. The work after an
epoch (weight surgery) is timed separately, and its share is added to the time of a step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

import torch

from tasks.regularizers.base import Batch
from tasks.training import Training

MIN_CHUNKS = 6
MIN_TIMED_SECONDS = 1.5  # of each of the two, so that a single disturbance has little influence
CHUNK_SECONDS = MIN_TIMED_SECONDS / MIN_CHUNKS
MAX_PERIOD_EPOCHS = MAX_PERIOD_STEPS = 100  # longer periods are cut to this length


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Medians and ranges over the timed chunks; a step includes its share of the work after an epoch."""

    seconds_per_step: float
    twin_seconds_per_step: float
    twin_range: tuple[float, float]  # smallest and largest seconds per step of the twin's chunks
    ratio_range: tuple[float, float]  # smallest and largest ratio of a regularized chunk to the twin's chunk beside it
    total_seconds: float  # of the regularized training, without warm-up
    num_steps: int  # timed steps of each of the two


def time_steps(regularized: Training, twin: Training, device: torch.device) -> Timed:
    """Run both in turn, after a warm-up, until each was timed for MIN_TIMED_SECONDS, or as long as its training takes.

    The chunks are spread over the whole training, since schedules may make early steps cheaper than late ones. Loading
    of batches is part of a step; evaluation and setup are not.
    """
    sides = (_Side(regularized, device), _Side(twin, device))
    steps_per_epoch = len(twin.batches)
    chunk_steps = _whole_periods(_warm_up(sides, steps_per_epoch), regularized)
    most_steps = _most_epochs(twin.protocol.epochs) * steps_per_epoch
    for number in count():
        place = (number % MIN_CHUNKS + 0.5) / MIN_CHUNKS
        for side in _in_turn(sides, number):
            side.step_seconds.append(side.run(chunk_steps, place) / chunk_steps)
            if number < MIN_CHUNKS:
                side.surgery_seconds.append(side.follow())
        timed_steps = (number + 1) * chunk_steps
        is_long_enough = sum(sides[1].step_seconds) * chunk_steps >= MIN_TIMED_SECONDS or timed_steps >= most_steps
        if number + 1 >= MIN_CHUNKS and is_long_enough:
            break
    seconds, twin_seconds = (
        [each + side.surgery_per_epoch / steps_per_epoch for each in side.step_seconds] for side in sides
    )
    ratios = [one / other for one, other in zip(seconds, twin_seconds, strict=True)]
    return Timed(
        seconds_per_step=statistics.median(seconds),
        twin_seconds_per_step=statistics.median(twin_seconds),
        twin_range=(min(twin_seconds), max(twin_seconds)),
        ratio_range=(min(ratios), max(ratios)),
        total_seconds=sum(sides[0].step_seconds) * chunk_steps + sum(sides[0].surgery_seconds),
        num_steps=timed_steps,
    )


def expected_seconds(
    seconds_per_step: float, twin_seconds_per_step: float, surgery_seconds: float, num_epochs: int, steps_per_epoch: int
) -> float:
    """Roughly how many seconds `time_steps` takes for such a training: both sides, and their warm-up.

    `surgery_seconds` is the time of the work after the epochs of one period. For regularizers that act in every n-th
    step it takes longer, since whole periods are timed.
    """
    epoch_seconds = twin_seconds_per_step * steps_per_epoch
    timed = min(max(MIN_TIMED_SECONDS, MIN_CHUNKS * twin_seconds_per_step), _most_epochs(num_epochs) * epoch_seconds)
    warm_up = 2 * max(min(CHUNK_SECONDS, epoch_seconds), twin_seconds_per_step)
    twin_steps = (warm_up + timed) / twin_seconds_per_step
    return twin_steps * (seconds_per_step + twin_seconds_per_step) + (MIN_CHUNKS + 1) * surgery_seconds


class _Side:
    """One of the two trainings, and its measured times."""

    def __init__(self, training: Training, device: torch.device) -> None:
        self._training, self._device = training, device
        self._num_steps = training.protocol.epochs * len(training.batches)
        self._period = min(training.hooks.period_epochs(), MAX_PERIOD_EPOCHS)
        self._batches: Iterator[Batch] = chain.from_iterable(training.batches.epoch() for _ in count())
        self.step_seconds: list[float] = []  # mean of a step, one entry per chunk
        self.surgery_seconds: list[float] = []  # of the work after the epochs of one period

    def run(self, num_steps: int, place: float) -> float:
        """Run steps as at this fraction of the training, in the last epoch of a period; returns their seconds."""
        self._training.seek(int(place * max(self._num_steps - num_steps, 0)))
        synchronise(self._device)
        started = time.perf_counter()
        self._training.run_steps(islice(self._batches, num_steps), self._period)
        synchronise(self._device)
        return time.perf_counter() - started

    def follow(self) -> float:
        """Do the work after the epochs of one period (LocalDrop shrinks weights in one); returns its seconds."""
        synchronise(self._device)
        started = time.perf_counter()
        for epoch in range(1, self._period + 1):
            self._training.hooks.after_epoch(epoch, self._training.network)
        synchronise(self._device)
        return time.perf_counter() - started

    @property
    def surgery_per_epoch(self) -> float:
        """Mean seconds of the work after an epoch."""
        return statistics.fmean(self.surgery_seconds) / self._period


def _in_turn(sides: Sequence[_Side], number: int) -> Sequence[_Side]:
    """The sides in alternating order, so that not always the same one finds a warm cache."""
    return sides if number % 2 == 0 else sides[::-1]


def _warm_up(sides: Sequence[_Side], steps_per_epoch: int) -> int:
    """Run both with more and more steps; returns the steps of a chunk: enough for CHUNK_SECONDS, at most an epoch's.

    The first step of each does not count: it allocates memory and selects kernels.
    """
    for side in sides:
        side.run(1, place=0.5)
        side.follow()
    num_steps = 1
    while True:
        seconds = min([side.run(num_steps, place=0.5) for side in sides])
        if seconds >= CHUNK_SECONDS or num_steps >= steps_per_epoch:
            return num_steps
        num_steps = min(2 * num_steps, steps_per_epoch)


def period_steps(training: Training) -> int:
    """Steps after which the work repeats, at most MAX_PERIOD_STEPS and at most those of the training."""
    return min(training.hooks.period_steps(), MAX_PERIOD_STEPS, training.protocol.epochs * len(training.batches))


def _whole_periods(num_steps: int, training: Training) -> int:
    """The number of steps rounded up to whole periods, so that work in every n-th step has its share."""
    period = period_steps(training)
    return -(-num_steps // period) * period


def _most_epochs(num_epochs: int) -> int:
    """How many epochs are timed at most."""
    return max(num_epochs - 1, MIN_CHUNKS)


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
