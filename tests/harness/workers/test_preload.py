"""What the fork server imports before it forks a child for each trial."""

import json
import os
import subprocess
import sys

import pytest

from harness.workers.isolation import MODULES_VARIABLE, PRELOAD_VARIABLE
from tasks.experiments import TASKS

SCRIPT = """
import json, sys
import harness.workers.preload
from harness.contestants import Contestant
from harness.execution import Execution
from harness.records import TrialSpec
from harness.trial import run_trial
from tasks.experiments import TASKS

name = sys.argv[1]
values = Contestant("none").resolve(TASKS[name], "smoke")
spec = TrialSpec(
    task=name, regularizer="none", hyperparameters=values, seed=0, role="default", scale="smoke", code_hash=""
)
before = set(sys.modules)
record = run_trial(spec, Execution())
print(json.dumps([record.status, sorted(set(sys.modules) - before)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["thesis-theorem7", "synthetic-ratings-factors"])
def test_a_trial_imports_nothing_that_the_fork_server_could_have_imported(task):
    """Every child would import it anew; pandas or numba alone take longer than an empty trial."""
    wanted = {PRELOAD_VARIABLE: task, MODULES_VARIABLE: ",".join(TASKS[task].libraries)}
    for _ in range(2):  # the first compiles what Numba then keeps on the disk
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, task], capture_output=True, text=True, check=True, env=os.environ | wanted
        )
    assert json.loads(done.stdout) == ["completed", []]
