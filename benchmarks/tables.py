"""Rankings and timings of many rows: CPU seconds of the tables, beside pandas' own grouping of the same frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from analysis.tables.ranking import ranking_table
from analysis.tables.timing import timing_table
from benchmarks.sizes import sized
from harness.records import TRIAL_COLUMNS

NUM_TASKS, NUM_CONTESTANTS, TRIALS_PER_CELL, NUM_HYPERPARAMETERS = sized((40, 25, 100, 60), (2, 2, 8, 2))


def run() -> Iterable[Mapping[str, object]]:
    """One row per table."""
    trials = rows()
    reference = _cpu_seconds(_grouped, trials)
    for name, table, goal in (("ranking_table", ranking_table, "<=2"), ("timing_table", timing_table, "<=1")):
        seconds = _cpu_seconds(table, trials)
        ratio = seconds / reference
        yield {"table": name, "rows": len(trials), "cpu_seconds": seconds, "goal": goal, "times_groupby": ratio}


def rows(trials_per_cell: int = TRIALS_PER_CELL) -> pd.DataFrame:
    """A campaign as `load_trials` gives it: of each cell nine tenths tune trials, the rest confirmed and timed."""
    rng = np.random.default_rng(0)
    shape = (NUM_TASKS, NUM_CONTESTANTS, trials_per_cell)
    task, contestant, place = (each.ravel() for each in np.indices(shape))
    count = len(task)
    share = place / trials_per_cell
    role = np.where(share < 0.9, "tune", np.where(share < 0.95, "confirm", "timing")).astype(object)
    cell = task * NUM_CONTESTANTS + contestant
    frame = pd.DataFrame({name: pd.Series([None] * count, dtype=object) for name in TRIAL_COLUMNS})
    columns = {
        "trial_id": [f"{each:020x}" for each in range(count)],
        "task": [f"task-{each}" for each in task],
        "regularizer": ["none" if each == 0 else f"regularizer-{each}" for each in contestant],
        "scale": "smoke",
        "role": role,
        "seed": place,
        "tune_index": pd.array(np.where(role == "tune", place, 0), dtype="Int64"),
        "frozen_from": [
            f"{each * trials_per_cell:020x}" if r == "confirm" else None for each, r in zip(cell, role, strict=True)
        ],
        "code_hash": [f"code-{each}" for each in cell],
        "shared_code_hash": [f"shared-{each}" for each in task],
        "dataset_fingerprint": "data",
        "status": "completed",
        "metric": "accuracy",
        "higher_is_better": pd.array([True] * count, dtype="boolean"),
        "validation_value": np.where(place == 0, 1.0, rng.uniform(0.5, 0.9, count)),
        "test_value": np.where(role == "tune", np.nan, rng.uniform(0.5, 0.9, count)),
        "train_seconds": rng.uniform(1, 2, count),
        "seconds_per_step": rng.uniform(0.01, 0.02, count),
        "hardware_key": "cpu",
        "exclusive": pd.array([True] * count, dtype="boolean"),
        "finished_at": datetime(2026, 1, 1, tzinfo=UTC),
        "metric.twin_seconds_per_step": 0.01,
    }
    of_contestant = contestant % NUM_HYPERPARAMETERS
    hyperparameters = {
        f"hp.h{each}": np.where(of_contestant == each, rng.uniform(size=count), np.nan)
        for each in range(NUM_HYPERPARAMETERS)
    }
    return pd.concat(
        [frame.drop(columns=[name for name in columns if name in frame]), pd.DataFrame({**columns, **hyperparameters})],
        axis="columns",
    )


def _grouped(trials: pd.DataFrame) -> object:
    return trials.groupby(["scale", "task", "regularizer"])["test_value"].mean()


def _cpu_seconds(call: Callable[[pd.DataFrame], object], trials: pd.DataFrame) -> float:
    started = time.process_time()
    call(trials)
    return time.process_time() - started
