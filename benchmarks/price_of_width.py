"""What wide searches and halving cost on real cells: best validation values, confirmed values, epochs.

Each study is a search with a seed of its own on each of four cells: at width 1, at width 8, and with halving. Studies
of one seed are compared in pairs. Rows are kept in the folder `REGARENA_PRICE_FOLDER`, so that the same command goes on
where it was stopped; `REGARENA_PRICE_STUDIES` is the number of studies. Twenty take about two hours on two cores.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tables.statistics import equivalence_p_value, mean_interval
from benchmarks.sizes import IS_TINY, sized
from harness.plan import Budget
from harness.request import Request
from harness.results.store import Store
from harness.search.halving import BRACKET
from harness.workers.processors import usable_cpus
from tasks.suites import Group, Suite

FOLDER_VARIABLE, STUDIES_VARIABLE = "REGARENA_PRICE_FOLDER", "REGARENA_PRICE_STUDIES"
TASKS, REGULARIZERS = ("digits-200-convnet", "digits-200-mlp"), ("dropout", "localdrop")
NUM_PROPOSALS = sized(4 * BRACKET, BRACKET)
NUM_CONFIRM = sized(3, 1)
MARGIN = 0.01  # of accuracy, within which confirmed values count as equal
WIDTH_GOAL, EPOCHS_GOAL = 0.25, 0.35
_COLUMNS = ("task", "regularizer", "role", "status", "validation_value", "test_value", "epochs_run", "epochs_planned")

Cell = tuple[str, str]


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
    for cell in cells:
        named = {"task": cell[0], "regularizer": cell[1], "studies": num_studies}
        of = {arm: [found[arm.name, study][cell] for study in range(num_studies)] for arm in ARMS}
        yield named | price_of_width(of[NARROW], of[WIDE])
        yield named | price_of_halving(of[WIDE], of[HALVED])


def price_of_width(narrow: Sequence[Found], wide: Sequence[Found]) -> dict[str, object]:
    """The best validation value at width 8 less that at width 1, in standard deviations over studies at width 1."""
    first, second = (np.array([each.best for each in arm]) for arm in (narrow, wide))
    difference, spread = second - first, float(np.std(first, ddof=1))
    low, high = (end / spread if spread else math.inf for end in mean_interval(difference))
    return {
        "width_1": float(first.mean()),
        "width_8": float(second.mean()),
        "standard_deviation": spread,
        "difference_in_sd": float(difference.mean()) / spread if spread else math.inf,
        "low": low,
        "high": high,
        "goal": f"within {WIDTH_GOAL}",
    }


def price_of_halving(whole: Sequence[Found], halved: Sequence[Found]) -> dict[str, object]:
    """The confirmed value with halving less that without, and the share of the epochs that halving took."""
    without, with_ = (np.array([each.confirmed for each in arm]) for arm in (whole, halved))
    low, high = mean_interval(with_ - without)
    return {
        "confirmed_without": float(without.mean()),
        "confirmed_with_halving": float(with_.mean()),
        "difference": float((with_ - without).mean()),
        "low": low,
        "high": high,
        "equivalent_p": equivalence_p_value(with_, without, MARGIN),
        "margin": MARGIN,
        "epochs_share": sum(each.epochs for each in halved) / sum(each.whole_epochs for each in halved),
        "goal": f"<={EPOCHS_GOAL}",
    }


def read(folder: Path, arm: Arm, study: int) -> dict[Cell, Found]:
    """What the searches of a study ended with, by cell."""
    rows = Store(str(_place(folder, arm, study))).rows(_COLUMNS)
    return {
        (task, regularizer): _found([row for row in rows if (row["task"], row["regularizer"]) == (task, regularizer)])
        for task in TASKS
        for regularizer in REGULARIZERS
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
    """Run what is missing, one campaign per processor, study by study."""
    with ProcessPoolExecutor(usable_cpus(), mp_context=get_context("spawn")) as pool:
        wanted = [(arm, study) for study in range(num_studies) for arm in ARMS]
        futures = [pool.submit(_search, folder, arm, study) for arm, study in wanted]
        for number, future in enumerate(futures, 1):
            future.result()
            print(f"{number} of {len(futures)} campaigns are finished.", file=sys.stderr, flush=True)


def _search(folder: Path, arm: Arm, study: int) -> None:
    """One campaign: a study of each cell. Rows that are stored are not trained again."""
    from harness.campaign import run_campaign

    suite = Suite(
        groups=(Group(tasks=TASKS, regularizers=REGULARIZERS),), scale="smoke", tune_trials=NUM_PROPOSALS, seeds=0
    )
    budget = Budget(
        scale="smoke",
        tune_trials=NUM_PROPOSALS,
        seeds=arm.num_confirm,
        timing_repeats=0,
        seed=study,
        tune_width=arm.width,
        halving=arm.halving,
    )
    place = _place(folder, arm, study)
    place.parent.mkdir(parents=True, exist_ok=True)
    request = Request(suite_name="price-of-width", suite=suite, results=str(place), budget=budget, serial=True)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        run_campaign(request, announce=lambda _: None)


def _place(folder: Path, arm: Arm, study: int) -> Path:
    return folder / f"{arm.name}-study-{study}"
