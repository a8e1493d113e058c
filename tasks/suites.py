"""Suites: named sets of cells with budgets. Pure data; nothing here imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.table import Table

Scalar = float | int | str | bool
Grid = Mapping[str, tuple[Scalar, ...]]  # hyperparameters, and the values of each
Point = Mapping[str, Scalar]  # hyperparameters that take the place of the defaults


@dataclass(frozen=True, kw_only=True)
class Group:
    """Every regularizer of the group on every task of the group, at every point of the grid.

    `grid` names hyperparameters of these regularizers, and the values of each; a cell's default trials run at all
    combinations of them, in place of the paper's values. Without a grid they run at the paper's values alone.
    """

    tasks: tuple[str, ...]
    regularizers: tuple[str, ...]
    grid: Grid = field(default_factory=dict)

    def points(self) -> list[Point]:
        """The grid's points in order, the last name running fastest.

        >>> Group(tasks=("t",), regularizers=("r",), grid={"h": (1, 2), "m": (5,)}).points()
        [{'h': 1, 'm': 5}, {'h': 2, 'm': 5}]
        """
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A set of cells, and how much is spent on each.

    `tune_trials` are spent on every cell alike, the baseline included; `seeds` is the number of default trials of a
    cell (at each point of its grid) and of confirm trials. `timing_tasks` are those whose cells are timed against their
    twin, `timing_repeats` times each. `tune_trials_at`, `seeds_at` and `timing_repeats_at` are the numbers at scales
    which have others.
    """

    groups: tuple[Group, ...]
    scale: str  # unless --scale says otherwise
    tune_trials: int
    seeds: int = 5
    tune_trials_at: Mapping[str, int] = field(default_factory=dict)
    seeds_at: Mapping[str, int] = field(default_factory=dict)
    timing_tasks: tuple[str, ...] = ()
    timing_repeats: int = 2
    timing_repeats_at: Mapping[str, int] = field(default_factory=dict)
    source: str = field(default="regarena")

    def cells(self) -> list[tuple[str, str]]:
        """(task, regularizer) pairs in order, each once."""
        pairs = [(task, name) for group in self.groups for task in group.tasks for name in group.regularizers]
        return list(dict.fromkeys(pairs))

    def tune_trials_for(self, scale: str) -> int:
        """Tune trials of each cell at `scale`, unless --tune-trials says otherwise."""
        return self.tune_trials_at.get(scale, self.tune_trials)

    def seeds_for(self, scale: str) -> int:
        """Trials of each kind at `scale`, unless --seeds says otherwise."""
        return self.seeds_at.get(scale, self.seeds)

    def timing_repeats_for(self, scale: str) -> int:
        """Timing trials of each timed cell at `scale`."""
        return self.timing_repeats_at.get(scale, self.timing_repeats)

    def points(self, task: str, regularizer: str) -> tuple[Point, ...]:
        """Where the default trials of a cell run: the points of all groups that hold it, else the paper's values."""
        groups = [group for group in self.groups if task in group.tasks and regularizer in group.regularizers]
        return tuple(point for group in groups for point in group.points()) or ({},)


SUITES: Table[Suite] = Table(
    "suite",
    "regarena.suites",
    {
        "quickstart": "tasks.experiments.demos.suites:QUICKSTART",
        "mnist-demo": "tasks.experiments.demos.suites:MNIST_DEMO",
        "zoo": "tasks.experiments.demos.suites:ZOO",
        "zoo-mnist": "tasks.experiments.demos.suites:ZOO_MNIST",
        "localdrop-table1": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE1",
        "localdrop-table2": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE2",
        "localdrop-table3": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE3",
        "localdrop-table4": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE4",
        "localdrop-table5": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE5",
        "localdrop-table6": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE6",
        "localdrop-table7": "tasks.experiments.localdrop.suites:LOCALDROP_TABLE7",
        "localdrop-fig1a": "tasks.experiments.localdrop.suites:LOCALDROP_FIG1A",
        "localdrop-fig1bc": "tasks.experiments.localdrop.suites:LOCALDROP_FIG1BC",
        "localdrop-fig2": "tasks.experiments.localdrop.suites:LOCALDROP_FIG2",
        "cifar-demo": "tasks.experiments.demos.suites:CIFAR_DEMO",
        "distortion-table1": "tasks.experiments.distortion.suites:DISTORTION_TABLE1",
        "distortion-table2": "tasks.experiments.distortion.suites:DISTORTION_TABLE2",
        "distortion-table3": "tasks.experiments.distortion.suites:DISTORTION_TABLE3",
        "distortion-fig1": "tasks.experiments.distortion.suites:DISTORTION_FIG1",
        "distortion-fig2": "tasks.experiments.distortion.suites:DISTORTION_FIG2",
        "leaderboard": "tasks.experiments.leaderboard.suites:LEADERBOARD",
        "structured-fig1": "tasks.experiments.structured.suites:STRUCTURED_FIG1",
        "structured-fig2": "tasks.experiments.structured.suites:STRUCTURED_FIG2",
        "structured-fig3": "tasks.experiments.structured.suites:STRUCTURED_FIG3",
        "structured-fig4": "tasks.experiments.structured.suites:STRUCTURED_FIG4",
        "thesis-fig2-1": "tasks.experiments.thesis.suites:THESIS_FIG2_1",
        "thesis-fig2-2": "tasks.experiments.thesis.suites:THESIS_FIG2_2",
        "thesis-fig2-3": "tasks.experiments.thesis.suites:THESIS_FIG2_3",
        "thesis-fig3-2": "tasks.experiments.thesis.suites:THESIS_FIG3_2",
        "thesis-fig3-3": "tasks.experiments.thesis.suites:THESIS_FIG3_3",
        "theory": "tasks.experiments.theory_suite:THEORY",
    },
)
