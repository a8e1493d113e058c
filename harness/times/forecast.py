"""How long the missing trials of a cell, and of all cells, may take, by the best source there is, with caveats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.cells import Cell
from harness.execution import Execution
from harness.plan import Plan
from harness.provenance import hardware_key
from harness.terminal.durations import in_words
from harness.times.calibration import estimate_by_calibration
from harness.times.cost import Counts, Estimate, gpu_seconds, total_seconds, wall_seconds
from harness.times.known_times import KnownTime, estimate_elsewhere, estimate_from

SECONDS_PER_HOUR = 3600.0
_MAX_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One running cell: its missing trials, and the time of one trial where it is known."""

    cell: Cell
    missing: Counts
    estimate: Estimate | None
    problem: str = ""  # the error of a calibration that failed

    @property
    def num_missing(self) -> int:
        """Trials of all roles."""
        return sum(self.missing.values())


def forecast_of(
    plan: Plan, cell: Cell, missing: Counts, times: Sequence[KnownTime], execution: Execution, calibrate: bool
) -> Forecast:
    """The forecast from the best source there is: rows of this hardware, else a calibration, else rows of others."""
    here = hardware_key(execution.device, execution.cpu_threads)
    switches = plan.spec(cell, "default", 0, cell.points[0]).switches
    times = [time for time in times if time.switches == switches]
    data_dir = execution.data_folder_of(cell.task_name)
    estimate, problem = estimate_from(times, cell, here, data_dir), ""
    if estimate is None and calibrate and any(missing.values()):
        try:
            estimate = estimate_by_calibration(cell, execution, plan.switches_of(cell))
        except Exception as error:  # a contestant at fault must not keep the others from being planned
            problem = f"its calibration failed ({type(error).__name__}: {error})"
    estimate = estimate or estimate_elsewhere(times, cell, here, data_dir)
    return Forecast(cell=cell, missing=missing, estimate=estimate, problem=problem)


def cost_columns(forecast: Forecast, execution: Execution) -> dict[str, Any]:
    """Columns of the plan: mean seconds of a missing trial (if there is none, of a default trial), hours of all."""
    estimate, num_missing = forecast.estimate, forecast.num_missing
    if estimate is None:
        unknown = {"seconds_per_trial": None, "hours": None if num_missing else 0.0}
        gpu = {"gpu_hours": unknown["hours"]} if execution.gpu_fraction else {}
        return {**unknown, **gpu, "estimated_from": forecast.problem or ("nothing is known" if num_missing else "")}
    total = total_seconds(forecast.missing, estimate.seconds)
    share = _gpu_share(estimate, execution)
    gpu_total = gpu_seconds(forecast.missing, estimate.seconds, share)
    return {
        "seconds_per_trial": total / num_missing if num_missing else estimate.seconds["default"],
        "hours": total / SECONDS_PER_HOUR,
        **({"gpu_hours": gpu_total / SECONDS_PER_HOUR} if share else {}),
        "estimated_from": estimate.source,
    }


def totals(forecasts: Sequence[Forecast], execution: Execution, workers: int, tune_width: int = 1) -> list[str]:
    """Sentences on the time of all cells, on unknown times, and on the limits of the estimate."""
    num_missing = sum(forecast.num_missing for forecast in forecasts)
    notes = [f"{num_missing} trial(s) would run."]
    unknown = [each for each in forecasts if each.estimate is None and each.num_missing]
    known = [(each.missing, each.estimate.seconds) for each in forecasts if each.estimate is not None]
    if not num_missing:
        return notes
    if known:
        total = sum(total_seconds(counts, seconds) for counts, seconds in known)
        words = "At least" if unknown else "About"
        wall = in_words(wall_seconds(known, workers, tune_width))
        notes.append(
            f"{words} {in_words(total)} of one worker, or {wall} with {workers} at once, on "
            f"{hardware_key(execution.device, execution.cpu_threads)}."
        )
    shares = [(each, _gpu_share(each.estimate, execution)) for each in forecasts if each.estimate is not None]
    on_gpu = [
        (share, gpu_seconds(each.missing, each.estimate.seconds, share))
        for each, share in shares
        if share and each.estimate is not None
    ]
    if on_gpu:
        parts = " or ".join(dict.fromkeys(f"{share:g}" for share, _ in on_gpu))
        of_all = words if len(on_gpu) == len(shares) else "At least"
        time = in_words(sum(seconds for _, seconds in on_gpu))
        notes.append(f"{of_all} {time} of a GPU: a trial takes {parts} of one.")
    if unknown:
        names = ", ".join(f"{each.cell.regularizer} on {each.cell.task_name}" for each in unknown[:_MAX_NAMED])
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        notes.append(
            f"The time of {len(unknown)} cell(s) is unknown: {names}{more}. --calibrate times some steps of each here, "
            "--timings DIR uses the rows of another campaign."
        )
    caveats = [caveat for each in forecasts if each.estimate and each.num_missing for caveat in each.estimate.caveats]
    return [*notes, *dict.fromkeys(caveats)]


def _gpu_share(estimate: Estimate, execution: Execution) -> float:
    """The share of a GPU that a trial takes: here, or on the other hardware that the estimate is based on."""
    return execution.gpu_fraction if estimate.gpu_fraction is None else estimate.gpu_fraction
