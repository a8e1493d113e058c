"""The table of `regarena plan`: done, missing and failed trials of each cell, and how long the rest may take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from harness.campaign import plan_campaign, store_of
from harness.cells import Cell
from harness.errors import BadInput
from harness.execution import Execution, placed
from harness.plan import Plan
from harness.records import ROLES, Role, TrialSpec
from harness.records.folders import TRIALS
from harness.request import Request
from harness.results.differences import differences_from_sources
from harness.results.store import Store
from harness.results.trial_summary import Proposals, TrialSummary
from harness.schedule import CellProgress
from harness.times.cost import Counts
from harness.times.decoding import decoding_of
from harness.times.forecast import cost_columns, forecast_of, totals
from harness.times.gpu_input_warning import gpu_input_warning, may_have_a_gpu
from harness.times.known_times import read_times
from harness.workers.gpu_shares import num_held
from harness.workers.processors import trials_at_once
from tasks.errors import DataError

UNUSED = "stored rows are of other code, settings or scale, or of an earlier winner"


def plan_table(request: Request, timings: Sequence[str] = (), calibrate: bool = False) -> tuple[Any, list[str]]:
    """A frame with one row per cell, and sentences about the whole. Creates nothing and runs no trial.

    Args:
        request: the request that `run` would get.
        timings: further results folders, whose rows are used to estimate times.
        calibrate: for cells without such rows, time some training steps on made-up data; where images would be decoded
            for a GPU, also time their decoding.

    Raises:
        BadInput: for a request that `run` would refuse, and for a folder of timings that has no rows.
    """
    import pandas as pd

    store = store_of(request)
    plan = plan_campaign(request, store)
    stored: dict[tuple[str, str], dict[str, TrialSummary]] = defaultdict(dict)
    for trial_id, done in store.finished(set_aside=False).items():
        stored[done.task, done.regularizer][trial_id] = done
    execution = placed(request.execution, request.cluster.gpus_per_trial)
    times = read_times([store, *map(_with_rows, timings)])
    workers = _num_workers(request, execution)
    rows, forecasts = [], []
    for cell in plan.cells:
        if cell.skip_reason is not None:
            rows.append(_skipped_row(cell))
            continue
        counts, missing, why = _counts(plan, cell, stored[cell.task_name, cell.regularizer], store.proposals)
        try:
            forecasts.append(forecast_of(plan, cell, missing, times, execution, calibrate))
        except DataError as error:
            raise BadInput(str(error)) from error
        why = "; ".join(filter(None, [why, cell.note]))
        rows.append({**_names(cell), **counts, **cost_columns(forecasts[-1], execution), "why": why})
    notes = [f"{name} is damaged: its trials will run again." for name in dict.fromkeys(store.damaged)]
    if unused := sum(row["unused"] for row in rows):
        notes.append(f"{unused} {UNUSED}: this plan does not use them.")
    notes += [*plan.left_out, *differences_from_sources(plan, store, execution)]
    notes += _notes_on_epochs(plan)
    notes += totals(forecasts, execution, workers, plan.budget.tune_width)
    if any(cell.task.needs_data and not execution.data_folder_of(cell.task_name) for cell in plan.running_cells):
        notes.append("`run` needs --data DIR here: some of the data sets are read from files.")
    if may_have_a_gpu(request):
        notes += [decoding.sentence() for decoding in decoding_of(plan, forecasts, execution, calibrate)]
    return pd.DataFrame(rows), [*notes, *filter(None, [gpu_input_warning(plan, request)])]


def _notes_on_epochs(plan: Plan) -> list[str]:
    """A sentence on how many tune trials a budget in epochs holds; none without one."""
    if not plan.budget.tune_epochs:
        return []
    budgets = [plan.search_budget(cell) for cell in plan.running_cells]
    least, most = [each.num_trials(0) for each in budgets], [each.most_trials for each in budgets]
    return [
        f"The tune trials of a cell take at most {plan.budget.tune_epochs:,} epochs: {_range(least)} trials if none "
        f"ends early, as counted here, and never more than {_range(most)}."
    ]


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _with_rows(location: str) -> Store:
    store = Store(location)
    if not store.files(TRIALS):
        raise BadInput(f"--timings must be a results folder with rows below {TRIALS}/, got {location}.")
    return store


def _num_workers(request: Request, execution: Execution) -> int:
    """How many trials run at once: the requested number, or else as many as `run` would start on this machine."""
    if request.serial:
        return 1
    if request.cluster.max_workers is not None:  # may be meant for a cluster
        return request.cluster.max_workers
    by_cpu = trials_at_once(request.cluster.cpus_per_trial)
    if execution.device == "cpu":
        return by_cpu
    import torch

    return max(1, min(by_cpu, num_held(torch.cuda.device_count(), execution.gpu_fraction)))


def _skipped_row(cell: Cell) -> dict[str, Any]:
    counts = dict.fromkeys(("trials", "done", "failed", "missing", "unused"), 0)
    return {**_names(cell), **counts, "hours": 0.0, "why": cell.skip_reason}


def _names(cell: Cell) -> dict[str, Any]:
    return {
        "task": cell.task_name,
        "architecture": cell.task.architecture,
        "regularizer": cell.regularizer,
        "scale": cell.scale,
    }


def _counts(
    plan: Plan, cell: Cell, stored: Mapping[str, TrialSummary], proposals: Proposals
) -> tuple[dict[str, Any], Counts, str]:
    """The columns that count a cell's trials, the missing trials by role, and these in words; `stored` are its own."""
    progress = CellProgress(plan, cell, stored, proposals=proposals)
    known = {**progress.needed_ids(), **{spec.trial_id: spec for spec in plan.timing_specs([cell])}}
    done = [stored[trial_id] for trial_id in known if trial_id in stored]
    missing = _missing(plan, progress, known.values(), stored)
    unused = len(stored) - len(done)
    counts = {
        "trials": progress.num_trials,
        "done": len(done),
        "failed": sum(finished.is_failure for finished in done),
        "missing": sum(missing.values()),
        "unused": unused,
    }
    return counts, missing, _why(missing, unused)


def _missing(
    plan: Plan, progress: CellProgress, known: Iterable[TrialSpec], stored: Mapping[str, TrialSummary]
) -> dict[Role, int]:
    """Number of trials still to run, by role; confirm trials that wait for the end of tuning are included."""
    roles = [spec.role for spec in known if spec.trial_id not in stored]
    num_tune = progress.num_tune_left
    return {
        "default": roles.count("default"),
        "tune": num_tune,
        "confirm": plan.num_confirm(progress.cell) if num_tune else roles.count("confirm"),
        "timing": roles.count("timing"),
    }


def _why(missing: Counts, unused: int) -> str:
    """The missing trials in words; if there are any, also the stored rows that the plan does not use."""
    parts = [f"{missing[role]} {role}" for role in cast(tuple[Role, ...], ROLES) if missing[role]]
    return "; ".join(parts) + (f" ({unused} {UNUSED})" if parts and unused else "")
