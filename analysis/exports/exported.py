"""What an export returns, and the errors that it raises."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

EXTRA = "regarena[export]"
_MOST_CHARACTERS = 300  # of another tool's message within a sentence
_REASONS = {
    "Max retries exceeded": "no server answers there",  # of the library requests, in a message of many lines
    "Response body: '<": "another kind of server answers there",  # of MLflow, with a page of HTML
}
"""What messages of other tools mean that hold this text."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export has written.

    Attributes:
        where: the folder, file or URI.
        what: what the numbers count, in the plural: "tables", "runs", "trials".
        num_written: how many were written.
        num_kept: how many were there already, from an earlier export, and are the same.
        notes: sentences on rows that were left out.
    """

    where: str
    what: str
    num_written: int
    num_kept: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = f"; {self.num_kept:,} were there already" if self.num_kept else ""
        return f"{self.num_written:,} {self.what} written to {self.where}{kept}."


class MissingPackageError(ImportError):
    """A format needs a package that is not installed; the message names the extra that installs it."""


class ExportError(RuntimeError):
    """The other tool's storage or server cannot be written, or refuses what it is given."""


def require_package(module: str, package: str, to: str) -> None:
    """Import a module that the format `to` needs.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"The export to {to} needs the package {package}, which cannot be imported ({error}); "
            f"pip install '{EXTRA}' installs it."
        ) from error


@contextmanager
def told_as_export_error(where: str, *kinds: type[Exception]) -> Iterator[None]:
    """A context in which errors of another tool become one `ExportError` that names the place.

    Raises:
        ExportError: for an error of one of these kinds.
    """
    try:
        yield
    except kinds as error:
        text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__  # without the SQL
        text = next((reason for words, reason in _REASONS.items() if words in text), text)
        shown = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
        raise ExportError(f"{where} cannot be written: {shown.rstrip('.')}.") from error
