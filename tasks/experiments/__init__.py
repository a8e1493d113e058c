"""Experiments: one folder per paper or collection, with its protocols, tasks and suites, and the tables of them all.

The `__init__` of each folder holds two tables, TASKS and SUITES: name -> "module:constant". A new folder is one more
entry of `COLLECTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.experiments import arena, demos, distortion, leaderboard, localdrop, structured, thesis
from tasks.table import Table

if TYPE_CHECKING:
    from tasks.suites import Suite
    from tasks.task import Task

COLLECTIONS = (arena, demos, localdrop, distortion, leaderboard, structured, thesis)

TASKS: Table[Task] = Table(
    "task",
    "regarena.tasks",
    {name: target for collection in COLLECTIONS for name, target in collection.TASKS.items()},
    fault_of="tasks.examination:fault_of_task",
)
SUITES: Table[Suite] = Table(
    "suite",
    "regarena.suites",
    {name: target for collection in COLLECTIONS for name, target in collection.SUITES.items()}
    | {"theory": "tasks.experiments.theory_suite:THEORY"},
    fault_of="tasks.examination:fault_of_suite",
)
