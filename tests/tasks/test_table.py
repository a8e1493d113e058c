"""Tables: names are looked up late, listed without torch, and mistyped ones get the nearest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.table import Table, UnknownNameError, unknown_name_message

TABLES = {"tasks": TASKS, "regularizers": REGULARIZERS, "architectures": ARCHITECTURES, "datasets": DATASETS}


def test_the_nearest_names_are_offered_for_a_mistyped_one() -> None:
    with pytest.raises(UnknownNameError) as error:
        REGULARIZERS["dropot"]
    assert str(error.value).startswith("There is no regularizer 'dropot'; did you mean 'dropout'")
    assert isinstance(error.value, KeyError)


def test_all_names_are_listed_where_none_is_near() -> None:
    with pytest.raises(UnknownNameError, match=f"There is no dataset 'zzz'; known are: {', '.join(sorted(DATASETS))}"):
        DATASETS.target("zzz")


def test_at_most_three_names_are_offered_and_the_nearest_first() -> None:
    message = unknown_name_message("task", "digit-mlp", ["digits-mlp", "digits-mlp2", "digit-mlp33", "digits-mlps"])
    assert message.count(" or ") == 2
    assert message.startswith("There is no task 'digit-mlp'; did you mean 'digits-mlp'")


def test_an_entry_is_imported_when_it_is_looked_up_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_module.py").write_text("THING = 42\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    table: Table[int] = Table("thing", "nobody.things", {"late": "late_module:THING"})
    assert list(table) == ["late"]
    assert "late" in table
    assert len(table) == 1
    assert "late_module" not in sys.modules
    assert table["late"] == 42
    assert table.get("later") is None


SOURCE = '''"""A module."""

CONSTANT = 3
"""What follows an assignment documents it.

More of it."""

TYPED: int = 4
"""Also with a type."""

SILENT = 5


class Kind:
    """First line of a class.

    More of it.
    """


def function():
    """A function."""


raise RuntimeError("a summary must not import the module")
'''


@pytest.mark.parametrize(
    ("attribute", "summary"),
    [
        ("CONSTANT", "What follows an assignment documents it."),
        ("TYPED", "Also with a type."),
        ("SILENT", ""),
        ("Kind", "First line of a class."),
        ("function", "A function."),
        ("missing", ""),
    ],
)
def test_a_summary_is_read_from_the_source_without_importing_it(
    attribute: str, summary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unimportable.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    table: Table[object] = Table("thing", "nobody.things", {"it": f"unimportable:{attribute}"})
    assert table.summary("it") == summary


@pytest.mark.parametrize("kind", TABLES)
def test_every_entry_of_every_table_has_a_summary_and_can_be_looked_up(kind: str) -> None:
    table: Any = TABLES[kind]
    for name in table:
        assert table.summary(name).endswith("."), name
        assert table[name] is not None


def run_python(code: str, *path: Path) -> str:
    """What a fresh interpreter prints, with `path` in front of its import path."""
    lines = "\n".join(["import sys", *(f"sys.path.insert(0, {str(folder)!r})" for folder in path), code])
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_listing_all_tables_imports_neither_torch_nor_anything_else_that_is_slow() -> None:
    printed = run_python(
        """
from search_spaces import SPACES
from tasks.experiments import TASKS
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.regularizers import REGULARIZERS

for table in (TASKS, ARCHITECTURES, DATASETS, REGULARIZERS):
    for name in table:
        table.summary(name)
heavy = {"torch", "ray", "optuna", "pandas", "numpy", "pyarrow", "sklearn", "torchvision"}
print(sorted(heavy & set(sys.modules)))
"""
    )
    assert printed.strip() == "[]"


ENTRY_POINTS = """[regarena.regularizers]
foreign = foreign_regularizer:Foreign

[regarena.search_spaces]
foreign = foreign_regularizer:SPACE

[regarena.tasks]
foreign-task = foreign_regularizer:TASK
"""

FOREIGN = '''
from dataclasses import dataclass
from search_spaces.space import Real
from tasks.experiments.demos.tasks import DIGITS_MLP
from tasks.regularizers.base import Regularizer

@dataclass(frozen=True, kw_only=True)
class Foreign(Regularizer):
    """Comes from another package."""

    amount: float = 0.5

SPACE = {"amount": Real(low=0.1, high=0.9, source="test")}
TASK = DIGITS_MLP
"""A task of another package."""
'''


def install(folder: Path, entry_points: str) -> None:
    """A package as an installer leaves it: a module and the folder that announces its entry points."""
    (folder / "foreign_regularizer.py").write_text(FOREIGN, encoding="utf-8")
    info = folder / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")


@pytest.mark.slow
def test_another_package_adds_entries_by_its_entry_points(tmp_path: Path) -> None:
    install(tmp_path, ENTRY_POINTS)
    printed = run_python(
        """
from tasks.regularizers import REGULARIZERS
from tasks.experiments import TASKS
from harness.spaces import space_of
print("foreign" in REGULARIZERS, "foreign" in list(REGULARIZERS), REGULARIZERS.summary("foreign"))
print("torch" in sys.modules)
print(REGULARIZERS["foreign"]().amount, TASKS["foreign-task"] is TASKS["digits-mlp"])
print(space_of("foreign")["amount"])
""",
        tmp_path,
    )
    assert printed.splitlines() == [
        "True True Comes from another package.",
        "False",
        "0.5 True",
        "0.1 to 0.9",
    ]
