"""Rows for the tests of the analysis, and files of them, written with plain pyarrow."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import analysis
from harness.records import SUCCESSES, TrialRecord, TrialSpec, schema_of
from harness.records.uniting import united

START = datetime(2026, 1, 1, tzinfo=UTC)


def row(
    task="digits",
    regularizer="none",
    role="confirm",
    seed=0,
    test=None,
    validation=None,
    status="completed",
    scale="smoke",
    hp=None,
    code="code1",
    shared_code="shared1",
    switches="",
    tune_index=None,
    tune_epochs=None,
    frozen_from=None,
    minute=0,
    metrics=None,
    higher=True,
    metric="accuracy",
    suite="",
    selection="best_validation",
    split=0,
    campaign="",
    **values,
):
    """One row; a test value for every role but tune, and the metric wherever the trial succeeded."""
    spec = TrialSpec(
        task=task,
        regularizer=regularizer,
        hyperparameters={"lr": 0.1} if hp is None else hp,
        seed=seed,
        role=role,
        scale=scale,
        code_hash=code,
        shared_code_hash=shared_code,
        switches=switches,
        tune_index=tune_index,
        tune_epochs=tune_epochs,
        frozen_from=frozen_from,
        suite=suite,
        selection=selection,
        split=split,
        campaign_id=campaign,
    )
    if status in SUCCESSES:
        values = {"metric": metric, "higher_is_better": higher, "validation_value": validation, **values}
        if spec.sees_test:
            values["test_value"] = test
    values.setdefault("finished_at", START + timedelta(minutes=minute))
    return TrialRecord(spec=spec, status=status, values=values, metrics=metrics or {}).row()


def confirmed(regularizer, test_values, task="digits", role="confirm", **more):
    """Confirm rows on seeds 0, 1, …, one per value; None is a trial that diverged."""
    return [
        row(task, regularizer, role, seed, value, status="diverged" if value is None else "completed", **more)
        for seed, value in enumerate(test_values)
    ]


def timed(regularizer, ratio, hardware="cpu-a", exclusive=True, seed=0, task="digits", twin=0.01, spread=None, **more):
    """One timing row; its chunks of steps are said to differ by the share `spread` to both sides, if it is given."""
    ranges = {"step_ratio_low": ratio, "step_ratio_high": ratio, "twin_seconds_low": twin, "twin_seconds_high": twin}
    factors = (1 - (spread or 0), 1 + (spread or 0))
    return row(
        task,
        regularizer,
        "timing",
        seed,
        0.9,
        seconds_per_step=twin * ratio,
        metrics={
            "twin_seconds_per_step": twin,
            "step_ratio": ratio,
            "minutes_per_100_epochs": twin * ratio * 30 * 100 / 60,  # of epochs with 30 steps
            **({name: value * factors[name.endswith("high")] for name, value in ranges.items()} if spread else {}),
        },
        hardware_key=hardware,
        exclusive=exclusive,
        **more,
    )


def write(folder: Path, rows, kind="trials"):
    """One Parquet file per row, as a campaign leaves them."""
    (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(rows):
        path = folder / kind / f"{number:05d}-{each['trial_id']}.parquet"
        pq.write_table(pa.Table.from_pylist([each], schema=schema_of(each)), path)
    return folder


def one_file(folder: Path, rows) -> pd.DataFrame:
    """Like `frame`, by way of a single file, as compaction leaves it: quicker for hundreds of rows."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    tables = [pa.Table.from_pylist([each], schema=schema_of(each)) for each in rows]
    pq.write_table(united(tables), folder / "trials" / "all.parquet")
    return analysis.load_trials(folder)


def frame(folder: Path, rows) -> pd.DataFrame:
    """The rows by way of files, as `load_trials` gives them."""
    return analysis.load_trials(write(folder, rows))
