"""The command `regarena export`: its errors as sentences for the command line, and the ranges of searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from harness.command.causes import without_code
from harness.errors import BadInput, RegarenaError


def export_folders(
    folders: Sequence[str], to: str, out: str | None, on_conflict: Literal["raise", "first", "last"]
) -> Any:
    """Export results folders; returns the `analysis.exports.exported.Exported`.

    Raises:
        BadInput: for folders that cannot be read, a place that is not allowed, or a package that is missing.
        RegarenaError: if a server or database cannot be written.
    """
    import analysis

    try:
        return analysis.export(list(folders), to, out, on_conflict, search_ranges)
    except (analysis.MissingPackageError, ValueError, FileNotFoundError) as error:
        raise BadInput(without_code(error)) from error
    except analysis.ExportError as error:
        raise RegarenaError(str(error)) from error


def search_ranges(task: str, regularizer: str, scale: str) -> Mapping[str, Any]:
    """The ranges of the search of a cell as distributions of Optuna; none for a task or regularizer not known here."""
    from harness.contestants import Contestant
    from harness.search.studies import distribution
    from tasks.experiments import TASKS
    from tasks.table import BrokenEntryError, UnknownNameError

    try:
        space = Contestant(regularizer).space(TASKS[task], scale)  # type: ignore[arg-type]  # from rows; unknown scales raise
    except (UnknownNameError, BrokenEntryError, ValueError):
        return {}
    return {name: distribution(allowed) for name, allowed in space.items()}
