"""What trials cost: from a training's workload and what its parts take to seconds, and from those to hours. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.records import Role
from harness.times.timing import MAX_PERIOD_EPOCHS, expected_seconds
from tasks.workload import Workload

Seconds = Mapping[Role, float]  # of one trial of each role
Counts = Mapping[Role, int]  # of trials of each role

ALONE = "Calibrations and timing trials have the machine to themselves; trials that share it may take longer."
FORWARD_SHARE = 1 / 3  # of a training step: backward takes about twice the operations of forward


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the parts of one training take on one machine.

    A step's seconds count per sample, so that they hold for other batch sizes and scales of the same task; what is done
    once per step (the optimizer, a penalty on the weights) is then counted as if it grew with the batch.
    """

    seconds_per_sample: float  # of a step, over its batch size
    seconds_per_evaluated: float = 0.0  # per sample, as `Workload` counts them
    surgery_seconds: float = 0.0  # of all that follows the epochs of one period, where it is not in the steps' seconds
    period_epochs: int = 1
    setup_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds of one trial of a cell by role, where they are from, and what to bear in mind, in whole sentences.

    `gpu_fraction` is the share of a GPU that the trials had which tell this, if those were of other hardware.
    """

    seconds: Seconds
    source: str
    caveats: tuple[str, ...] = ()
    gpu_fraction: float | None = None


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
    """Of so many trials of each role, one after the other."""
    return sum(count * seconds[role] for role, count in counts.items())


def gpu_seconds(counts: Counts, seconds: Seconds, gpu_fraction: float) -> float:
    """GPU-seconds: a trial takes its share of a GPU, a timing trial all of it."""
    timing = counts.get("timing", 0) * seconds["timing"]
    return gpu_fraction * (total_seconds(counts, seconds) - timing) + timing


def wall_seconds(cells: Iterable[tuple[Counts, Seconds]], num_workers: int, tune_width: int = 1) -> float:
    """By the clock, with so many trials at once: no less than the longest cell, and timing trials one by one.

    Of the tune trials of a cell at most `tune_width` run at once, and its confirm trials wait for them, whatever the
    number of workers. (The first ones, which wait for nothing, count as if they did.)
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
