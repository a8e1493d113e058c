"""Suites: named sets of cells with budgets. Pure data; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.table import Table


@dataclass(frozen=True, kw_only=True)
class Group:
    """Every regularizer of the group on every task of the group."""

    tasks: tuple[str, ...]
    regularizers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A set of cells, and how much is spent on each.

    `tune_trials` are spent on every cell alike, the baseline included; `seeds` is the number of default and of confirm
    trials of a cell; `timing_tasks` are those whose cells are timed against their twin, `timing_repeats` times each.
    """

    summary: str
    groups: tuple[Group, ...]
    scale: str  # unless --scale says otherwise
    tune_trials: int
    seeds: int = 5
    timing_tasks: tuple[str, ...] = ()
    timing_repeats: int = 2
    source: str = field(default="regarena")

    def cells(self) -> list[tuple[str, str]]:
        """(task, regularizer) pairs in order, each once."""
        pairs = [(task, name) for group in self.groups for task in group.tasks for name in group.regularizers]
        return list(dict.fromkeys(pairs))


CLASSIC = (
    "none",
    "weight_decay",
    "max_norm",
    "label_smoothing",
    "cutout",
    "dropout",
    "dropblock",
    "localdrop",
)

QUICKSTART = Suite(
    summary="Eight contestants on two nets for digits and on one theory task: minutes on a laptop.",
    groups=(
        Group(tasks=("digits-convnet", "digits-mlp"), regularizers=CLASSIC),
        Group(tasks=("shallow-linear-dropblock",), regularizers=(*CLASSIC, "dropblock_sample")),
    ),
    scale="smoke",
    tune_trials=8,
    timing_tasks=("digits-convnet",),
)
"""Eight contestants on two nets for digits and on one theory task: minutes on a laptop."""

MNIST_DEMO = Suite(
    summary="LeNet on MNIST with nine contestants; needs --data.",
    groups=(Group(tasks=("mnist-lenet",), regularizers=(*CLASSIC, "early_stopping")),),
    scale="short",
    tune_trials=8,
    seeds=5,
)
"""LeNet on MNIST with nine contestants; needs --data."""

SUITES: Table[Suite] = Table(
    "suite",
    "regarena.suites",
    {
        "quickstart": "tasks.suites:QUICKSTART",
        "mnist-demo": "tasks.suites:MNIST_DEMO",
    },
)
