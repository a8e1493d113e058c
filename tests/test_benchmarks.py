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


def output_of(name):
    environment = os.environ | {VARIABLE: "tiny", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "benchmarks", name]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_module_that_measures_is_named():
    measuring = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef run(" in path.read_text()}
    assert set(NAMES) == measuring


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_to_its_end_and_measures_something(name):
    rows = re.search(rf"^{name}: .*\n((?:  .*\n)*)", output_of(name), re.MULTILINE)
    assert rows is not None
    assert rows[1], "it has rows"
    assert "nan" not in re.findall(r"=(\S+)", rows[1])
