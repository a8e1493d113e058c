"""Finds what `regarena check` is to check: an entry by its name, all entries of an installed package, or a file's."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.checks.apart import findings_apart
from harness.checks.architectures import LAWS as ARCHITECTURE_LAWS
from harness.checks.architectures import CheckedArchitecture
from harness.checks.contestants import LAWS as CONTESTANT_LAWS
from harness.checks.contestants import Entrant
from harness.checks.datasets import LAWS as DATASET_LAWS
from harness.checks.datasets import CheckedDataset
from harness.checks.law import Law
from harness.checks.suites import LAWS as SUITE_LAWS
from harness.checks.suites import CheckedSuite
from harness.checks.tasks import LAWS as TASK_LAWS
from harness.checks.tasks import CheckedTask
from harness.command.parameters import CHECK_SECONDS
from harness.command.registries import TABLES
from harness.contestants import Contestant
from harness.errors import BadInput
from harness.spaces import SPACES, space_of
from harness.unknown_names import unknown_name
from harness.workers.compiled_code import keep_compiled_code_apart
from search_spaces.space import Range
from tasks.regularizers import REGULARIZERS
from tasks.table import BrokenEntryError, UnknownNameError, described, unknown_name_message

# Table -> how the subject of its laws is made from an entry, and the laws.
_SUBJECTS: dict[str, tuple[Callable[[str, Any, Path | None], Any], tuple[Law[Any], ...]]] = {
    "regularizers": (lambda name, entry, data: Entrant(name, entry), CONTESTANT_LAWS),
    "tasks": (CheckedTask, TASK_LAWS),
    "suites": (lambda name, entry, data: CheckedSuite(name, entry), SUITE_LAWS),
    "architectures": (lambda name, entry, data: CheckedArchitecture(name, entry), ARCHITECTURE_LAWS),
    "datasets": (CheckedDataset, DATASET_LAWS),
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings in one entry; none if it keeps all laws."""

    kind: str
    name: str
    package: str
    num_laws: int
    findings: tuple[str, ...]
    note: str = ""

    def lines(self) -> Iterator[str]:
        """The lines to print: a summary, then a line for each finding."""
        summary = f"{len(self.findings)} finding(s)" if self.findings else f"all {self.num_laws} laws hold"
        yield f"{self.kind} {self.name} ({self.package}): {summary}.{f' {self.note}' if self.note else ''}"
        yield from (f"  {finding}" for finding in self.findings)


def check(*names: str, data_dir: Path | None = None, seconds: float = CHECK_SECONDS) -> Iterator[Report]:
    """Check entries, each by its name in a table; a name may also be that of an installed package or a Python file.

    Each entry is checked in a process of its own, which is killed after `seconds`. Tasks and data sets that read files
    are only trained or read if `data_dir` is given.

    Raises:
        UnknownNameError: if a name is none of these; then nothing is checked.
        BadInput: if a file cannot be imported, or defines nothing to check.
    """
    import torch

    keep_compiled_code_apart()
    torch.set_num_threads(1)  # as in a trial
    for what, (unused, found) in list(zip(names, map(_named, names), strict=True)):
        yield from unused
        for table, name in found:
            report = _report(table, name, data_dir, seconds)
            # An installed entry of the same name has made that of the file take another one.
            yield replace(report, name=name.rstrip("_"), package=f"in {Path(what).name}") if _is_file(what) else report


def _named(what: str) -> tuple[list[Report], list[tuple[str, str]]]:
    """What a name refers to: reports on registrations without effect, and (table, name) of each entry to check."""
    if _is_file(what):
        found = _entries_of_file(Path(what))
    else:
        found = [(table, part) for part in what.split("+") for table in TABLES if part in TABLES[table]]
    unused: list[Report] = []
    if not found:
        package = _package_named(what)
        unused = list(_unused(package))
        found = [(table, name) for table in TABLES for name in TABLES[table].of_package(package)]
        found = [(table, name) for table, name in found if name not in TABLES[table].own]
    if not found and not unused:
        raise UnknownNameError(
            unknown_name("entry or package that adds to regarena", what, [*_all_names(), *_packages()])
        )
    return unused, found


def _is_file(what: str) -> bool:
    return what.endswith(".py") or "/" in what


