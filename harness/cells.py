"""The cells of a plan, one regularizer on one task each, and checks of the entries that other packages bring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from harness.contestants import Contestant
from harness.errors import BadInput
from harness.provenance import code_hash
from harness.records import Scalar, Scale
from search_spaces.space import Space
from tasks.experiments import TASKS
from tasks.lookup import task_of
from tasks.regularizers import REGULARIZERS
from tasks.suites import Point, Suite
from tasks.table import BrokenEntryError, described
from tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One regularizer on one task."""

    task_name: str
    regularizer: str
    scale: Scale
    skip_reason: str | None = None
    note: str | None = None  # what a reader of its results should know
    is_timed: bool = False
    definition: str = ""  # text of the task, if a campaign's file defines it
    points: tuple[Point, ...] = ({},)  # overrides of its default trials; {} is the paper's hyperparameters

    @property
    def task(self) -> Task:
        """The task of that name."""
        return task_of(self.task_name, self.definition)

    @property
    def contestant(self) -> Contestant:
        """The regularizer or combination of that name."""
        return Contestant(self.regularizer)

    @property
    def space(self) -> Space:
        """The search space of the cell's study."""
        return self.contestant.space(self.task, self.scale)


def usable_cells(
    suite: Suite, pairs: Sequence[tuple[str, str]], scale: Scale, only: Sequence[str]
) -> tuple[list[Cell], list[str]]:
    """The cells that can be planned, and a message for each entry of another package that cannot be used.

    Raises:
        BadInput: if a regularizer refuses a value of the suite's grid.
        BrokenEntryError: if such an entry is named in `only`, or if no cell is left.
    """
    cells: list[Cell] = []
    errors: list[BrokenEntryError] = []
    kinds: dict[str, tuple[str, str]] = {}  # hyperparameter -> kind of its values, first contestant with it
    for task, name in pairs:
        try:
            cells.append(_cell(suite, task, name, scale))
            _check_kinds(name, kinds)
        except BrokenEntryError as error:
            if task in only or name in only:
                raise
            cells = [cell for cell in cells if (cell.task_name, cell.regularizer) != (task, name)]
            errors.append(error)
    if errors and not cells:
        raise errors[0]
    notices = TASKS.notices(dict.fromkeys(task for task, _ in pairs if task not in suite.definitions))
    notices += REGULARIZERS.notices(dict.fromkeys(part for _, name in pairs for part in name.split("+")))
    return cells, [*dict.fromkeys(map(str, errors)), *notices]


def _cell(suite: Suite, task_name: str, regularizer: str, scale: Scale) -> Cell:
    """One cell of the suite.

    Raises:
        BadInput: if the regularizer refuses a value of the suite's grid.
        BrokenEntryError: if the task or the regularizer comes from another package and cannot be used.
    """
    definition = suite.definitions.get(task_name, "")
    task, contestant = task_of(task_name, definition), Contestant(regularizer)
    points = suite.points(task_name, regularizer)
    if not definition and task_name not in TASKS.own:
        _check_task(task_name, scale)
    foreign_parts = [part for part in contestant.parts if part not in REGULARIZERS.own]
    try:
        resolved = [contestant.resolve(task, scale, point) for point in points]
        reason = contestant.skip_reason(task, scale)
        if reason is None:
            _check_points(contestant, resolved)
        note = contestant.idle_reason(task, scale) if reason is None else None
        contestant.space(task, scale)
        cell_code_hash(task_name, regularizer, definition)
    except (BrokenEntryError, BadInput):
        raise
    except Exception as error:
        if foreign_parts:
            raise REGULARIZERS.broken(foreign_parts[0], f"on {task_name} it raises {described(error)}") from error
        if not isinstance(error, ValueError):
            raise
        raise BadInput(str(error)) from error
    return Cell(
        task_name=task_name,
        regularizer=regularizer,
        scale=scale,
        skip_reason=reason,
        note=note,
        is_timed=task_name in suite.timing_tasks,
        definition=definition,
        points=points,
    )


def _check_points(contestant: Contestant, points: Sequence[Mapping[str, Scalar]]) -> None:
    """Build the regularizers at each point of a grid: a value that they refuse would make every trial there fail.

    Raises:
        BadInput: if they refuse one.
    """
    for point in points:
        try:
            contestant.build(point)
        except ValueError as error:
            raise BadInput(str(error)) from error


@cache
def _check_task(name: str, scale: Scale) -> None:
    """Call everything that planning needs of a task from another package.

    Raises:
        BrokenEntryError: if the task raises an exception, or its learning rate or epochs are not allowed.
    """
    task = TASKS[name]
    try:
        learning_rate, epochs = task.default_learning_rate(scale), task.epochs(scale)
        task.switches(scale)
        task.validation_fraction(scale)
        task.example_network()
        shared_code_hash(name)
    except Exception as error:
        raise TASKS.broken(
            name, f"asked for its learning rate, epochs or network it raises {described(error)}"
        ) from error
    if not (isinstance(learning_rate, int | float) and 0 < learning_rate < math.inf):
        raise TASKS.broken(name, f"its learning rate at {scale} must be a positive number, got {learning_rate!r}")
    if not (type(epochs) is int and epochs >= 1):
        raise TASKS.broken(name, f"its epochs at {scale} must be a whole number of at least 1, got {epochs!r}")


def _check_kinds(name: str, kinds: dict[str, tuple[str, str]]) -> None:
    """Check that each column of hyperparameters holds one kind of value; add this contestant's columns to `kinds`.

    Raises:
        BrokenEntryError: if a field of another package's regularizer would mix, say, text and numbers in a column.
    """
    mine = Contestant(name).kinds
    for key, kind in mine.items():
        known, owner = kinds.get(key, (kind, name))
        if known != kind:
            part = next(part for part in name.split("+") if part not in REGULARIZERS.own)
            raise REGULARIZERS.broken(
                part, f"its field {key!r} holds {kind}, and that of {owner} holds {known}, in one column of all rows"
            )
    kinds.update({key: (kind, name) for key, kind in mine.items() if key not in kinds})


@cache
def cell_code_hash(task_name: str, regularizer: str, definition: str = "") -> str:
    """Hash of all code that the trials of a cell use: the column `code_hash`."""
    return code_hash(task_name, Contestant(regularizer).parts, definition)


@cache
def shared_code_hash(task_name: str, definition: str = "") -> str:
    """Hash of the code that all contestants on a task use: the column `shared_code_hash`."""
    return code_hash(task_name, (), definition)
