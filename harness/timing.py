"""Timing: a training and its unregularized twin, epoch by epoch in turn, so that a ratio is of one time and place."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from tasks.training import Training

WARM_UP_EPOCHS = 1
MIN_TIMED_EPOCHS = 6
MIN_TIMED_SECONDS = 1.5  # of each of the two, so that one disturbance does not decide


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Medians over the timed epochs; a step's share of what follows each epoch (weight surgery) is included."""

    seconds_per_step: float
    twin_seconds_per_step: float
    total_seconds: float
    num_epochs: int


def time_steps(regularized: Training, twin: Training, device: torch.device) -> Timed:
    """Run both in turn, after a warm-up, until each has been timed long enough.

    Evaluation and preparation are left out. What happens after an epoch may happen in some epochs only (every m-th, in
    LocalDrop), so its seconds are averaged, while those of the steps are medians.
    """
    planned = max(regularized.protocol.epochs, WARM_UP_EPOCHS + MIN_TIMED_EPOCHS)
    steps: tuple[list[float], list[float]] = ([], [])
    surgery: tuple[list[float], list[float]] = ([], [])
    for epoch in range(1, planned + 1):
        order = (0, 1) if epoch % 2 else (1, 0)  # who goes first alternates, lest one always finds a warmer cache
        for which in order:
            training = (regularized, twin)[which]
            step_seconds, surgery_seconds = _time_epoch(training, epoch, device)
            if epoch > WARM_UP_EPOCHS:
                steps[which].append(step_seconds / len(training.batches))
                surgery[which].append(surgery_seconds / len(training.batches))
        enough = sum(steps[1]) * len(twin.batches) >= MIN_TIMED_SECONDS
        if enough and len(steps[1]) >= MIN_TIMED_EPOCHS and epoch >= WARM_UP_EPOCHS + MIN_TIMED_EPOCHS:
            break
    seconds = [statistics.median(steps[which]) + statistics.fmean(surgery[which]) for which in (0, 1)]
    return Timed(
        seconds_per_step=seconds[0],
        twin_seconds_per_step=seconds[1],
        total_seconds=(sum(steps[0]) + sum(surgery[0])) * len(regularized.batches),
        num_epochs=len(steps[0]),
    )


def _time_epoch(training: Training, epoch: int, device: torch.device) -> tuple[float, float]:
    synchronise(device)
    started = time.perf_counter()
    training.run_epoch(epoch)
    synchronise(device)
    between = time.perf_counter()
    training.hooks.after_epoch(epoch, training.network)
    synchronise(device)
    return between - started, time.perf_counter() - between


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
