"""What `regarena plan` shows: for each cell what is done, missing and failed, and how long the rest may take."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from harness.campaign import Request, plan_campaign
from harness.plan import Cell, Plan
from harness.records import SUCCESSES, TrialSpec
from harness.schedule import CellProgress
from harness.store import Finished, Store

SECONDS_PER_HOUR = 3600.0


def overview(request: Request) -> tuple[Any, list[str]]:
    """A frame with one row per cell, and sentences about the whole."""
    import pandas as pd

    store = Store(request.results)
    plan = plan_campaign(request, store)
    stored = store.finished(set_aside=False)
    rows = [_row(plan, cell, stored) for cell in plan.cells]
    missing = sum(row["missing"] for row in rows)
    notes = [f"{name} is damaged: its trials would run again." for name in store.damaged]
    notes.append(f"{missing} trial(s) would run.")
    hours = [row["hours"] for row in rows if row["missing"]]
    if missing and None not in hours:
        notes.append(f"About {sum(hours):.2g} hours of one worker, from the trials of each cell that have run.")
    elif missing:
        notes.append("No estimate of the time: some cells have no finished trial yet to learn from.")
    return pd.DataFrame(rows), notes


def _row(plan: Plan, cell: Cell, stored: Mapping[str, Finished]) -> dict[str, Any]:
    row: dict[str, Any] = {"task": cell.task_name, "regularizer": cell.regularizer, "scale": cell.scale}
    if cell.skip_reason is not None:
        return {**row, "trials": 0, "done": 0, "failed": 0, "missing": 0, "hours": None, "why": cell.skip_reason}
    progress = CellProgress(plan, cell, stored)
    known = progress.needed_ids()
    timing = {spec.trial_id: spec for spec in plan.timing_specs() if spec.cell == (cell.task_name, cell.regularizer)}
    done = [stored[trial_id] for trial_id in {**known, **timing} if trial_id in stored]
    missing = max(plan.num_trials(cell) - len(done), 0)
    seconds = [finished.seconds for finished in done if finished.status in SUCCESSES]
    hours = statistics.fmean(seconds) * missing / SECONDS_PER_HOUR if seconds else None
    return {
        **row,
        "trials": plan.num_trials(cell),
        "done": len(done),
        "failed": sum(finished.status not in SUCCESSES for finished in done),
        "missing": missing,
        "hours": hours,
        "why": _why({**known, **timing}.values(), stored, progress, plan),
    }


def _why(specs: Iterable[TrialSpec], stored: Mapping[str, Finished], progress: CellProgress, plan: Plan) -> str:
    """Which roles are missing, in words; rows of older code are named as what they are."""
    missing = [spec.role for spec in specs if spec.trial_id not in stored and spec.role in ("default", "timing")]
    parts = [f"{missing.count(role)} {role}" for role in ("default", "timing") if role in missing]
    num_tune = plan.budget.tune_trials - progress.num_tuned
    if num_tune:
        parts.append(f"{num_tune} tune, then {plan.budget.seeds} confirm")
    else:
        confirm = [s for s in progress.needed_ids().values() if s.role == "confirm" and s.trial_id not in stored]
        parts += [f"{len(confirm)} confirm"] if confirm else []
    mine = {spec.trial_id for spec in specs}
    cell = (progress.cell.task_name, progress.cell.regularizer)
    old = sum((done.task, done.regularizer) == cell and trial_id not in mine for trial_id, done in stored.items())
    return "; ".join(parts) + (f" ({old} stored rows are of other code, settings or scale)" if parts and old else "")
