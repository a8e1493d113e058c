"""Every benchmark runs to its end; what it measures then is too small to mean anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.sizes import VARIABLE

ROOT = Path(__file__).parent.parent


QUICK = ("subnetworks",)


def output_of(names):
    environment = os.environ | {VARIABLE: "tiny", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "benchmarks", *names]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def said(request):
    return output_of(request.param)


def test_every_module_that_measures_is_named():
    measuring = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef run(" in path.read_text()}
    assert set(NAMES) == measuring


OTHERS = tuple(name for name in NAMES if name not in QUICK)


@pytest.mark.parametrize(
    ("said", "name"),
    [(QUICK, name) for name in QUICK] + [pytest.param(OTHERS, name, marks=pytest.mark.slow) for name in OTHERS],
    indirect=["said"],
    ids=[*QUICK, *OTHERS],
)
def test_it_runs_to_its_end_and_measures_something(said, name):
    rows = re.search(rf"^{name}: .*\n((?:  .*\n)*)", said, re.MULTILINE)
    assert rows is not None
    assert rows[1], "it has rows"
    assert "nan" not in re.findall(r"=(\S+)", rows[1])
