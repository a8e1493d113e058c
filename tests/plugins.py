"""Packages of other people, laid out as an installer leaves them, for the tables of this process."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import cells, code_identity, contestants, spaces
from harness.command.registries import TABLES
from tasks.table import Table

HEADER = """
import torch
from dataclasses import dataclass, field, replace
from typing import ClassVar
from search_spaces.space import Choice, Integer, Real
from tasks.experiments.demos.tasks import DIGITS_MLP
from tasks.regularizers.base import Batch, Hooks, Regularizer
from tasks.suites import Group, Suite
"""

Groups = Mapping[str, Mapping[str, str]]  # "regularizers" -> name -> object in the module


def lay_out(folder: Path, package: str, groups: Groups, source: str = "", header: str = HEADER) -> Path:
    """A distribution of one module in `folder`, both named `package`; an object may also be "other_module:object"."""
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(header + textwrap.dedent(source), encoding="utf-8")
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    sections = [
        f"[regarena.{group}]\n"
        + "".join(f"{name} = {thing if ':' in thing else f'{module}:{thing}'}\n" for name, thing in names.items())
        for group, names in groups.items()
    ]
    (information / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")
    return folder


def tables() -> list[Table[Any]]:
    """All tables, that of search spaces included."""
    return [*TABLES.values(), spaces.SPACES]


def forget() -> None:
    """What this process knows of packages that were there a moment ago."""
    for table in tables():
        table._added.clear()
        table.refresh()
    for module in (code_identity, contestants, cells, spaces):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install packages in this process, until the test ends: `install(package, groups, source)`."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install_one(package: str, groups: Groups, source: str = "", header: str = HEADER) -> Path:
        lay_out(site, package, groups, source, header)
        importlib.invalidate_caches()
        forget()
        return site

    yield install_one
    monkeypatch.undo()
    forget()
    for name in [name for name, module in sys.modules.items() if str(site) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]
