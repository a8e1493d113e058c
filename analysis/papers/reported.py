"""The numbers that the papers report, from the `reported.csv` of each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from analysis.papers.sources import SOURCES
from analysis.papers.tasks import tasks_of

TIME_METRIC = "time_per_100_epochs"
_GROUP = ["paper", "experiment", "dataset", "architecture", "method", "metric"]


@cache
def reported_values() -> pd.DataFrame:
    """All values that the papers report, in the order of their tables.

    The columns are those of `reported.csv`, with `value` and `std` as the numbers `reported` and `reported_std`, and

    - `tasks`, `task`: our tasks that repeat the value, and the first of them (None if there is none)
    - `counterpart`: a `Counterpart` if the paper's names differ from ours, else None
    - `reported_rounding`: half of the last digit to which the values of its table and metric are given
    - `reported_ratio`: a time divided by that of the unregularized network
    - `is_sweep`: whether the value is a point of a sweep
    - `note`: what is known of its provenance
    """
    tables = []
    for source in SOURCES:
        with files(f"analysis.papers.{source.folder}").joinpath("reported.csv").open() as file:
            values = pd.read_csv(file, keep_default_na=False, dtype=str)
        notes = [source.note_on({str(k): str(v) for k, v in row.items()}) for row in values.to_dict("records")]
        tables.append(values.assign(note=notes))
    table = pd.concat(tables, ignore_index=True)
    rows = [{str(key): str(each) for key, each in row.items()} for row in table.to_dict("records")]
    by_paper = {source.paper: source for source in SOURCES}
    counterparts = [by_paper[row["paper"]].counterpart(row) for row in rows]
    table["counterpart"] = pd.Series(counterparts, index=table.index, dtype=object)
    table["tasks"] = [
        tasks_of(row["paper"], row["dataset"], row["architecture"]) if other is None else (other.task, *other.stand_ins)
        for row, other in zip(rows, counterparts, strict=True)
    ]
    table["task"] = [next(iter(tasks), None) for tasks in table["tasks"]]
    table["reported_rounding"] = _rounding(table)
    table["reported"] = pd.to_numeric(table.pop("value"))
    table["reported_std"] = pd.to_numeric(table.pop("std"))
    table["reported_ratio"] = _ratios(table)
    table["is_sweep"] = table.duplicated(_GROUP, keep=False)
    return table


def reported_rows(paper: str, experiment: str, dataset: str | None = None) -> pd.DataFrame:
    """The reported values of one table of a paper, optionally of one data set only."""
    table = reported_values()
    chosen = (table["paper"] == paper) & (table["experiment"] == experiment)
    return table[chosen & (dataset is None or table["dataset"] == dataset)]


def _rounding(table: pd.DataFrame) -> pd.Series:
    """Of each value; the files leave out zeros at the end, so that the longest number of a table has all digits."""
    digits = table["value"].str.partition(".")[2].str.len()
    return 0.5 * 10.0 ** -digits.groupby([table[name] for name in ("paper", "experiment", "metric")]).transform("max")


def _ratios(table: pd.DataFrame) -> pd.Series:
    timed = table[table["metric"] == TIME_METRIC]
    keys = ["paper", "experiment", "dataset", "architecture"]
    plain = timed[timed["method"] == "none"].set_index(keys)["reported"]
    wanted = pd.MultiIndex.from_frame(timed[keys])
    return pd.Series(timed["reported"].to_numpy() / plain.reindex(wanted).to_numpy(), index=timed.index)
