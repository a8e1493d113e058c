"""Random campaigns: cells with tuned and default trials, failures, budgets, rules, versions of code and switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from result_rows import confirmed, row, timed

from harness.records import schema_of
from harness.records.uniting import united

NAMES = ("none", "a", "b", "c")
TASKS = ("t1", "t2")
RULES = ("best_validation", "best_epoch", "one_standard_error", "oracle")
GROUPS: tuple[dict[str, str], ...] = ({}, {"switches": "bf16"}, {"shared_code": "shared2", "code": "code2"})
Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RandomCell:
    """The trials of one contestant on one task, in one group of comparable rows; None is a trial that failed."""

    task: str
    name: str
    group: int  # of comparable rows: an index of GROUPS
    version: str  # of the contestant's code
    rule: str
    epochs: int
    tuned: tuple[float | None, ...]
    default: tuple[float | None, ...]
    confirm: tuple[float | None, ...]
    minute: int
    is_timed: bool

    def rows(self) -> Rows:
        """Its rows; without a tune trial that succeeded, nothing is confirmed."""
        group = GROUPS[self.group]
        common = {
            "task": self.task, "minute": self.minute, "epochs_planned": self.epochs, "train_seconds": 2.0, **group,
            "code": group.get("code", "code1") + self.version,
        }  # fmt: skip
        searched = {"selection": self.rule, "test": 0.5} if self.rule == "oracle" else {}
        tuned = [
            row(regularizer=self.name, role="tune", tune_index=index, validation=value, hp={"lr": 10.0 + index},
                status="diverged" if value is None else "completed", **common, **searched)
            for index, value in enumerate(self.tuned)
        ]  # fmt: skip
        trained = {"validation": 0.5, "test_value_at_best_validation": 0.25, **common}
        succeeded = [each for each in tuned if each["status"] == "completed"]
        winner = max(succeeded, key=lambda each: (each["validation_value"], -each["tune_index"]), default=None)
        frozen = {"frozen_from": winner["trial_id"], "selection": self.rule, "hp": {"lr": 2.0}} if winner else {}
        return [
            *tuned,
            *confirmed(self.name, self.confirm if winner else (), **trained, **frozen),
            *confirmed(self.name, self.default, role="default", **trained),
            *([timed(self.name, 1.5, **common)] if self.is_timed else []),
        ]


value = st.one_of(st.none(), st.integers(0, 8).map(lambda share: share / 8))


def values(*sizes: int) -> st.SearchStrategy[tuple[float | None, ...]]:
    """As many values as one of these sizes says."""
    return st.sampled_from(sizes).flatmap(lambda size: st.tuples(*[value] * size))


def cells(
    names: Sequence[str] = NAMES,
    tasks: Sequence[str] = TASKS,
    groups: Sequence[int] = (0, 1, 2),
    rules: Sequence[str] = RULES,
    epochs: Sequence[int] = (3, 3, 6),
    versions: Sequence[str] = ("", "x"),
) -> st.SearchStrategy[RandomCell]:
    """Any cell of these; most have enough trials to be compared."""
    choices = {"name": names, "task": tasks, "group": groups, "rule": rules, "epochs": epochs, "version": versions}
    return st.builds(
        RandomCell,
        tuned=values(2, 2, 1, 0),
        default=values(2, 1, 0),
        confirm=values(4, 3, 1, 0),
        minute=st.integers(0, 3),
        is_timed=st.booleans(),
        **{name: st.sampled_from(list(choice)) for name, choice in choices.items()},
    )


def campaigns(min_size: int = 1, max_size: int = 10, **limits: Sequence[Any]) -> st.SearchStrategy[list[RandomCell]]:
    """Lists of cells of which no two have a trial in common."""

    def key(cell: RandomCell) -> tuple[object, ...]:
        return (cell.task, cell.name, cell.group, cell.version)

    return st.lists(cells(**limits), min_size=min_size, max_size=max_size, unique_by=key)


def rows_of(campaign: Sequence[RandomCell]) -> Rows:
    """The rows of all cells."""
    return [each for cell in campaign for each in cell.rows()]


def scattered(folder: Path, rows: Rows, rng: np.random.Generator) -> list[Path]:
    """The rows in one to three results folders, in random order, one to four rows a file; every fifth row twice."""
    rows = [*rows, *(each for each in rows if rng.random() < 0.2)]
    order = rng.permutation(len(rows))
    folders = []
    for places in np.array_split(order, min(int(rng.integers(1, 4)), len(rows))):
        home = folder / f"folder{len(folders)}" / "trials"
        home.mkdir(parents=True)
        for of_file in np.array_split(places, -(-len(places) // int(rng.integers(1, 5)))):
            tables = [pa.Table.from_pylist([rows[place]], schema=schema_of(rows[place])) for place in of_file]
            pq.write_table(united(tables), home / f"{rng.integers(1 << 62):020d}.parquet")
        folders.append(home.parent)
    return [folders[place] for place in rng.permutation(len(folders))]
