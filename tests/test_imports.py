"""Imports point one way, heavy packages are met only where they are needed, and Parquet is written in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("search_spaces", "tasks", "harness", "analysis")
SLOW = ("torch", "ray", "pandas", "optuna", "sklearn", "torchvision", "scipy", "matplotlib", "seaborn", "plotly")
# Parse, call, print: these may import all.
COMMAND_LINE = ("harness.cli", "harness.command")
WRITERS = {"write_table", "write_dataset", "write_to_dataset", "write_metadata", "ParquetWriter"}


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import statement: who, what, and whether it runs when the module is loaded."""

    module: str
    imported: str  # dotted, with the name that is taken from it
    at_load: bool
    for_types: bool  # read by type checkers alone

    @property
    def package(self) -> str:
        """First part of what is imported."""
        return self.imported.partition(".")[0]


def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    paths = [path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def trees_with(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """The modules whose text has one of the words, and their syntax trees: parsing all takes a second."""
    for module, path in modules().items():
        if any(word in path.read_text(encoding="utf-8") for word in words):
            yield module, tree_of(path)


def imports_of(module: str, path: Path) -> list[Import]:
    found = []
    tree = tree_of(path)
    types = {id(part) for node in ast.walk(tree) if is_for_types(node) for part in ast.walk(node)}
    for node, at_load in statements(tree):
        how: Any = {"module": module, "at_load": at_load, "for_types": id(node) in types}
        if isinstance(node, ast.Import):
            found += [Import(imported=alias.name, **how) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; say the whole name, so that it can be searched for."
            for alias in node.names:
                found.append(Import(imported=f"{node.module}.{alias.name}", **how))
    return found


def statements(tree: ast.AST, at_load: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it runs when the module is loaded: not in a function, nor for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        yield child, at_load
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from statements(child, at_load and not is_function and not is_for_types(child))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


@cache
def all_imports() -> list[Import]:
    """Of all modules; reading them takes seconds, which other tests need not wait for."""
    return [found for module, path in modules().items() for found in imports_of(module, path)]


def inside(name: str, *parents: str) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def violations(importer: str, *allowed: str) -> list[str]:
    """Imports of ours in one package that stand neither in it nor among what is allowed."""
    return [
        f"{found.module} imports {found.imported}"
        for found in all_imports()
        if inside(found.module, importer) and found.package in OURS and not inside(found.imported, importer, *allowed)
    ]


def test_the_reader_of_imports_sees_ours() -> None:
    assert len(all_imports()) > 200
    assert any(
        found.module == "tasks.training" and inside(found.imported, "tasks.datasets.batches") for found in all_imports()
    )
    assert {found.at_load for found in all_imports()} == {True, False}


@pytest.mark.parametrize("package", ["search_spaces", "tasks"])
def test_search_spaces_and_tasks_import_nothing_of_ours_but_themselves(package: str) -> None:
    assert violations(package) == []


def test_the_harness_imports_tasks_and_search_spaces_and_the_command_line_all() -> None:
    for found in all_imports():
        if inside(found.module, "harness") and inside(found.imported, "analysis"):
            assert inside(found.module, *COMMAND_LINE), f"{found.module} imports {found.imported}"


def test_what_belongs_to_the_command_line_is_imported_by_it_alone() -> None:
    for found in all_imports():
        if inside(found.imported, *COMMAND_LINE):
            assert inside(found.module, *COMMAND_LINE), f"{found.module} imports {found.imported}"


def test_the_analysis_imports_of_ours_the_names_of_columns_alone() -> None:
    assert violations("analysis", "harness.records") == []


SHELVES = ("rows", "shown", "tables", "figures", "papers", "page", "exports")


def test_each_part_of_the_analysis_imports_only_those_before_it() -> None:
    for place, shelf in enumerate(SHELVES):
        later = [f"analysis.{other}" for other in SHELVES[place + 1 :]]
        assert [f for f in all_imports() if inside(f.module, f"analysis.{shelf}") and inside(f.imported, *later)] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports within functions count as well; those for type checkers alone do not."""
    known, below = modules(), {}
    for module in known:
        names = [each.imported for each in all_imports() if each.module == module and not each.for_types]
        found = {name if name in known else name.rpartition(".")[0] for name in names} & set(known)
        below[module] = {name for name in found - {module} if known[name].name != "__init__.py"}

    def reached(module: str) -> set[str]:
        seen: set[str] = set()
        waiting = [*below[module]]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += below[name]
        return seen

    assert [module for module in known if module in reached(module)] == []


def test_nobody_imports_the_command_line() -> None:
    assert [found for found in all_imports() if inside(found.imported, "harness.cli")] == []


@pytest.mark.parametrize(
    ("package", "strangers"),
    [
        ("search_spaces", ("torch", "ray", "optuna", "pandas", "pyarrow", "numpy")),
        ("tasks", ("ray", "optuna", "pandas", "pyarrow")),
        ("analysis", ("torch", "ray")),
    ],
    ids=["search_spaces", "tasks", "analysis"],
)
def test_a_package_knows_nothing_of_what_is_not_its_subject(package: str, strangers: tuple[str, ...]) -> None:
    assert [f for f in all_imports() if inside(f.module, package) and f.package in strangers] == []


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("optuna", {"analysis.tables.importances", "analysis.exports.optuna_studies"}),
        ("mlflow", {"analysis.exports.mlflow_runs"}),
        ("tensorboard", {"analysis.exports.tensorboard_events"}),
    ],
)
def test_the_analysis_needs_other_tools_in_few_modules_and_not_before_they_are_asked_for(
    package: str, homes: set[str]
) -> None:
    found = [each for each in all_imports() if inside(each.module, "analysis") and each.package == package]
    assert {each.module for each in found} == homes
    assert not any(each.at_load for each in found)


def test_ray_is_imported_by_one_module_alone() -> None:
    assert {found.module for found in all_imports() if found.package == "ray"} == {"harness.tuner"}


def test_a_worker_of_ray_loads_little() -> None:
    """Each of its processes imports the module; with torch it would take seconds and 0.5 GiB more, beside the trial."""
    code = "import sys, harness.tuner; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(printed.split()).intersection(SLOW) == set()


def test_protocols_that_are_checked_at_run_time_have_methods_alone() -> None:
    """Python 3.12 sees no attribute that `__getattr__` finds, such as the buffers of a module."""
    attributes = [
        f"{module}.{node.name}"
        for module, tree in trees_with("runtime_checkable")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "runtime_checkable" in map(ast.unparse, node.decorator_list)
        if any(isinstance(part, ast.AnnAssign | ast.Assign) for part in node.body)
    ]
    assert attributes == []


def test_parquet_is_written_by_one_module_alone() -> None:
    writers = {
        module
        for module, tree in trees_with(*WRITERS, "to_parquet")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {*WRITERS, "to_parquet"})
        or (isinstance(node, ast.ImportFrom | ast.Import) and WRITERS & {alias.name for alias in node.names})
    }
    assert writers == {"harness.results.store"}


def test_nothing_slow_is_loaded_on_the_way_to_the_help_of_the_command() -> None:
    waiting, loaded = ["harness.cli"], set()
    while waiting:
        module = waiting.pop()
        loaded.add(module)
        parents = [module.rpartition(".")[0]] if "." in module else []
        named = [found.imported for found in all_imports() if found.module == module and found.at_load]
        ours = [prefix for name in named for prefix in (name, name.rpartition(".")[0])]
        waiting += [name for name in {*parents, *ours} if name in modules() and name not in loaded]
    slow = [
        f"{found.module} imports {found.imported}"
        for found in all_imports()
        if found.module in loaded and found.at_load and found.package in SLOW
    ]
    assert {"harness", "harness.cli", "harness.errors"} <= loaded
    assert slow == []


@pytest.mark.parametrize("package", [module for module, path in modules().items() if path.name == "__init__.py"])
def test_a_package_holds_tables_and_prose_and_loads_nothing_slow(package: str) -> None:
    assert [
        f for f in all_imports() if f.module == package and f.at_load and f.package in (*SLOW, "numpy", "pyarrow")
    ] == []


def test_no_folder_of_tests_is_a_package_and_no_two_tests_share_a_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert "__init__.py" not in names
    assert len(set(names)) == len(names)


def test_what_is_printed_passes_the_one_function_that_makes_text_harmless() -> None:
    printing = {
        f"{module}:{node.lineno}"
        for module, tree in trees_with("print(")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    others = {place for place in printing if not inside(place.partition(":")[0], "harness.terminal.text")}
    assert others == set(), "print with harness.terminal.text.say: names and messages come from other people's files"
