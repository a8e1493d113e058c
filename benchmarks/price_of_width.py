"""What wide searches and halving cost on real cells: best validation values, confirmed values, epochs.

Each study is a search with a seed of its own on each of four cells: at width 1, at width 8, and with halving. Studies
of one seed are compared in pairs. A trial that several of the three searches ask for is trained once: the first
proposals, drawn at random, are the same at any width. Rows are kept in the folder `REGARENA_PRICE_FOLDER`, so that the
same command goes on where it was stopped; `REGARENA_PRICE_STUDIES` is the number of studies. Twenty are about 8,700
trials, of 0.1 to 0.8 s of CPU time each.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tables.statistics import equivalence_p_value, mean_interval
from benchmarks.processes import processes
from benchmarks.sizes import IS_TINY, sized
from harness import serial
from harness.control.requests import Requests
from harness.execution import Execution
from harness.plan import Budget, Plan, make_plan
from harness.progress import Progress
from harness.results.store import Store
from harness.schedule import Schedule
from harness.search.halving import BRACKET
from harness.workers.processors import usable_cpus
from tasks.suites import Group, Suite

FOLDER_VARIABLE, STUDIES_VARIABLE = "REGARENA_PRICE_FOLDER", "REGARENA_PRICE_STUDIES"
TASKS = sized(("digits-200-convnet", "digits-200-mlp"), ("digits-200-mlp",))
REGULARIZERS = sized(("dropout", "localdrop"), ("dropout",))
NUM_PROPOSALS = sized(4 * BRACKET, BRACKET)
NUM_CONFIRM = sized(3, 1)
MARGIN = 0.01  # of accuracy, within which confirmed values count as equal
WIDTH_GOAL, EPOCHS_GOAL = 0.25, 0.35
_COLUMNS = ("trial_id", "role", "status", "validation_value", "test_value", "epochs_run", "epochs_planned")

Cell = tuple[str, str]
Searches = Sequence[Sequence["Found"]]  # of one arm: for each cell, one of each study


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to search."""

    name: str
    width: int
    halving: bool = False
    num_confirm: int = 0


