"""The laws of suites: all names are known, and a plan can be made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.checks.law import Law
from harness.contestants import Contestant
from harness.errors import BadInput
from harness.plan import Budget, make_plan
from harness.records import SCALES
from tasks.experiments import TASKS
from tasks.suites import Suite


@dataclass(frozen=True)
class CheckedSuite:
    """The subject of these laws: a suite and its name."""

    name: str
    suite: Suite


def knows_every_name_in_it(checked: CheckedSuite) -> Iterator[str]:
    """Every task and every contestant that it names exists."""
    for task, regularizer in checked.suite.cells():
        for look_up in (lambda: TASKS.target(task), lambda: Contestant(regularizer)):  # noqa: B023  # called at once
            try:
                look_up()
            except (KeyError, BadInput) as error:
                yield str(error)


def times_only_tasks_of_its_own(checked: CheckedSuite) -> Iterator[str]:
    """A task in `timing_tasks` that no group has would not be timed."""
    tasks = {task for task, _ in checked.suite.cells()}
    for name in checked.suite.timing_tasks:
        if name not in tasks:
            yield f"timing_tasks names {name!r}, which is not a task of the suite."


def can_be_planned_at_its_own_scale(checked: CheckedSuite) -> Iterator[str]:
    """A plan can be made at its own scale and with its own budgets."""
    suite = checked.suite
    if suite.scale not in SCALES:
        yield f"scale must be one of {', '.join(SCALES)}, got {suite.scale!r}."
        return
    if list(knows_every_name_in_it(checked)):
        return
    try:
        yield from make_plan(checked.name, suite, Budget.of(suite), campaign_id="").left_out
    except BadInput as error:
        yield str(error)


LAWS: tuple[Law[CheckedSuite], ...] = (
    knows_every_name_in_it,
    times_only_tasks_of_its_own,
    can_be_planned_at_its_own_scale,
)
