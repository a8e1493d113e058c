"""Reports of large campaigns: CPU seconds of `write_report` on rows in one file, and seconds until the page is open."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import analysis
from benchmarks import tables
from benchmarks.sizes import sized
from harness.records import CURVE_SCHEMA, SCHEMA_VERSION, TRIAL_FIELDS
from harness.records.folders import CURVES, TRIALS

NUM_EPOCHS = sized(60, 4)
TRIALS_PER_CELL = sized((100, 20), (20, 20))  # of 1,000 cells: without curves, and with curves
GOALS = ("<=30", "<=60")  # CPU seconds
_OPEN_GOAL = "<=3"  # seconds


def run() -> Iterable[Mapping[str, object]]:
    """One row per campaign, and one for its page where Chromium is installed."""
    for trials_per_cell, goal, with_curves in zip(TRIALS_PER_CELL, GOALS, (False, True), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            trials = tables.rows(trials_per_cell)
            write_campaign(Path(folder), trials, with_curves)
            started = time.process_time()
            page = Path(analysis.write_report(folder))
            what = {"rows": len(trials), "curves": with_curves}
            yield {**what, "cpu_seconds": time.process_time() - started, "goal": goal}
            seconds = _seconds_to_open(page)
            if seconds is not None:
                megabytes = page.stat().st_size / 1e6
                yield {**what, "page_megabytes": megabytes, "seconds_to_open": seconds, "goal": _OPEN_GOAL}


def write_campaign(folder: Path, trials: pd.DataFrame, with_curves: bool) -> None:
    """A results folder with these rows in one file; with curves of all trials that are not timed."""
    types = dict(TRIAL_FIELDS)
    trials = trials.assign(schema_version=SCHEMA_VERSION)
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in trials.columns])
    (folder / TRIALS).mkdir()
    pq.write_table(pa.Table.from_pandas(trials, schema=schema, preserve_index=False), folder / TRIALS / "all.parquet")
    if not with_curves:
        return
    rng = np.random.default_rng(1)
    parts = []
    for split, roles in (("validation", ("tune", "confirm")), ("test", ("confirm",))):
        ids = trials.loc[trials["role"].isin(roles), "trial_id"].to_numpy()
        epochs = np.tile(np.arange(1, NUM_EPOCHS + 1), len(ids))
        columns = {
            "trial_id": np.repeat(ids, NUM_EPOCHS),
            "epoch": epochs,
            "split": [split] * len(epochs),
            "metric": ["accuracy"] * len(epochs),
            "value": 0.9 - 0.5 / epochs + rng.normal(0, 0.02, len(epochs)),
            "train_seconds": 0.1 * epochs,
        }
        parts.append(pa.table(columns, schema=CURVE_SCHEMA))
    (folder / CURVES).mkdir()
    pq.write_table(pa.concat_tables(parts), folder / CURVES / "all.parquet")


def _seconds_to_open(page: Path) -> float | None:
    """Seconds until a headless Chromium has loaded the page and drawn its first frame; None if it is not installed."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        opened.get("about:blank")
        started = time.perf_counter()
        opened.get(page.as_uri())
        opened.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        return time.perf_counter() - started
    finally:
        opened.quit()


if __name__ == "__main__":
    for row in run():
        print(row)
