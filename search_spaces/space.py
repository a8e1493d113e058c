"""Search spaces: mappings from a regularizer's fields to ranges, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Real:
    """A real number in [low, high]; uniform in its logarithm if `log`.

    Raises:
        ValueError: unless low < high, and low > 0 if `log`.
    """

    low: float
    high: float
    log: bool = False
    source: str

    def __post_init__(self) -> None:
        """A range must not be empty, and a logarithm needs positive numbers."""
        if not (self.low < self.high and (self.low > 0 or not self.log)):
            raise ValueError(f"A range needs low < high, and low > 0 if log; got {self}.")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"


@dataclass(frozen=True, kw_only=True)
class Integer:
    """An integer in [low, high]; uniform in its logarithm if `log`.

    With `in_epochs` it is a period in epochs: `high` is cut to the epochs of the task at scale `paper`, and nothing is
    tuned where only `low` is left.

    Raises:
        ValueError: unless low < high, and low > 0 if `log`.
    """

    low: int
    high: int
    log: bool = False
    in_epochs: bool = False
    source: str

    def __post_init__(self) -> None:
        """A range must not be empty, and a logarithm needs positive numbers."""
        if not (self.low < self.high and (self.low > 0 or not self.log)):
            raise ValueError(f"A range needs low < high, and low > 0 if log; got {self}.")

    def __str__(self) -> str:
        return f"{self.low} to {self.high}{', log' if self.log else ''}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of `options`."""

    options: tuple[float | int | str | bool, ...]
    source: str

    def __str__(self) -> str:
        return " | ".join(map(str, self.options))


Range = Real | Integer | Choice
Space = Mapping[str, Range]
