"""Checks of the values in a campaign's file; each error names the file, the key, the rule and the value received."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from tasks.table import unknown_name_message

WORDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a key may hold.

    Attributes:
        kind: bool, int, float or str; a whole number is a number too.
        low, high: the smallest and the largest value.
        above, below: bounds that are not allowed themselves.
        choices: all allowed values; empty if any is.
        is_list: whether it is a list of such values.
    """

    kind: type
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    is_list: bool = False

    def checked(self, where: str, value: object) -> Any:
        """The value in its kind; a list becomes a tuple. `where` names file and key.

        Raises:
            BadInput: if it is not allowed.
        """
        if not self.is_list:
            return self._one(where, value)
        if not isinstance(value, list):
            raise BadInput(f"{where} must be a list, got {value!r:.100}.")
        return tuple(self._one(f"{where}: each value", each) for each in value)

    def _one(self, where: str, value: object) -> Any:
        if self.choices:
            if value not in self.choices:
                raise BadInput(f"{where} must be one of {', '.join(self.choices)}, got {value!r:.100}.")
            return value
        allowed = (int, float) if self.kind is float else (self.kind,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and self.kind is not bool):
            raise BadInput(f"{where} must be {WORDS[self.kind]}, got {value!r:.100}.")
        rules: tuple[tuple[str, float | None, Callable[[float, float], bool]], ...] = (
            ("at least", self.low, lambda x, bound: x >= bound),
            ("at most", self.high, lambda x, bound: x <= bound),
            ("above", self.above, lambda x, bound: x > bound),
            ("below", self.below, lambda x, bound: x < bound),
        )
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"{where} must be a finite number, got {value}.")
        for words, bound, holds in rules:
            if bound is not None and not holds(value, bound):  # type: ignore[arg-type]  # a number, where there are bounds
                raise BadInput(f"{where} must be {words} {bound:g}, got {value}.")
        return float(value) if self.kind is float else value  # type: ignore[arg-type]  # likewise


def check_keys(path: Path, content: Iterable[str], known: Sequence[str], what: str) -> None:
    """Check that all keys are known.

    Raises:
        BadInput: for one that is not, with the nearest names.
    """
    for key in content:
        if key not in known:
            raise BadInput(f"{path}: {unknown_name_message(what, key, list(known))}")


def table_in(path: Path, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table of that key; an empty one if there is none.

    Raises:
        BadInput: if it is no table.
    """
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise BadInput(f"{path}: {key} must be a table, got {table!r:.100}.")
    return table


def texts_in(path: Path, content: Mapping[str, Any], key: str) -> list[str]:
    """The list of texts of that key; an empty one if there is none.

    Raises:
        BadInput: if it is no list of texts.
    """
    texts = content.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{path}: {key} must be a list of names, got {texts!r:.100}.")
    return texts
