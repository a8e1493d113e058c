"""The README's example of a regularizer is complete, short, and competes; CONTRIBUTING names modules as they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAX_CODE_LINES = 25


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which pip installed the example from its two files."""
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "input_noise.py").write_text(block("python", "class InputNoise"), encoding="utf-8")
    (package / "pyproject.toml").write_text(block("toml", "regarena.regularizers"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--target", str(site), str(package)], check=True, timeout=300)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def test_the_example_has_at_most_25_lines_of_code():
    lines = [line for line in block("python", "class InputNoise").splitlines() if line.strip()]
    assert len(lines) <= MAX_CODE_LINES


@pytest.mark.slow
def test_the_example_competes_beside_the_baseline_once_its_package_is_installed(installed, tmp_path):
    results = tmp_path / "results"
    command = "tune digits-mlp --regularizer input_noise --tune-trials 2 --seeds 2 --scale smoke --serial --results"
    run = subprocess.run(
        [sys.executable, "-m", "harness.cli", *command.split(), str(results)],
        env=installed, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    trials = analysis.load_trials(results)
    of_example = trials[trials["regularizer"] == "input_noise"]
    assert set(of_example["role"]) == {"default", "tune", "confirm"}
    assert set(of_example["status"]) == {"completed"}
    assert of_example["hp.deviation"].between(0.01, 1.0).all()
    assert "input_noise" in run.stdout


@pytest.mark.slow
def test_the_example_keeps_the_laws_of_contestants(installed, tmp_path):
    check = subprocess.run(
        [sys.executable, "-m", "harness.cli", "check", "input_noise"],
        env=installed, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert (check.returncode, check.stderr) == (0, "")
    assert re.fullmatch(r"regularizer input_noise \(input-noise\): all \d+ laws hold\.\n", check.stdout)


def way_of_one_trial() -> dict[str, list[str]]:
    """The table of CONTRIBUTING: each module with those that it hands over to."""
    section = CONTRIBUTING.partition("## The way of one trial")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {re.findall(r"`([^`]+)`", first)[0]: re.findall(r"`([^`]+)`", last) for first, _, last in cells}


def test_each_module_on_the_way_of_a_trial_imports_those_that_it_hands_over_to():
    way = way_of_one_trial()
    assert len(way) > 8
    for module, others in way.items():
        code = (ROOT / module).read_text(encoding="utf-8")
        for other in others:
            package, _, name = other.removesuffix(".py").replace("/", ".").rpartition(".")
            assert re.search(rf"from {package}(\.{name} import| import \(?[^)\n]*\b{name}\b)", code), (module, other)
            assert other in way or other == "harness/progress.py", f"{other} has a row of its own"


def test_the_way_of_a_trial_names_every_module_in_the_root_of_the_harness():
    section = CONTRIBUTING.partition("## The way of one trial")[2].partition("\n## ")[0]
    unnamed = [path.name for path in (ROOT / "harness").glob("*.py") if f"harness/{path.name}" not in section]
    assert unnamed == ["__init__.py"]
