"""Suites: named sets of cells with budgets. Pure data; nothing here imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = float | int | str | bool
Grid = Mapping[str, tuple[Scalar, ...]]  # hyperparameters, and the values of each
Point = Mapping[str, Scalar]  # hyperparameters that replace the defaults


@dataclass(frozen=True, kw_only=True)
class Group:
    """Every regularizer of the group on every task of the group, at every point of the grid.

    `grid` names hyperparameters of these regularizers, and the values of each. A cell's default trials run at all
    combinations of these values; without a grid they run at the paper's values.
    """

    tasks: tuple[str, ...]
    regularizers: tuple[str, ...]
    grid: Grid = field(default_factory=dict)

    def points(self) -> list[Point]:
        """The grid's points in order; the last hyperparameter varies fastest.

        >>> Group(tasks=("t",), regularizers=("r",), grid={"h": (1, 2), "m": (5,)}).points()
        [{'h': 1, 'm': 5}, {'h': 2, 'm': 5}]
        """
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A set of cells, and how much is spent on each.

    Every cell, the baseline included, gets `tune_trials` tune trials, or with `tune_trials` 0 as many as `tune_epochs`
    epochs hold. Up to `tune_width` of them run at once (a wider search proposes with fewer known outcomes), and with
    `halving` the worse ones stop early. `seeds` is the number of default trials of a cell (at each point of its grid)
    and of confirm trials; `default_seeds` that of default trials where they are to be fewer. `timing_tasks` are those
    whose cells are timed against the unregularized network, `timing_repeats` times each: at least three, if their
    spread is to be shown. `definitions` has the texts of the tasks that are not in the table but in a campaign's file,
    by name (see `tasks.own.definition`). `tune_trials_at`, `seeds_at` and `timing_repeats_at` map a scale to its number
    where that differs; at a scale of `tune_trials_at` the search is not limited by `tune_epochs`.
    """

    groups: tuple[Group, ...]
    scale: str  # unless --scale says otherwise
    tune_trials: int
    tune_epochs: int = 0
    tune_width: int = 1
    halving: bool = False
    seeds: int = 5
    tune_trials_at: Mapping[str, int] = field(default_factory=dict)
    default_seeds: int | None = None
    seeds_at: Mapping[str, int] = field(default_factory=dict)
    timing_tasks: tuple[str, ...] = ()
    timing_repeats: int = 3
    timing_repeats_at: Mapping[str, int] = field(default_factory=dict)
    source: str = "regarena"
    definitions: Mapping[str, str] = field(default_factory=dict)

    def cells(self) -> list[tuple[str, str]]:
        """(task, regularizer) pairs in order, each once."""
        pairs = [(task, name) for group in self.groups for task in group.tasks for name in group.regularizers]
        return list(dict.fromkeys(pairs))

    def tune_trials_for(self, scale: str) -> int:
        """Tune trials of each cell at `scale`, unless --tune-trials says otherwise."""
        return self.tune_trials_at.get(scale, self.tune_trials)

    def tune_epochs_for(self, scale: str) -> int:
        """Epochs of each cell's tune trials at `scale`, unless --tune-epochs says otherwise; 0: it counts trials."""
        return 0 if scale in self.tune_trials_at else self.tune_epochs

    def seeds_for(self, scale: str) -> int:
        """Trials of each kind at `scale`, unless --seeds says otherwise."""
        return self.seeds_at.get(scale, self.seeds)

    def timing_repeats_for(self, scale: str) -> int:
        """Timing trials of each timed cell at `scale`."""
        return self.timing_repeats_at.get(scale, self.timing_repeats)

    def points(self, task: str, regularizer: str) -> tuple[Point, ...]:
        """The points of a cell's default trials, over all groups with this cell; {} is the paper's values."""
        groups = [group for group in self.groups if task in group.tasks and regularizer in group.regularizers]
        return tuple(point for group in groups for point in group.points()) or ({},)
