"""In a folder that holds packages of the names of ours, everything works, or one sentence names what is in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import analysis

ROOT = Path(__file__).resolve().parents[3]
COMMAND = "from harness.cli import main; main()"
LIST = ("list", "suites")


def python(folder: Path, code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a folder: with an empty entry in front of the import path, as `python -c` has it."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["tasks", "search_spaces", "analysis"])
@pytest.mark.parametrize("as_file", [False, True], ids=["folder", "file"])
def test_the_command_names_what_stands_in_the_way_of_its_packages(name: str, as_file: bool, tmp_path: Path) -> None:
    in_the_way = tmp_path / (f"{name}.py" if as_file else name)
    if not as_file:
        in_the_way.mkdir()
    (in_the_way if as_file else in_the_way / "__init__.py").write_text("", encoding="utf-8")
    done = python(tmp_path, COMMAND, *LIST)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = f"Python finds {in_the_way.resolve()} in place of regarena's own package {name!r}"
    assert done.stderr.startswith(f"regarena: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_folder_without_code_stands_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    assert python(tmp_path, COMMAND, *LIST).returncode == 0


def test_the_analysis_names_what_stands_in_the_way_of_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "harness.py").write_text("", encoding="utf-8")
    done = python(tmp_path, "import analysis; analysis.load_trials")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"ImportError: Python finds {tmp_path.resolve() / 'harness.py'} in place of regarena's own package 'harness'"
    )


def test_the_analysis_says_that_its_neighbour_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="'harness', which the analysis needs, is missing; install regarena again"):
        _ = analysis.load_trials


@pytest.mark.slow
def test_a_trial_uses_the_packages_of_who_asks_for_it_whatever_the_folder_holds(tmp_path: Path) -> None:
    for name in ("tasks", "search_spaces"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not ours')", encoding="utf-8")
    run = "tune digits-mlp --regularizer none --tune-trials 0 --seeds 1 --scale smoke --serial --results results"
    done = python(tmp_path, COMMAND, *run.split(), PYTHONSAFEPATH="1")  # as the installed command starts
    assert done.returncode == 0, done.stderr
