"""Parameters of the commands: names to choose from, shell completion, and what several commands take.

Heavy imports stand inside the functions, so that --help stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.results.location_rule import check_location

PUBLISHED = Path("gallery/arena")  # of a checkout, in which the commands are often used
CHECK_SECONDS = 900.0  # for all laws of one entry; the slowest of ours takes a minute


class WhoseRows(StrEnum):
    """Which folder's row counts where several hold one trial with different values."""

    first = "first"
    last = "last"


def rule(asked: WhoseRows | None) -> Literal["raise", "first", "last"]:
    """The value of `--on-conflict` as the argument `on_conflict` of `load_trials`."""
    return "raise" if asked is None else "first" if asked is WhoseRows.first else "last"


def results_here() -> list[Path]:
    """The results folders in `results/` of the current folder, and the published leaderboard if it is there."""
    return [each for each in (*sorted(Path("results").glob("*")), PUBLISHED) if (each / "trials").is_dir()]


class TableName(StrEnum):
    """What `list` lists."""

    tasks = "tasks"
    suites = "suites"
    regularizers = "regularizers"
    architectures = "architectures"
    datasets = "datasets"


class NewKind(StrEnum):
    """What `new` writes a package for; `TableName` has the same words in the plural."""

    regularizer = "regularizer"
    task = "task"
    dataset = "dataset"


class HookName(StrEnum):
    """The hook that the example of a new regularizer overrides."""

    transform_batch = "transform_batch"
    penalty = "penalty"
    fill = "fill"


class NetworkKind(StrEnum):
    """What a network is built of; `harness.records.NETWORK_KINDS` has the same names."""

    attention = "attention"
    residual = "residual"
    conv = "conv"
    dense = "dense"


class ExportFormat(StrEnum):
    """What `export` writes; `analysis.exports.export` has the same names."""

    csv = "csv"
    latex = "latex"
    markdown = "markdown"
    mlflow = "mlflow"
    tensorboard = "tensorboard"
    optuna = "optuna"


def names_in(*tables: str) -> Callable[[str], list[str]]:
    """A function for shell completion that offers the names of these tables ("tasks", "suites", ...)."""

    def complete(incomplete: str) -> list[str]:
        from harness.command.registries import TABLES

        return [name for table in tables for name in TABLES[table] if name.startswith(incomplete)]

    return complete


def statistics_in(incomplete: str) -> list[str]:
    """The names of statistics that begin so, for shell completion."""
    from analysis.tables.over_tasks import STATISTICS

    return [name for name in STATISTICS if name.startswith(incomplete)]


def a_location(parameter: typer.CallbackParam, value: str | Sequence[str] | None) -> Any:
    """A callback of Typer for options and arguments with folders or URIs: checks them and returns the value.

    Raises:
        BadInput: if one of them cannot be the name of a folder.
    """
    what = parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.metavar).rstrip(".")
    for text in [value] if isinstance(value, str) else value or []:
        check_location(text, what)
    return value


SuiteName = Annotated[
    str,
    typer.Argument(
        metavar="SUITE", help="A name from `regarena list suites`, or FILE.toml.", autocompletion=names_in("suites")
    ),
]
OnConflict = Annotated[
    WhoseRows | None,
    typer.Option(help="If folders hold different values for a trial, take the row of the first or last folder."),
]
Folders = Annotated[
    list[str],
    typer.Argument(metavar="DIR...", help="Results folders, or URIs such as s3://...", callback=a_location),
]
Folder = Annotated[
    str, typer.Argument(metavar="DIR", help="A results folder, or a URI such as s3://...", callback=a_location)
]


def tasks_of_rows(description: str) -> Any:
    """The option `--task` of commands that read rows; `description` is its help."""
    return typer.Option("--task", metavar="TASK", help=description, autocompletion=names_in("tasks"))


OnlyTasks = Annotated[
    list[str] | None, tasks_of_rows("Show only this task, as if there were no other; may be repeated.")
]
CopiedTasks = Annotated[list[str] | None, tasks_of_rows("Copy only the trials of this task; may be repeated.")]
StatisticName = Annotated[
    str | None,
    typer.Option(
        help="Show only the table of this name, such as ranks, with all rows. [default: most, abridged]",
        autocompletion=statistics_in,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
