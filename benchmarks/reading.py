"""Reading results: `load_trials` of 100,000 rows against pyarrow's own read of the same files, in processor time."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import analysis
from benchmarks.sizes import sized
from harness.records import TrialRecord, TrialSpec, schema_of
from harness.records.folders import TRIALS
from harness.results.store import Store

NUM_ROWS, NUM_FILES, ROUNDS = sized(100_000, 100), sized(5_000, 5), sized(3, 1)


def run() -> Iterable[Mapping[str, object]]:
    """Ratios of processor time, interleaved: of many files, and of one file after compaction."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.prepare()
        rows = _rows(NUM_ROWS // NUM_FILES)
        schema = schema_of(rows[0])
        for number in range(NUM_FILES):
            part = [row | {"trial_id": f"{number:06}-{place}"} for place, row in enumerate(rows)]
            table = pa.Table.from_pylist(part, schema=schema)
            path = Path(folder, TRIALS, f"{number:06}.parquet")
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)
        ours, theirs = _interleaved(folder)
        yield {
            "measured": f"{NUM_ROWS:,} rows in {NUM_FILES:,} files",
            "seconds": ours,
            "ratio": ours / theirs,
            "goal": "<=1.5",
        }
        store.compact()
        compacted, _ = _interleaved(folder)
        yield {"measured": "the same, compacted", "seconds": compacted, "ratio": ours / compacted, "goal": ">=10"}


def _interleaved(folder: str) -> tuple[float, float]:
    """Median processor seconds of `load_trials`, and of a plain read."""
    acts: dict[str, Callable[[], object]] = {
        "ours": lambda: analysis.load_trials(folder),
        "plain": lambda: ds.dataset(Path(folder, TRIALS), format="parquet").to_table(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            started = time.process_time()
            act()
            seconds[name].append(time.process_time() - started)
    return statistics.median(seconds["ours"]), statistics.median(seconds["plain"])


def _rows(number: int) -> list[dict[str, object]]:
    """Rows as a campaign leaves them."""
    spec = {"task": "digits-mlp", "regularizer": "dropout", "role": "confirm", "scale": "smoke", "code_hash": "0" * 16}
    hyperparameters = {"learning_rate": 0.1, "drop_rate": 0.5, "where": "dense"}
    values = {
        "dataset": "digits", "architecture": "mlp", "metric": "accuracy", "validation_value": 0.5, "test_value": 0.5,
        "train_seconds": 1.5, "epochs_run": 3, "hardware_key": "a processor", "device": "cpu", "torch_version": "2.8",
    }  # fmt: skip
    return [
        TrialRecord(
            spec=TrialSpec(seed=seed, hyperparameters=hyperparameters, **spec),  # type: ignore[arg-type]  # of the fields
            status="completed",
            values=values,
            metrics={"cross_entropy": 0.25},
        ).row()
        for seed in range(number)
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