NARROW = Arm(name="width-1", width=1)
WIDE = Arm(name="width-8", width=8, num_confirm=NUM_CONFIRM)
HALVED = Arm(name="halving", width=BRACKET, halving=True, num_confirm=NUM_CONFIRM)
ARMS = (NARROW, WIDE, HALVED)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one search of one cell ended with."""

    best: float  # validation value of a tune trial
    confirmed: float  # mean test value of the confirm trials; NaN without any
    epochs: int  # that the tune trials took
    whole_epochs: int  # that they would have taken without halving


def run() -> Iterable[Mapping[str, object]]:
    """Two rows per cell, and two over all cells: width 8 against 1, and halving against none."""
    num_studies = int(os.environ.get(STUDIES_VARIABLE, sized(20, 2)))
    with _folder() as folder:
        _run_searches(folder, num_studies)
        found = {(arm.name, study): read(folder, arm, study) for arm in ARMS for study in range(num_studies)}
    cells = [(task, regularizer) for task in TASKS for regularizer in REGULARIZERS]
    of = {arm: [[found[arm.name, study][cell] for study in range(num_studies)] for cell in cells] for arm in ARMS}
    for place, (task, regularizer) in enumerate(cells):
        named = {"task": task, "regularizer": regularizer, "studies": num_studies}
        yield named | price_of_width(of[NARROW][place : place + 1], of[WIDE][place : place + 1])
        yield named | price_of_halving(of[WIDE][place : place + 1], of[HALVED][place : place + 1])
    named = {"task": "all", "regularizer": "all", "studies": num_studies}
    yield named | price_of_width(of[NARROW], of[WIDE])
    yield named | price_of_halving(of[WIDE], of[HALVED])


def price_of_width(narrow: Searches, wide: Searches) -> dict[str, object]:
    """The best validation value at width 8 less that at width 1, in standard deviations over studies at width 1.

    Differences are divided by the standard deviation of their cell. The interval is over studies, of the mean over
    cells: cells of one study share seeds, so they count once.
    """
    first, second = (np.array([[each.best for each in cell] for cell in arm]) for arm in (narrow, wide))
    spread = np.std(first, axis=1, ddof=1)
    varies = spread > 0  # false only for very few studies
    difference = ((second - first)[varies] / spread[varies, None]).mean(axis=0) if varies.any() else np.zeros(2)
    low, high = mean_interval(difference)
    return {
        "width_1": float(first.mean()),
        "width_8": float(second.mean()),
        "standard_deviation": float(spread.mean()),
        "difference_in_sd": float(difference.mean()),
        "low": low,
        "high": high,
        "goal": f"within {WIDTH_GOAL}",
    }


def price_of_halving(whole: Searches, halved: Searches) -> dict[str, object]:
    """The confirmed value with halving less that without, and the share of the epochs that halving took.

    Values are means over cells, the interval is over studies.
    """
    without, with_ = (
        np.array([[each.confirmed for each in cell] for cell in arm]).mean(axis=0) for arm in (whole, halved)
    )
    low, high = mean_interval(with_ - without)
    searches = [each for cell in halved for each in cell]
    return {
        "confirmed_without": float(without.mean()),
        "confirmed_with_halving": float(with_.mean()),
        "difference": float((with_ - without).mean()),
        "low": low,
        "high": high,
        "equivalent_p": equivalence_p_value(with_, without, MARGIN),
        "margin": MARGIN,
        "epochs_share": sum(each.epochs for each in searches) / sum(each.whole_epochs for each in searches),
        "goal": f"<={EPOCHS_GOAL}",
    }


def read(folder: Path, arm: Arm, study: int) -> dict[Cell, Found]:
    """What the searches of an arm ended with in a study, by cell: the rows that this arm asked for, and no others."""
    store = Store(_place(folder, study))
    schedule = Schedule(_plan(arm, study), store.finished(), proposals=store.proposals)
    rows = {row["trial_id"]: row for row in store.rows(_COLUMNS)}
    return {
        (cell.cell.task_name, cell.cell.regularizer): _found([rows[trial_id] for trial_id in cell.needed_ids()])
        for cell in schedule.cells
    }


def _found(rows: Sequence[Mapping[str, Any]]) -> Found:
    tuned = [row for row in rows if row["role"] == "tune"]
    confirmed = [row["test_value"] for row in rows if row["role"] == "confirm" and row["test_value"] is not None]
    return Found(
        best=max(row["validation_value"] for row in tuned if row["status"] in ("completed", "stopped_early")),
        confirmed=float(np.mean(confirmed)) if confirmed else math.nan,
        epochs=sum(int(row["epochs_run"] or 0) for row in tuned),
        whole_epochs=sum(int(row["epochs_planned"]) for row in tuned),
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """Where rows are kept; in a tiny run, which is a test, a folder that is removed."""
    if IS_TINY and FOLDER_VARIABLE not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        yield Path(os.environ.get(FOLDER_VARIABLE, "results/price-of-width"))


def _run_searches(folder: Path, num_studies: int) -> None:
    """Run what is missing, one study per processor."""
    with processes(usable_cpus()) as pool:
        futures = [pool.submit(run_study, folder, study) for study in range(num_studies)]
        for number, future in enumerate(futures, 1):
            future.result()
            print(f"{number} of {num_studies} studies are finished.", file=sys.stderr, flush=True)


def run_study(folder: Path, study: int) -> None:
    """The three searches of each cell, one after the other. Rows that are stored are not trained again."""
    store = Store(_place(folder, study))
    store.prepare()
    execution = Execution(checkpoint_location=store.address, most_at_once=1, preload=TASKS)
    with store.lock(), Path(os.devnull).open("w") as nowhere:
        for arm in ARMS:
            plan = _plan(arm, study)
            schedule = Schedule(plan, store.finished(), proposals=store.proposals)
            with Progress(plan, num_workers=1, stream=nowhere) as progress:
                serial.run(schedule, [], store, execution, progress, Requests())
        store.compact()


def _plan(arm: Arm, study: int) -> Plan:
    suite = Suite(groups=(Group(tasks=TASKS, regularizers=REGULARIZERS),), scale="smoke", tune_trials=NUM_PROPOSALS)
    budget = Budget(
        scale="smoke",
        tune_trials=NUM_PROPOSALS,
        seeds=arm.num_confirm,
        default_seeds=0,
        timing_repeats=0,
        seed=study,
        tune_width=arm.width,
        halving=arm.halving,
    )
    return make_plan("price-of-width", suite, budget, f"study-{study}")


def _place(folder: Path, study: int) -> Path:
    return folder / f"study-{study}"
