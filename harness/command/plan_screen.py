"""What `regarena plan` prints: a row for each task or architecture with their total, or one for each cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analysis.shown.column import ALWAYS, Column, Row, number, text
from analysis.shown.formats import count, is_missing
from harness.command.printing import Records, print_notes, print_table, show_frame
from harness.command.remarks import remarks
from harness.terminal.durations import HOUR, in_words

MOST_TASKS = 30  # with a row for each; if there are more, each architecture has a row
MOST_REASONS = 6  # for skipped cells, shown below the sums
COUNTS = ("trials", "done", "failed", "missing", "unused")


def _duration(name: str, unit: float = HOUR) -> Callable[[Row], str]:
    """A function that writes the time of a column in words, with ">" in front where part of it is unknown.

    Args:
        name: of the column.
        unit: seconds of one unit of it.
    """

    def make(row: Row) -> str:
        if is_missing(row.get(name)):
            return "unknown" if row["missing"] else "–"
        words = in_words(row[name] * unit) if row[name] else "–"
        return f"> {words}" if row.get("num_unknown") else words

    return make


_COUNTED = (
    number("trials", show=count, weight=80, legend="Of all roles, if none fails."),
    number("done", show=count, weight=90),
    number("failed", show=count, weight=90),
    number("missing", show=count, weight=ALWAYS, legend="Trials that `run` would run."),
)
_TIMES = (
    Column(name="hours", heading="time", make=_duration("hours"), weight=ALWAYS, numeric=True,
           legend="Of the missing trials, one after the other."),
    Column(name="gpu_hours", heading="GPU time", make=_duration("gpu_hours"), weight=60, numeric=True),
)  # fmt: skip
CELLS = (
    text("task", weight=ALWAYS),
    text("regularizer", weight=ALWAYS),
    *_COUNTED,
    Column(name="seconds_per_trial", heading="time/trial", make=_duration("seconds_per_trial", 1.0), weight=50,
           numeric=True),
    *_TIMES,
    text("why", weight=40),
    text("estimated_from", weight=30),
)  # fmt: skip
SUMS = (
    Column(name="name", heading="", make=lambda row: str(row["name"]), weight=ALWAYS),
    number("cells", show=count, weight=70, legend="Contestants that are not skipped on the task."),
    number("skipped", show=count, weight=20, legend="Contestants that cannot act on the task."),
    *_COUNTED,
    *_TIMES,
)


def show_plan(
    frame: Any,
    num_seeds: int,
    as_json: bool,
    as_csv: bool,
    title: str,
    notes: Sequence[str] = (),
    by_cell: bool = False,
) -> None:
    """Print the plan, and below it its total cost and what the tests can detect; as JSON or CSV every cell.

    Args:
        frame: a row per cell, as `plan_table` makes it.
        num_seeds: default and confirm trials of each cell.
        as_json: print JSON, with every cell and column.
        as_csv: print CSV, likewise.
        title: heading of the table.
        notes: sentences below the table.
        by_cell: list each cell in place of sums.
    """
    import analysis

    if show_frame(frame, as_json, as_csv):
        return
    records = frame.to_dict("records")
    running = [record for record in records if record["trials"]]
    reasons = remarks(records, lambda record: [] if record["trials"] else [record["why"]], ("regularizer", "task"))
    if by_cell:
        print_table(title, [column for column in CELLS if column.name in frame], running)
    else:
        sums = sums_of(records)
        print_table(title, [column for column in SUMS if column.name != "gpu_hours" or "gpu_hours" in frame], sums)
    if by_cell or len(reasons) <= MOST_REASONS:
        print_notes(f"Skipped: {reason}" for reason in reasons)
    if not by_cell:
        more = f", and why {len(records) - len(running)} are skipped" if len(reasons) > MOST_REASONS else ""
        print_notes([f"--cells lists all {len(records)} cells{more}."])
    cells = [(record["task"], record["regularizer"]) for record in running]
    print_notes([*notes, *analysis.power_notes(cells, num_seeds)])


def sums_of(records: Records) -> list[dict[str, Any]]:
    """A row for each task, or for each architecture if there are more than MOST_TASKS; the last row is the total."""
    tasks = {str(record["task"]) for record in records}
    key = "task" if len(tasks) <= MOST_TASKS else "architecture"
    groups: dict[str, list[Mapping[Any, Any]]] = {}
    for record in records:
        groups.setdefault(str(record[key]), []).append(record)
    rows = [_sum(name, group) for name, group in groups.items()]
    return rows if len(rows) < 2 else [*rows, _sum(f"all {len(tasks)} tasks", records)]


def _sum(name: str, records: Records) -> dict[str, Any]:
    """Counts and hours of some cells; `num_unknown` counts cells with missing trials whose time is unknown."""
    running = [record for record in records if record["trials"]]
    unknown = [record for record in running if record["missing"] and is_missing(record["hours"])]
    is_known = len(unknown) < sum(bool(record["missing"]) for record in running) or not unknown
    row = {"name": name, "cells": len(running), "skipped": len(records) - len(running), "num_unknown": len(unknown)}
    row |= {name: sum(record[name] for record in running) for name in COUNTS}
    for hours in ("hours", "gpu_hours"):
        known = [record[hours] for record in running if not is_missing(record.get(hours))]
        row[hours] = sum(known) if is_known else None
    return row
