"""Trials whose images are read by worker processes: the same values, and nothing left behind however they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from arena import Arena, await_that, by_id, processes_of
from image_folders import write_images

NUM_WORKERS = 2

RUN = """
import json, os, sys, time
from types import SimpleNamespace
from harness.contestants import Contestant
from harness.execution import Execution
from harness.workers import isolation
from harness.workers.isolation import run_isolated
from harness.records import TrialSpec
from tasks.experiments import TASKS

# The clock of the limit stands still until the limit is to be over.
isolation.time = SimpleNamespace(sleep=time.sleep, monotonic=lambda: 1e9 * os.path.exists("limit is over"))
name, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) or None
values = Contestant(name).resolve(TASKS["tiny-folders"], "smoke")
spec = TrialSpec(
    task="tiny-folders", regularizer=name, hyperparameters=values, seed=0, role="default", scale="smoke", code_hash=""
)
execution = Execution(data_dir="data", cpu_threads=threads, trial_seconds=seconds, preload=("tiny-folders",))
row = run_isolated(spec, execution).row()
print(json.dumps({k: v for k, v in row.items() if not k.endswith("_at")}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def arena(tmp_path):
    arena = Arena(tmp_path)
    write_images(tmp_path / "data" / "four-folders", ("a", "b", "c", "d"), num_train=48, num_val=5)
    return arena


def asking(arena, name, threads=NUM_WORKERS, seconds=0.0):
    """A process that asks for one trial, prints its row, and then stays until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, name, str(threads), str(seconds)],
        cwd=arena.folder,
        env=arena.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def row_of(asked):
    return json.loads(asked.stdout.readline())


def ended(arena, asked):
    asked.communicate()
    await_that(lambda: not processes_of(arena), "nothing is left")


@pytest.mark.slow
def test_a_trial_with_workers_has_the_values_of_one_without(arena):
    measured = []
    for threads in (1, NUM_WORKERS):
        asked = asking(arena, "none", threads)
        row = row_of(asked)
        assert row["status"] == "completed", row["error_message"]
        measured.append([row[name] for name in ("validation_value", "test_value", "metric.cross_entropy")])
        ended(arena, asked)
    assert measured[0] == measured[1]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["timeout", "kill"])
def test_a_trial_that_is_killed_takes_its_workers_along(arena, end):
    asked = asking(arena, "hang_holding_the_lock", seconds=4.0 if end == "timeout" else 0.0)
    await_that(lambda: arena.executions, "the trial trains")
    trial_and_workers = 1 + NUM_WORKERS
    await_that(lambda: len(processes_of(arena)) >= 2 + trial_and_workers, "workers read for it", asked)
    if end == "timeout":
        before = processes_of(arena)
        (arena.folder / "limit is over").touch()
        row = row_of(asked)
        assert row["status"] == "timeout"
        await_that(lambda: len(processes_of(arena)) <= len(before) - trial_and_workers, "its workers are gone", asked)
    else:
        os.kill(asked.pid, signal.SIGKILL)
    ended(arena, asked)


@pytest.mark.slow
def test_a_campaign_on_files_tells_once_what_they_are(arena):
    asked = ("run", "on-folders", "--serial", "--data", "data", "--results", "r", "--cpus-per-trial", str(NUM_WORKERS))
    run = arena.regarena(*asked)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("differs from the official release") == 1
    assert "four-folders" in run.stdout
    rows = by_id(arena.folder / "r").values()
    assert len(rows) == 2
    (fingerprint,) = {row["dataset_fingerprint"] for row in rows}
    assert f"dataset_fingerprint ({fingerprint})" in " ".join(run.stdout.split())
