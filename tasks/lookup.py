"""Looks a task up: by its name in the table, or by the definition that a campaign's file gives it."""

from __future__ import annotations

from tasks.experiments import TASKS
from tasks.task import Task


def task_of(name: str, definition: str = "") -> Task:
    """The task of that name.

    Args:
        name: of a task in TASKS, or of one that a campaign's file defines.
        definition: the text of `tasks.own.definition.Definition`; "" for a task in TASKS.
    """
    if not definition:
        return TASKS[name]
    from tasks.own.task import own_task

    return own_task(definition)
