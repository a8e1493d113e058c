"""The cost of trials: seconds of one from its workload and the times of its parts, and totals. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.records import Role
from harness.times.timing import MAX_PERIOD_EPOCHS, expected_seconds
from tasks.workload import Workload

Seconds = Mapping[Role, float]  # of one trial of each role
Counts = Mapping[Role, int]  # of trials of each role

ALONE = "Calibrations and timing trials do not share the machine; trials that share it may take longer."
FORWARD_SHARE = 1 / 3  # of a training step: backward takes about twice the operations of forward


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Seconds that the parts of one training take on one machine.

    The time of a step is stored per sample, so that it applies to other batch sizes and scales of the task. Work that
    is done once per step (the optimizer, a penalty on the weights) is then treated as if it grew with the batch.
    """

    seconds_per_sample: float  # of a step, over its batch size
    seconds_per_evaluated: float = 0.0  # per evaluated sample, as `Workload` counts them
    surgery_seconds: float = 0.0  # work after the epochs of one period, if the steps' seconds do not contain it
    period_epochs: int = 1  # epochs after which that work repeats
    setup_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated seconds of one trial of a cell by role, the source of the estimate, and its caveats as sentences.

    `gpu_fraction` is the share of a GPU of the trials that the estimate is based on, if these ran on other hardware.
    """

    seconds: Seconds
    source: str
    caveats: tuple[str, ...] = ()
    gpu_fraction: float | None = None
    samples_per_second: float | None = None  # of training steps, if that is known
    reads_data: bool = True  # whether these steps may have waited for data


def seconds_by_role(workload: Workload, rates: Rates) -> dict[Role, float]:
    """Seconds of one trial of each role; a tune trial does not look at the test split.

    A training that is expected to stop early counts as a whole one.
    """
    step_seconds = rates.seconds_per_sample * workload.batch_size
    surgery_per_epoch = rates.surgery_seconds / min(rates.period_epochs, MAX_PERIOD_EPOCHS)
    training = rates.setup_seconds + workload.num_steps * step_seconds + workload.num_epochs * surgery_per_epoch
    seen, unseen = (workload.num_evaluated(with_test) * rates.seconds_per_evaluated for with_test in (True, False))
    timed = expected_seconds(
        step_seconds, step_seconds, rates.surgery_seconds, workload.num_epochs, workload.steps_per_epoch
    )
    return {
        "default": training + seen,
        "tune": training + unseen,
        "confirm": training + seen,
        "timing": 2 * rates.setup_seconds + timed,
    }


def total_seconds(counts: Counts, seconds: Seconds) -> float:
    """Seconds of these trials, one after the other."""
    return sum(count * seconds[role] for role, count in counts.items())


def gpu_seconds(counts: Counts, seconds: Seconds, gpu_fraction: float) -> float:
    """GPU-seconds of these trials: a trial takes `gpu_fraction` of a GPU, a timing trial a whole one."""
    timing = counts.get("timing", 0) * seconds["timing"]
    return gpu_fraction * (total_seconds(counts, seconds) - timing) + timing


def wall_seconds(cells: Iterable[tuple[Counts, Seconds]], num_workers: int, tune_width: int = 1) -> float:
    """Wall-clock seconds with `num_workers` trials at once, no less than the longest cell. Timing trials run alone.

    At most `tune_width` tune trials of a cell run at once, and its confirm trials wait for them. (The random proposals
    at the start of a search, which wait for nothing, are counted as if they did.)
    """
    shared = timing = longest = 0.0
    for counts, seconds in cells:
        alone = counts.get("timing", 0) * seconds["timing"]
        timing += alone
        shared += total_seconds(counts, seconds) - alone
        longest = max(longest, _chain_seconds(counts, seconds, tune_width))
    return max(shared / num_workers, longest) + timing


def _chain_seconds(counts: Counts, seconds: Seconds, tune_width: int) -> float:
    """The longest sequence of a cell's trials in which each waits for the one before it."""
    tuned = math.ceil(counts.get("tune", 0) / tune_width) * seconds["tune"] + (
        seconds["confirm"] if counts.get("confirm") else 0.0
    )
    return max(tuned, seconds["default"] if counts.get("default") else 0.0)
