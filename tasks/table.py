"""A table maps names to things that are imported only when they are looked up.

Listing names must not import torch (so that `regarena list` is fast), so an entry is the text `module:object`.
Packages of other people add entries through entry points of the table's group.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, reduce
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar, cast

Entry = TypeVar("Entry")

_NAME = re.compile(r"[\w.-]+")  # "+" joins regularizers, and "," names in options
_MAX_CHARACTERS = 300  # of another package's error message within a sentence


class UnknownNameError(KeyError):
    """A name that is not in the table; the message suggests the nearest names."""

    def __str__(self) -> str:
        """The message itself; KeyError would print it in quotes."""
        return str(self.args[0])


class BrokenEntryError(Exception):
    """An entry of another package that cannot be used; the message names package, entry point and fault."""


class Table(Mapping[str, Entry], Generic[Entry]):
    """An explicit, greppable, lazily imported mapping from names to classes, functions or values.

    Entries of other packages are not trusted. One that cannot be imported, fails its check, or has a name that several
    packages register raises `BrokenEntryError` when it is looked up, and does not affect the others.

    Args:
        kind: what an entry is called in messages ("regularizer").
        group: entry-point group by which other packages add entries ("regarena.regularizers").
        entries: name -> "module:object".
        fault_of: "module:function" that checks an entry of another package; it returns what is wrong, as the end of a
            sentence, or None.
    """

    def __init__(self, kind: str, group: str, entries: Mapping[str, str], fault_of: str = "") -> None:
        self.kind = kind
        self.group = group
        self._own = dict(entries)
        self._fault_of = fault_of
        self._looked_up: dict[str, Entry] = {}
        self._added: list[EntryPoint] = []

    @cached_property
    def targets(self) -> dict[str, str]:
        """Every name with its "module:object", entry points of other packages included; regarena's own come first."""
        return {name: points[0].value for name, points in self._points.items()} | self._own

    @property
    def own(self) -> tuple[str, ...]:
        """The names that regarena itself defines."""
        return tuple(self._own)

    def packages(self) -> list[str]:
        """The other packages that register entries, sorted."""
        return sorted({_package(point) for points in self._points.values() for point in points})

    def add(self, name: str, target: str) -> None:
        """Add an entry to this process's table only, without an installed package that registers it."""
        self._added.append(EntryPoint(name=name, value=target, group=self.group))
        self.refresh()

    def refresh(self) -> None:
        """Look for entry points again, after packages were installed or removed."""
        for cached in ("targets", "_points"):
            self.__dict__.pop(cached, None)
        self._looked_up = {name: entry for name, entry in self._looked_up.items() if name in self._own}

    def package(self, name: str) -> str:
        """The package that registers an entry: "regarena", or the name of another distribution."""
        return "regarena" if name in self._own else _package(self._points[name][0])

    def of_package(self, package: str) -> list[str]:
        """The names of the entries that a distribution registers, those that clash with others included."""
        return [name for name, points in self._points.items() if package in map(_package, points)]

    def __getitem__(self, name: str) -> Entry:
        if name not in self._looked_up:
            target = self.target(name)
            loaded = _load(target) if name in self._own else self._loaded_from_outside(name, target)
            self._looked_up[name] = cast(Entry, loaded)
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
        """First line of the entry's docstring, read from the source without importing it.

        For an entry of another package whose source cannot be read, the text says what is wrong.
        """
        try:
            documentation = _documentation(*_parsed(self.target(name)))
        except Exception as error:
            if name in self._own:
                raise
            return str(self.broken(name, described(error)))
        return documentation.strip().split("\n")[0]

    def notices(self, names: Iterable[str]) -> list[str]:
        """A sentence for each of these names that another package registers too, which has no effect."""
        return [
            f"The {self.kind} {name!r} of the package {_package(point)} (entry point {_written(self.group, point)}) is "
            "not used: regarena itself has one of that name; rename it there."
            for name in names
            if name in self._own
            for point in self._points.get(name, ())
        ]

    def broken(self, name: str, fault: str) -> BrokenEntryError:
        """The error for an entry of another package; `fault` ends a sentence."""
        points = self._points.get(name, ())
        origin = (
            f" of the package {_package(points[0])} (entry point {_written(self.group, points[0])})" if points else ""
        )
        return BrokenEntryError(f"The {self.kind} {name!r}{origin} cannot be used: {fault.rstrip('.')}.")

    @cached_property
    def _points(self) -> dict[str, list[EntryPoint]]:
        """The entry points of other packages by name, sorted by package; several for a name that packages share."""
        found: dict[str, list[EntryPoint]] = {}
        for point in sorted([*entry_points(group=self.group), *self._added], key=_package):
            found.setdefault(point.name, []).append(point)
        return found

    def _loaded_from_outside(self, name: str, target: str) -> object:
        points = self._points[name]
        if len(points) > 1:
            packages = ", ".join(_package(point) for point in points)
            raise self.broken(name, f"several packages register that name ({packages}); remove or rename all but one")
        if not _NAME.fullmatch(name):
            raise self.broken(name, "a name is made of letters, digits, '_', '-' and '.'; rename it there")
        try:
            entry = _load(target)
            fault = _load(self._fault_of)(entry) if self._fault_of else None  # type: ignore[operator]  # a function
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an imported module may raise SystemExit
            raise self.broken(name, described(error)) from error
        if fault:
            raise self.broken(name, fault)
        return entry


def described(error: BaseException) -> str:
    """An exception of another package as one line: its type, its message, and where it was raised."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    if len(text) > _MAX_CHARACTERS:
        text = f"{text[:_MAX_CHARACTERS]}..."
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    where = f" (in {Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    name = type(error).__name__
    return f"{name}: {text.rstrip('.')}{where}" if text else f"{name}{where}"


def unknown_name_message(kind: str, name: str, known: list[str]) -> str:
    """One sentence for a mistyped name: the name received, and the nearest names that exist."""
    in_lower_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), in_lower_case, n=3, cutoff=0.5)
    if near:
        return f"There is no {kind} {name!r}; did you mean {' or '.join(repr(in_lower_case[match]) for match in near)}?"
    return f"There is no {kind} {name!r}; known are: {', '.join(sorted(set(known)))}."


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "not installed"


def _written(group: str, point: EntryPoint) -> str:
    return f"{group}: {point.name} = {point.value}"


def _split(target: str) -> tuple[str, str]:
    """Module and attribute of "module:object"; an entry point's extras ("[extra]") are ignored."""
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    if not module or not attribute:
        raise ValueError(f"an entry point must read module:object, got {target!r}")
    return module.strip(), attribute.strip()


def _load(target: str) -> object:
    module, attribute = _split(target)
    return reduce(getattr, attribute.split("."), importlib.import_module(module))


def _parsed(target: str) -> tuple[ast.Module, str]:
    """The syntax tree of the module of a target, and the name in it; an empty tree where there is no source."""
    module, attribute = _split(target)
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    source = Path(spec.origin or "")
    return ast.parse(source.read_text(encoding="utf-8") if source.suffix == ".py" else ""), attribute


def _is_machinery(filename: str) -> bool:
    """Whether a frame belongs to this module or Python's import system, and so not to the code at fault."""
    return filename == __file__ or filename.startswith("<frozen") or "importlib" in Path(filename).parts


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
