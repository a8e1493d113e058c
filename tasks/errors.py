"""The errors that data and training raise."""

from __future__ import annotations


class DataError(ValueError):
    """The data a task needs is missing, damaged or of the wrong form; the message says what to do."""


class Diverged(ArithmeticError):
    """The training loss, the validation value that selects the best epoch, or a weight is no longer a finite number."""
