"""Rows and curves of the theory's tasks for tests: written as a campaign leaves them, with readings of one's choice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from result_rows import row, write

import analysis
from harness.records import CURVE_SCHEMA

Readings = Sequence[Mapping[str, float]]  # one for each epoch, from 0 on
EXCESS = {"excess_objective": 0.001, "objective": 1.0}


def trial(task: str, regularizer: str, drop_rate: float, readings: Readings, seed: int = 0, scale: str = "paper"):
    """One default trial and its curve points."""
    metrics = {name: value for name, value in readings[-1].items() if name != "excess_objective"}
    made = row(
        task,
        regularizer,
        "default",
        seed,
        readings[-1].get("excess_objective", 0.0),
        scale=scale,
        hp={"drop_rate": drop_rate, "learning_rate": 0.1},
        metrics={"objective": 1.0, **metrics},
        metric="excess_objective",
        higher=False,
    )
    points = [
        {"trial_id": made["trial_id"], "epoch": epoch, "split": "validation", "metric": name, "value": float(value)}
        for epoch, reading in enumerate(readings)
        for name, value in {"steps_per_epoch": 10.0, **reading}.items()
    ]
    return made, points


def load(folder: Path, trials) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and curves by way of files."""
    write(folder, [made for made, _ in trials])
    (folder / "curves").mkdir()
    points = [point for _, points in trials for point in points]
    pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), folder / "curves" / "points.parquet")
    return analysis.load_trials(folder), analysis.load_curves(folder)


def over_epochs(**metrics):
    """Readings from one list per metric; `name_1` is the numbered metric `name/1`."""
    names = [re.sub(r"_(\d)$", r"/\1", name) for name in metrics]
    return [EXCESS | dict(zip(names, values, strict=True)) for values in zip(*metrics.values(), strict=True)]


def at_end(task, rate=0.5, seed=0, regularizer="dropout", **metrics):
    """One trial of which these metrics were read at the end alone; the objective also before training."""
    before = {"excess_objective": 1.0, "objective": 2.0}
    readings = [before, *over_epochs(**{name: [value] for name, value in metrics.items()})]
    return trial(task, regularizer, rate, readings, seed)


def ends(tasks, *values, metric="unevenness", rate=0.5, regularizer="dropout", **more):
    """One trial per task and value, on seeds 0, 1, ..."""
    return [
        at_end(task, rate, seed, regularizer, **{metric: value}, **more)
        for task in tasks
        for seed, value in enumerate(values)
    ]
