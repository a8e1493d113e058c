"""Estimates of trial times from stored rows: of the same cell and scale first, then timing rows, then other scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.cells import Cell
from harness.provenance import is_of_gpu
from harness.records import METRIC_PREFIX, SUCCESSES, Role
from harness.results.store import Store
from harness.times.cost import ALONE, FORWARD_SHARE, Estimate, Rates, seconds_by_role
from tasks.task import Task
from tasks.workload import Workload

OTHER_SCALE = (
    "Some times are from another scale, per sample: the work after an epoch (weight surgery) that they contain may "
    "have another share at this one."
)
ELSEWHERE = "Some times are from other hardware, which --cells names: they say little about this machine."
_TWIN = f"{METRIC_PREFIX}twin_seconds_per_step"
COLUMNS = (
    "trial_id", "task", "regularizer", "scale", "role", "status", "hardware_key", "switches", "train_seconds",
    "evaluation_seconds", "setup_seconds", "seconds_per_step", "samples_per_second", "gpu_fraction", _TWIN,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KnownTime:
    """The times of one trial that succeeded."""

    task: str
    regularizer: str
    scale: str
    role: Role
    hardware_key: str
    switches: str  # how steps were executed, "" for as the protocol says
    train_seconds: float
    evaluation_seconds: float
    setup_seconds: float
    seconds_per_sample: float
    twin_seconds_per_sample: float | None
    gpu_fraction: float  # 0 on a processor

    @property
    def cell(self) -> tuple[str, str]:
        """(task, regularizer)."""
        return (self.task, self.regularizer)


def read_times(stores: Iterable[Store]) -> list[KnownTime]:
    """The times of all successful trials in these folders, each trial once for each hardware that it ran on."""
    rows = {(row["trial_id"], row["hardware_key"]): row for store in stores for row in store.rows(COLUMNS)}
    return [_known(row) for row in rows.values() if row["status"] in SUCCESSES and row["samples_per_second"]]


def estimate_from(
    times: Sequence[KnownTime], cell: Cell, hardware_key: str, data_dir: Path | None = None
) -> Estimate | None:
    """An estimate from trials on this hardware: the cell's at its scale, else timing rows, else other scales."""
    here = [time for time in times if time.hardware_key == hardware_key and time.task == cell.task_name]
    mine = [time for time in here if time.regularizer == cell.regularizer]
    own = [time for time in mine if time.scale == cell.scale and time.role != "timing"]
    workload = cell.task.workload(cell.scale, data_dir)
    if own:
        return Estimate(
            seconds=_seconds_of(own, workload), source=f"{_number(own)} of this cell", samples_per_second=_speed(own)
        )
    if workload is None:
        return None
    timing = [time for time in mine if time.role == "timing"]
    if timing:
        rates = _rates(timing, _evaluation_rate(cell.task, here, timing, data_dir))
        source = f"{_number(timing)} of role timing"
        return Estimate(
            seconds=seconds_by_role(workload, rates),
            source=source,
            caveats=(ALONE, *_of_other_scale(timing, cell)),
            samples_per_second=_speed(timing),
        )
    if not mine:
        return None
    rates = _rates(mine, _evaluation_rate(cell.task, mine, mine, data_dir))
    scales = ", ".join(sorted({time.scale for time in mine}))
    source = f"{_number(mine)} at scale {scales}"
    return Estimate(
        seconds=seconds_by_role(workload, rates),
        source=source,
        caveats=_of_other_scale(mine, cell),
        samples_per_second=_speed(mine),
    )


def estimate_elsewhere(
    times: Sequence[KnownTime], cell: Cell, hardware_key: str, data_dir: Path | None = None
) -> Estimate | None:
    """An estimate from trials on other hardware: on that with most rows of the cell, if they give one."""
    counts = Counter(time.hardware_key for time in times if time.cell == (cell.task_name, cell.regularizer))
    for other, _ in counts.most_common():
        known = None if other == hardware_key else estimate_from(times, cell, other, data_dir)
        if known is not None:
            source = f"{known.source}, on other hardware: {other}"
            return replace(known, source=source, caveats=(*known.caveats, ELSEWHERE), gpu_fraction=_share(times, other))
    return None


