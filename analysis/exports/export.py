"""Export results folders to files of tables or to the storages of other tools."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from analysis.exports.exported import Exported, require_package
from analysis.rows.current import current_rows_remembered
from analysis.rows.load import load_curves, load_trials
from harness.records.duplicates import OnConflict
from harness.records.folders import Folder, Results, open_folder, open_folders

FOLDER = "export"  # in the first results folder, where exports go by default

Distributions = Callable[[str, str, str], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of exports.

    Attributes:
        write: "module:function" that writes it.
        file: what it writes by default into the folder of exports: a database's name; "" for a folder of its own.
        module, package: what it needs beyond regarena's dependencies; "" if nothing.
    """

    write: str
    file: str = ""
    module: str = ""
    package: str = ""


FORMATS: Mapping[str, Format] = {
    "csv": Format(write="analysis.exports.table_files:write_csv"),
    "latex": Format(write="analysis.exports.table_files:write_latex"),
    "markdown": Format(write="analysis.exports.table_files:write_markdown"),
    "mlflow": Format(
        write="analysis.exports.mlflow_runs:write_runs",
        file="mlflow.db",
        module="mlflow",
        package="mlflow or mlflow-skinny",
    ),
    "tensorboard": Format(
        write="analysis.exports.tensorboard_events:write_events",
        module="tensorboard",
        package="tensorboard",
    ),
    "optuna": Format(write="analysis.exports.optuna_studies:write_studies", file="optuna.db"),
}
"""The formats by the names that `regarena export --to` takes."""


@current_rows_remembered()
def export(
    results: Results,
    to: str,
    out: str | os.PathLike[str] | None = None,
    on_conflict: OnConflict = "raise",
    distributions: Distributions | None = None,
) -> Exported:
    """Export the rows and curves of results folders for another tool.

    - `csv`, `latex`, `markdown`: a file for each table of `regarena rank`, `timing`, `stats` and the report, with the
      columns and formats that these show.
    - `mlflow`: one run for each trial, in an experiment for each task and scale. Parameters are the hyperparameters,
      tags the other columns, metrics the numbers of the row; curves are metrics whose step is the epoch.
    - `tensorboard`: one folder with an event file for each trial: curves as scalars, hyperparameters as `hparams`.
    - `optuna`: one study for each tuned cell (task, regularizer, scale), whose trials are the tune trials of
      `current_rows`.

    A second export writes no trial twice: in MLflow and Optuna trials are found by their `trial_id`, files are
    replaced. Skipped cells have no run.

    Args:
        results: a folder, a URI such as `s3://bucket/folder`, or a list of these.
        to: one of the formats above.
        out: where to write; by default into `export` in the (first) results folder. For tables and `tensorboard` a
            folder or a URI of one. For `mlflow` a tracking URI (`http://host:5000`, `sqlite:///FILE`), the name of a
            SQLite file that ends in `.db`, `.sqlite` or `.sqlite3`, or a folder for such a file. For `optuna` likewise
            the URL of a storage, a SQLite file or a folder, or a journal file (`.log`, `.journal` or `.jsonl`).
        on_conflict: as in `load_trials`.
        distributions: for `optuna`, a function of task, regularizer and scale that returns the ranges of the search as
            Optuna's distributions, by hyperparameter. Without it, and where a value is outside of its range, ranges
            are those of the values tried.

    Returns:
        Where it was written, and how many tables, runs or trials.

    Raises:
        ValueError: for a format that does not exist, a place where it cannot be written, or results without anything
            to export.
        MissingPackageError: if the format needs a package that is not installed. It is an ImportError.
        ExportError: if a server or database cannot be reached or refuses the runs.
        FileNotFoundError: and all other errors of `load_trials`.
    """
    if to not in FORMATS:
        near = difflib.get_close_matches(str(to), FORMATS, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"it must be one of {', '.join(FORMATS)}."
        raise ValueError(f"There is no format {to!r} of exports; {advice}")
    chosen = FORMATS[to]
    if chosen.module:
        require_package(chosen.module, chosen.package, to)
    place = _place(results, to, chosen, out)
    trials, curves = (load(results, on_conflict=on_conflict) for load in (load_trials, load_curves))
    given: dict[str, Any] = {"distributions": distributions} if to == "optuna" else {}
    module, _, function = chosen.write.partition(":")
    exported: Exported = getattr(import_module(module), function)(trials, place, curves, **given)
    return exported


def _place(results: Results, to: str, chosen: Format, out: str | os.PathLike[str] | None) -> Folder | str:
    """Where to write: a folder for files, the text of a path or URI for databases."""
    if out is not None:
        return os.fspath(out) if chosen.file else open_folder(out)
    first = open_folders(results)[0]
    if not chosen.file:
        return open_folder(f"{first.name.rstrip('/')}/{FOLDER}/{to}")
    if not first.is_local:
        raise ValueError(
            f"The database of an export to {to} cannot be written into {first.name}; name a local file or a server "
            "with out (--out)."
        )
    return os.path.join(first.name, FOLDER, chosen.file)
