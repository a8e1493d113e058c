"""What the fork server imports before it forks a child for each trial."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import harness.workers.preload
from harness.contestants import Contestant
from harness.execution import Execution
from harness.records import TrialSpec
from harness.trial import run_trial
from tasks.experiments import TASKS

name = "thesis-theorem7"
values = Contestant("none").resolve(TASKS[name], "smoke")
spec = TrialSpec(
    task=name, regularizer="none", hyperparameters=values, seed=0, role="default", scale="smoke", code_hash=""
)
before = set(sys.modules)
record = run_trial(spec, Execution())
print(json.dumps([record.status, sorted(set(sys.modules) - before)]))
"""


@pytest.mark.slow
def test_a_trial_imports_nothing_that_the_fork_server_could_have_imported():
    """Every child would import it anew; pandas alone takes longer than an empty trial."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["completed", []]