def _share(times: Sequence[KnownTime], hardware_key: str) -> float:
    """Mean share of a GPU that trials had on this hardware; timing trials count only if there are no others."""
    there = [time for time in times if time.hardware_key == hardware_key]
    trials = [time.gpu_fraction for time in there if time.role != "timing"]
    return fmean(trials or [time.gpu_fraction for time in there])


def _of_other_scale(times: Sequence[KnownTime], cell: Cell) -> tuple[str, ...]:
    return (OTHER_SCALE,) if any(time.scale != cell.scale for time in times) else ()


def _known(row: dict[str, Any]) -> KnownTime:
    twin, own = row[_TWIN], row["seconds_per_step"]
    per_sample = 1 / row["samples_per_second"]
    return KnownTime(
        task=row["task"],
        regularizer=row["regularizer"],
        scale=row["scale"],
        role=row["role"],
        hardware_key=row["hardware_key"] or "",
        switches=row["switches"] or "",
        train_seconds=row["train_seconds"] or 0.0,
        evaluation_seconds=row["evaluation_seconds"] or 0.0,
        setup_seconds=(row["setup_seconds"] or 0.0)
        / (2 if row["role"] == "timing" else 1),  # a timing trial sets up two trainings
        seconds_per_sample=per_sample,
        twin_seconds_per_sample=twin / own * per_sample if twin and own else None,
        gpu_fraction=(row["gpu_fraction"] or 1.0) if is_of_gpu(row["hardware_key"] or "") else 0.0,
    )


def _seconds_of(own: Sequence[KnownTime], workload: Workload | None) -> dict[Role, float]:
    """Mean seconds of trials of the same cell and scale by role; evaluation is scaled to the splits that a role sees.

    A training that stopped early counts with the time that it took.
    """
    setup, train = fmean(time.setup_seconds for time in own), fmean(time.train_seconds for time in own)
    seen, unseen = (1, 1) if workload is None else (workload.num_evaluated(True), workload.num_evaluated(False))
    evaluation = fmean(time.evaluation_seconds / (unseen if time.role == "tune" else seen) for time in own)
    whole = setup + train + evaluation * seen
    timing = 2 * (setup + train)  # if the time of a step is unknown
    if workload is not None:
        timing = seconds_by_role(workload, _rates(own, 0.0))["timing"]
    return {"default": whole, "confirm": whole, "tune": setup + train + evaluation * unseen, "timing": timing}


def _speed(times: Sequence[KnownTime]) -> float:
    """Samples a second of training steps."""
    return 1 / fmean(time.seconds_per_sample for time in times)


def _rates(times: Sequence[KnownTime], seconds_per_evaluated: float) -> Rates:
    return Rates(
        seconds_per_sample=fmean(time.seconds_per_sample for time in times),
        seconds_per_evaluated=seconds_per_evaluated,
        setup_seconds=fmean(time.setup_seconds for time in times),
    )


def _evaluation_rate(
    task: Task, evaluated: Sequence[KnownTime], timed: Sequence[KnownTime], data_dir: Path | None
) -> float:
    """Seconds per evaluated sample: as measured, or else FORWARD_SHARE of an unregularized training step."""
    measured = []
    for time in evaluated:
        workload = task.workload(time.scale, data_dir)
        if workload is not None and time.role != "timing" and time.evaluation_seconds:
            measured.append(time.evaluation_seconds / workload.num_evaluated(time.role != "tune"))
    if measured:
        return fmean(measured)
    return FORWARD_SHARE * fmean(time.twin_seconds_per_sample or time.seconds_per_sample for time in timed)


def _number(times: Sequence[KnownTime]) -> str:
    return "1 trial" if len(times) == 1 else f"{len(times)} trials"
