"""What the harness adds: seconds per trial with an empty body, and a digits campaign against its trials' own time."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import process
from benchmarks.sizes import IS_TINY, sized

EMPTY_TASK = '''
"""A task whose body is empty: what is left is the harness."""
from types import SimpleNamespace

from torch import nn
from tasks.runtime.switches import Switches
from tasks.task import Task
from tasks.runtime.trained import Trained


class Nothing:
    num_parameters = 0
    batches = SimpleNamespace(batch_size=1, num_samples=1)
    network = nn.Identity()
    protocol = SimpleNamespace(switches=Switches())

    def run(self, checkpoints):
        reading = {"validation": {"value": 0.5}, "test": {"value": 0.5}}
        return Trained(epochs_run=1, num_steps=1, train_seconds=1e-9, final=reading, best=reading)


class Empty(Task):
    dataset, architecture, metric, higher_is_better = "", "", "value", True

    def default_learning_rate(self, scale):
        return 0.1

    def epochs(self, scale):
        return 1

    def example_network(self):
        return nn.Identity()

    def prepare(self, regularizers, setting):
        return Nothing()


EMPTY = Empty()
'''
NUM_EMPTY_TRIALS, NUM_DIGITS_TRIALS = sized((200, 60), (4, 4))
NUM_DIGITS_CELLS = 4


def run() -> list[dict[str, object]]:
    """Both measurements, each on a local Ray that has run its first trials already.

    Raises:
        RuntimeError: if a trial failed.
    """
    with tempfile.TemporaryDirectory(prefix="regarena-bench-") as folder:
        _install_plugin(Path(folder))
        with process(as_a_trial=False) as executor:  # a fresh one: this one may have looked up the tasks already
            return [executor.submit(measure, folder).result() for measure in (_empty_campaign, _digits_campaign)]


def _install_plugin(folder: Path) -> None:
    """Put the empty task on the path as an installed package would: with an entry point."""
    (folder / "empty_task.py").write_text(EMPTY_TASK)
    information = folder / "empty_task-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: empty-task\nVersion: 0\n")
    (information / "entry_points.txt").write_text("[regarena.tasks]\nempty = empty_task:EMPTY\n")
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def _empty_campaign(folder: str) -> dict[str, object]:
    """Wall seconds per trial between the first ends and the last, child process and fsynced row included."""
    from tasks.suites import Group, Suite

    names = ("none", "weight_decay", "max_norm", "label_smoothing")
    suite = Suite(
        groups=(Group(tasks=("empty",), regularizers=names),),
        scale="smoke",
        tune_trials=0,
        seeds=NUM_EMPTY_TRIALS // len(names),
    )
    ends = _ends(suite, f"{folder}/empty")
    warm = ends[len(ends) // 10 :]  # the first tenth includes the actors' and the fork servers' start
    return {
        "trials": len(ends),
        "seconds_per_trial": (warm[-1] - warm[0]) / (len(warm) - 1),
        "reach": 0.06,
    }


def _digits_campaign(folder: str) -> dict[str, object]:
    """Wall seconds of a whole campaign, Ray's start included, over its trials' own seconds divided by the cores."""
    from harness.results.store import Store
    from tasks.suites import Group, Suite

    names = ("none", "dropout", "weight_decay", "label_smoothing")
    seeds = NUM_DIGITS_TRIALS // NUM_DIGITS_CELLS
    group = Group(tasks=("digits-convnet",), regularizers=names)
    suite = Suite(groups=(group,), scale=sized("paper", "smoke"), tune_trials=0, seeds=seeds)
    started = time.perf_counter()
    ends = _ends(suite, f"{folder}/digits")
    wall = time.perf_counter() - started
    own = sum(finished.seconds for finished in Store(f"{folder}/digits").finished().values())
    ideal = own / (os.cpu_count() or 1)
    return {"trials": len(ends), "wall_seconds": wall, "ideal_seconds": ideal, "ratio": wall / ideal, "reach": 1.25}


def _ends(suite: object, results: str) -> list[float]:
    """Run a suite and return when each of its trials ended, in seconds."""
    from harness.campaign import run_campaign
    from harness.plan import Budget
    from harness.records.folders import TRIALS
    from harness.request import Request
    from harness.results.store import Store
    from tasks.suites import Suite

    assert isinstance(suite, Suite)
    budget = Budget(scale=suite.scale, tune_trials=0, seeds=suite.seeds, timing_repeats=0)  # type: ignore[arg-type]  # Budget checks the scale
    request = Request(suite_name="benchmark", suite=suite, results=results, budget=budget, serial=IS_TINY)
    outcome = run_campaign(request)
    if outcome.failures:
        raise RuntimeError(f"{outcome.failures} ended without a result, whose times tell nothing: see {results}.")
    store = Store(results)
    rows = [row for path in store.files(TRIALS) for row in store.read(path).to_pylist()]
    return sorted(row["finished_at"].timestamp() for row in rows)
