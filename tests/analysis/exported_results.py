"""Results folders for the tests of exports: a search with every kind of ending, winners, a timing trial, curves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from result_rows import START, confirmed, row, timed, write

from harness.records import CURVE_SCHEMA

ESCAPE, FORMULA, MARKUP = "evil\x1b[2J", "=cmd|' /C calc'!A0", "50_% & <b>|[x](y)"

STATUSES = ("completed", "pruned", "diverged", "completed", "failed")


def searched(task: str = "digits", regularizer: str = "dropout", **more: object) -> list[dict[str, object]]:
    """A search of five trials: drop rates 0, 0.1, ... 0.4 and validation values 0.5, 0.6, ..."""
    return [
        row(
            task, regularizer, "tune", seed=7, status=status, tune_index=place,
            hp={"drop_rate": place / 10, "where": "all"}, started_at=START, epochs_run=2, train_seconds=1.5,
            campaign="c1",
            **({"validation_value": 0.5 + place / 10, "metric": "accuracy", "higher_is_better": True}
               if status == "pruned" else {"validation": 0.5 + place / 10} if status == "completed" else {}),
            **({"error_type": "ValueError", "error_message": ESCAPE} if status == "failed" else {}), **more,
        )
        for place, status in enumerate(STATUSES)
    ]  # fmt: skip


def results(folder: Path, rows: list[dict[str, object]] | None = None) -> Path:
    """A folder with a search, confirmed winners of two contestants, a timing trial and a skipped cell; with curves."""
    if rows is None:
        rows = [
            *searched(),
            *confirmed("none", [0.7, 0.8, 0.75], metrics={"cross_entropy": 0.5}),
            *confirmed(MARKUP, [0.8, 0.9, 0.88]),
            timed("none", 1.0),
            timed("none", 1.1, hardware="cpu-b"),
            row("digits", "dropblock", "default", status="skipped", reason="It needs a conv site."),
        ]
    write(folder, rows)
    points = [
        {"trial_id": each["trial_id"], "epoch": epoch, "split": split, "metric": "accuracy", "value": 0.1 * epoch + 0.3}
        for each in rows
        if each["status"] != "skipped"
        for epoch in (0, 1, 2)
        for split in ("validation", "train")
    ]
    (folder / "curves").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), folder / "curves" / "all.parquet")
    return folder
