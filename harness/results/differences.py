"""How the trials of other folders (`regarena run --from`) differ from those that a run would add to them.

Tables compare only rows with equal data, code of the task, switches and budgets (`analysis.rows.comparable`). The user
is told of differences before the run, since trials may take hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.cells import shared_code_hash
from harness.execution import Execution
from harness.plan import Plan
from harness.records.folders import Folder
from harness.results.campaign_file import read_campaign
from harness.results.store import Store

_COLUMNS = ("task", "scale", "role", "status", "shared_code_hash", "dataset_fingerprint")
_BUDGET = {
    "tune_trials": "{} tune trials",
    "tune_epochs": "{} tune epochs",
    "seeds": "{} seeds",
    "splits": "{} split(s)",
    "seed": "the campaign's seed {}",
}


def differences_from_sources(plan: Plan, store: Store, execution: Execution) -> list[str]:
    """A sentence for each kind of difference, with the names of the tasks.

    Raises:
        BadInput: if the rows of a source cannot be read.
    """
    return [sentence for source in store.sources for sentence in _differences(plan, source, execution)]


def _differences(plan: Plan, source: Folder, execution: Execution) -> Iterator[str]:
    store = Store(source.name)
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in store.rows(_COLUMNS):
        if row["scale"] == plan.budget.scale and row["role"] != "timing" and row["status"] != "skipped":
            rows[row["task"]].append(row)
    tasks = {cell.task_name: cell for cell in plan.running_cells}
    unlike: dict[str, list[str]] = defaultdict(list)
    for name, cell in tasks.items():
        if not rows[name]:
            unlike["no trials"].append(name)
            continue
        if shared_code_hash(name, cell.definition) not in _values(rows[name], "shared_code_hash"):
            unlike["other code of the task"].append(name)
        known = _values(rows[name], "dataset_fingerprint")
        folder = execution.data_folder_of(name)
        if cell.task.needs_data and folder is None:
            continue
        if known and cell.task.dataset_fingerprint(folder.absolute() if folder else None) not in known:
            unlike["other data"].append(name)
    for what, where in unlike.items():
        yield f"{source.name} has {what} for {', '.join(where)}: trials of this run on these are not compared with it."
    yield from _other_budgets(plan, source.name, store)


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> set[Any]:
    return {row[column] for row in rows if row[column]}


def _other_budgets(plan: Plan, name: str, store: Store) -> Iterator[str]:
    campaign = read_campaign(store)
    if campaign is None or not campaign["requests"]:
        return
    last = {"tune_epochs": 0, **campaign["requests"][-1]}  # older versions had no budgets in epochs
    theirs = {field: last[field] for field in _BUDGET if field in last and last[field] != getattr(plan.budget, field)}
    if theirs:
        there = ", ".join(_BUDGET[field].format(value) for field, value in theirs.items())
        here = ", ".join(_BUDGET[field].format(getattr(plan.budget, field)) for field in theirs)
        yield f"{name} was run with {there}, this run has {here}: contestants with unequal budgets are ranked apart."
