"""A table maps names to things that are imported only when they are looked up.

Listing names must not import torch (`regarena list` answers at once), so an entry is the text `module:object`.
Packages of other people add entries through entry points of the table's group.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar, cast

Entry = TypeVar("Entry")


class UnknownNameError(KeyError):
    """A name that stands in no table; its message offers the nearest names."""

    def __str__(self) -> str:
        """The message itself; KeyError would print it in quotes."""
        return str(self.args[0])


class Table(Mapping[str, Entry], Generic[Entry]):
    """An explicit, greppable, lazily imported mapping from names to classes, functions or values.

    Args:
        kind: what an entry is called in messages ("regularizer").
        group: entry-point group by which other packages add entries ("regarena.regularizers").
        entries: name -> "module:object".
    """

    def __init__(self, kind: str, group: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._own = dict(entries)
        self._looked_up: dict[str, Entry] = {}

    @cached_property
    def targets(self) -> dict[str, str]:
        """Every name with its "module:object", entry points of other packages included."""
        others = {point.name: point.value for point in entry_points(group=self.group)}
        clashes = sorted(set(others) & set(self._own))
        if clashes:
            raise ValueError(
                f"Another package registers the {self.kind} names {clashes} in the entry-point group {self.group!r}, "
                "but these names are taken; rename them there."
            )
        return {**self._own, **others}

    def __getitem__(self, name: str) -> Entry:
        if name not in self._looked_up:
            module, _, attribute = self.target(name).partition(":")
            self._looked_up[name] = cast(Entry, getattr(importlib.import_module(module), attribute))
        return self._looked_up[name]

    def __contains__(self, name: object) -> bool:
        return name in self.targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def target(self, name: str) -> str:
        """The "module:object" text of a name.

        Raises:
            UnknownNameError: for a name that is not in the table, with the nearest names.
        """
        try:
            return self.targets[name]
        except KeyError:
            raise UnknownNameError(unknown_name_message(self.kind, name, list(self.targets))) from None

    def summary(self, name: str) -> str:
        """First line of what documents the entry, read from its source without importing it."""
        module, _, attribute = self.target(name).partition(":")
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return ""
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        return _documentation(tree, attribute).strip().split("\n")[0]


def unknown_name_message(kind: str, name: str, known: list[str]) -> str:
    """One sentence for a mistyped name: what was received, and the nearest names that exist."""
    in_lower_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), in_lower_case, n=3, cutoff=0.5)
    if near:
        return f"There is no {kind} {name!r}; did you mean {' or '.join(repr(in_lower_case[match]) for match in near)}?"
    return f"There is no {kind} {name!r}; known are: {', '.join(sorted(set(known)))}."


def _documentation(tree: ast.Module, attribute: str) -> str:
    """Docstring of a class or function, or the string that follows an assignment."""
    body = tree.body
    for index, node in enumerate(body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == attribute for target in targets)
            follower = body[index + 1] if index + 1 < len(body) else None
            if named and isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant):
                return str(follower.value.value)
    return ""