def _report(table_name: str, name: str, data_dir: Path | None, seconds: float) -> Report:
    """Check one entry against the laws of its table."""
    table = TABLES[table_name]
    make, laws = _SUBJECTS[table_name]
    note = ""
    try:
        entry = table[name]
        if table_name == "regularizers":
            Contestant(name).check()
        found = tuple(dict.fromkeys(findings_apart(make(name, entry, data_dir), laws, seconds)))
        if data_dir is None and (getattr(entry, "needs_data", False) or getattr(entry, "files", ())):
            note = "Its data were not read, which needs --data DIR."
        if table_name == "regularizers" and name not in table.own and not space_of(name):
            note = "It has no search space, so only the learning rate is tuned."
    except BrokenEntryError as error:
        found = (str(error),)
    return Report(
        kind=table.kind, name=name, package=table.package(name), num_laws=len(laws), findings=found, note=note
    )


def _unused(package: str) -> Iterator[Report]:
    """What a package registers without effect: names that are taken, and search spaces of unknown regularizers."""
    for table in TABLES.values():
        for name in table.of_package(package):
            if name in table.own:
                found = tuple(table.notices([name]))
                yield Report(kind=table.kind, name=name, package=package, num_laws=0, findings=found)
    for name in SPACES.of_package(package):
        if name not in REGULARIZERS:
            fault = unknown_name_message("regularizer", name, list(REGULARIZERS))
            found = (str(SPACES.broken(name, fault)),)
            yield Report(kind=SPACES.kind, name=name, package=package, num_laws=0, findings=found)


def _packages() -> list[str]:
    """Every installed distribution that registers anything with regarena."""
    return sorted({name for table in (*TABLES.values(), SPACES) for name in table.packages()})


def _package_named(what: str) -> str:
    """The distribution of that name, ignoring case and "-_."; the name itself if there is none."""
    return next((name for name in _packages() if _normal(name) == _normal(what)), what)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _all_names() -> list[str]:
    return [name for table in TABLES.values() for name in table]


def _entries_of_file(path: Path) -> list[tuple[str, str]]:
    """Import a file, and add its entries to the tables of this process; returns (table, name) of each.

    A search space in the file belongs to its regularizer if it defines one of each.

    Raises:
        BadInput: if there is no such file, it cannot be imported, or it defines no entry.
    """
    if not path.is_file():
        raise BadInput(
            f"There is no file {path}; `regarena check` takes a name, an installed package or a Python file."
        )
    sys.path.insert(0, str(path.resolve().parent))  # as where the module will be installed
    try:
        module = importlib.import_module(path.stem)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise BadInput(f"The file {path} cannot be imported: {described(error)}.") from error
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise BadInput(f"{path} has the name of another module, {module.__file__}; rename the file.")
    found = [(table, attribute) for table, attribute in _defined_in(module, path)]
    if not found:
        raise BadInput(f"The file {path} defines no regularizer, task, suite, architecture or data set.")
    spaces = [name for name, value in vars(module).items() if _is_space(value)]
    names = []
    for table, attribute in found:
        name = _free_name(table, attribute)
        TABLES[table].add(name, f"{path.stem}:{attribute}")
        if table == "regularizers" and len(spaces) == 1 and sum(each == table for each, _ in found) == 1:
            SPACES.add(name, f"{path.stem}:{spaces[0]}")
        names.append((table, name))
    return names


def _defined_in(module: ModuleType, path: Path) -> Iterator[tuple[str, str]]:
    """(table, attribute) of each entry that the module itself defines; imported and private names are left out."""
    from torch import nn

    from tasks.datasets.dataset import Dataset
    from tasks.regularizers.base import Regularizer
    from tasks.suites import Suite
    from tasks.task import Task

    bases = {"regularizers": Regularizer, "architectures": nn.Module}
    kinds = {"tasks": Task, "suites": Suite, "datasets": Dataset}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for attribute in _names_bound_by(node):
            value = getattr(module, attribute, None)
            if attribute.startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                yield from ((table, attribute) for table, base in bases.items() if _is_subclass(value, base))
            else:
                yield from ((table, attribute) for table, kind in kinds.items() if isinstance(value, kind))


def _names_bound_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _is_subclass(value: object, base: type) -> bool:
    """Whether it is a subclass; an architecture must also take the arguments of all architectures."""
    from torch import nn

    from tasks.examination import fault_of_architecture

    is_one = isinstance(value, type) and issubclass(value, base)
    return is_one and (base is not nn.Module or fault_of_architecture(value) is None)


def _is_space(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(scope, Range) for scope in value.values())


def _free_name(table: str, attribute: str) -> str:
    """The attribute in the spelling of the table's names, with "_" appended while the name is taken."""
    is_constant = attribute.isupper()
    words = attribute.lower() if is_constant else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", attribute).lower()
    name = words.replace("_", "-") if is_constant else words
    while name in TABLES[table]:
        name += "_"
    return name
