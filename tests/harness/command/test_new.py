"""`regarena new` writes packages that work as they are, and nothing where it should not."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugins import forget
from slow_params import slow_but

from harness.checks import contestants
from harness.checks.contestant_trainings import ends_in_finite_values_with_its_defaults
from harness.checks.law import findings
from harness.cli import main
from harness.command.check import check
from harness.command.new import _write, check_name, class_name
from harness.command.parameters import NewKind
from harness.errors import BadInput
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.table import UnknownNameError

ROOT = Path(__file__).resolve().parents[3]
Call = Callable[..., tuple[int, str, str]]

PACKAGES = {  # what is written: (arguments, entries)
    "transform_batch": (["regularizer", "brand_new"], ["brand_new"]),
    "penalty": (["regularizer", "brand_new", "--hook", "penalty"], ["brand_new"]),
    "fill": (["regularizer", "brand_new", "--hook", "fill"], ["brand_new"]),
    "task": (["task", "brand-new"], ["brand-new"]),
    "dataset": (["dataset", "brand-new"], ["brand-new", "brand-new-mlp"]),
}


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Exit code, output and errors of `regarena new`, called in this process in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["regarena", "new", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return called


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Install a package as `pip install -e` does, until the test ends: its entry points, and its `src` on the path."""

    def install(package: Path) -> None:
        project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        information = tmp_path / "site" / f"{project['name']}-{project['version']}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        sections = [
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
            for group, entries in project["entry-points"].items()
        ]
        (information / "entry_points.txt").write_text("\n".join(sections))
        for folder in (information.parent, package / "src"):
            monkeypatch.syspath_prepend(folder.resolve())
        importlib.invalidate_caches()
        forget()

    yield install
    monkeypatch.undo()
    forget()
    sys.modules.pop("brand_new", None)


@pytest.mark.parametrize("what", PACKAGES)
def test_a_package_is_formatted_and_free_of_lint(what: str, call: Call) -> None:
    arguments, _ = PACKAGES[what]
    assert call(*arguments)[0] == 0
    for options in (["check"], ["format", "--check", "--diff"], ["check", "--config", str(ROOT / "pyproject.toml")]):
        folder = "src" if "--config" in options else "."
        command = [sys.executable, "-m", "ruff", *options, "--no-cache", folder]
        ended = subprocess.run(command, cwd=arguments[1], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("hook", ["transform_batch", "penalty", "fill"])
def test_a_regularizer_keeps_the_laws_that_need_no_training(
    hook: str, call: Call, installed: Callable[[Path], None]
) -> None:
    call(*PACKAGES[hook][0])
    installed(Path("brand_new"))
    assert REGULARIZERS.package("brand_new") == "brand-new"
    laws = contestants.LAWS[:10]
    assert ends_in_finite_values_with_its_defaults not in laws
    assert list(findings(contestants.Entrant.of("brand_new"), laws)) == []


@pytest.mark.parametrize("what", slow_but(PACKAGES, quick=["task"]))
def test_an_installed_package_keeps_all_laws_unchanged(
    what: str, call: Call, installed: Callable[[Path], None]
) -> None:
    arguments, entries = PACKAGES[what]
    code, out, _ = call(*arguments)
    assert code == 0
    installed(Path(arguments[1]))
    assert {report.name: report.findings for report in check(*entries)} == dict.fromkeys(entries, ())
    assert f"regarena check {' '.join(entries)}\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("what", PACKAGES)
def test_pip_installs_a_package_and_its_own_tests_pass(what: str, call: Call, tmp_path: Path) -> None:
    arguments, entries = PACKAGES[what]
    call(*arguments)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--target", str(site), f"./{arguments[1]}"], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    for command in (["pytest", "-q", "-W", "error"], ["harness.cli", "check", *entries]):
        ended = subprocess.run(
            [sys.executable, "-m", *command], cwd=arguments[1], env=environment, capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_file_can_be_checked_before_it_is_installed(call: Call) -> None:
    call("regularizer", "brand_new", "--into", "elsewhere/deep")
    assert sorted(map(str, Path("elsewhere/deep").rglob("*.py"))) == [
        "elsewhere/deep/src/brand_new.py",
        "elsewhere/deep/tests/test_brand_new.py",
    ]
    with pytest.raises(UnknownNameError):
        REGULARIZERS["brand_new"]


REFUSED = {  # arguments -> what the sentence says
    "regularizer dropout": "There is a regularizer named 'dropout' already (of the package regarena)",
    "task dropout": "There is a regularizer named 'dropout' already",
    "dataset digits": "There is a dataset named 'digits' already",
    "regularizer MyNoise": "got 'MyNoise'; 'my_noise' is one.",
    "regularizer my-noise": "got 'my-noise'; 'my_noise' is one.",
    "regularizer 2nd": "the first a letter, got '2nd'",
    "regularizer ../noise": "got '../noise'; 'noise' is one.",
    "regularizer lambda": "a module 'lambda', which is a word of Python",
    "task torch": "a module 'torch', which is a word of Python or an installed module",
    f"task {'a' * 61}": "at most 60 lower-case letters",
    "task overall": "Rankings name their rows over all tasks 'overall'; choose another name.",
    "optimizer mine": "Invalid value for 'KIND': 'optimizer' is not one of 'regularizer', 'task', 'dataset'",
    "task mine --hook fill": "--hook is for regularizers; a task has none.",
    "task mine --into s3://bucket/folder": "--into takes a folder of this machine, got s3://bucket/folder.",
    "task mine --into /proc/mine": "The folder /proc/mine cannot be written",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda arguments: arguments[:30])
def test_what_is_not_allowed_is_one_sentence_and_writes_nothing(arguments: str, call: Call) -> None:
    code, out, error = call(*arguments.split())
    assert (code, out) == (2, "")
    assert REFUSED[arguments] in error
    assert error.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


def test_a_data_set_is_refused_if_the_name_of_its_task_is_taken() -> None:
    TASKS.add("brand-new-mlp", "some:TASK")
    try:
        with pytest.raises(BadInput, match="There is a task named 'brand-new-mlp' already"):
            check_name(NewKind.dataset, "brand-new")
    finally:
        forget()


def test_a_folder_with_files_is_left_as_it_is_and_an_empty_one_is_used(call: Call) -> None:
    Path("brand_new").mkdir()
    Path("brand_new/pyproject.toml").write_text("mine")
    code, _, error = call("regularizer", "brand_new")
    assert code == 2
    assert "The folder brand_new is not empty" in error
    assert [path.read_text() for path in Path("brand_new").iterdir()] == ["mine"]
    Path("empty").mkdir()
    assert call("regularizer", "brand_new", "--into", "empty")[0] == 0
    assert Path("empty/src/brand_new.py").is_file()


def test_nothing_is_left_if_a_file_cannot_be_written(tmp_path: Path) -> None:
    texts = {"src/a.py": "", "n" * 300: "a name that is too long for a file"}
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(BadInput, match="cannot be written"):
            _write(folder, texts)
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_the_name_of_the_class_is_no_name_that_the_module_imports() -> None:
    templates = ROOT / "harness" / "command" / "templates" / "regularizer"
    imports = [
        line
        for path in templates.glob("*/module.py.j2")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("from ")
    ]
    imported = {name for line in imports for name in line.partition(" import ")[2].split(", ")}
    assert {"Tensor", "MaskStream", "Step"} <= imported
    for name in imported:
        assert class_name(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()) not in imported
    assert class_name("step") == "StepRegularizer"
    assert class_name("my_step_2") == "MyStep2"
