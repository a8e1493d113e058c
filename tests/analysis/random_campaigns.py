"""Random campaigns: cells with tuned and default trials, failures, budgets, rules, data, versions of code, switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from result_rows import confirmed, row, timed

from harness.records import schema_of
from harness.records.uniting import united

NAMES = ("none", "a", "b", "a+b")
TASKS = ("t1", "t2", "t3")
UNBOUNDED = {"t3": {"metric": "excess_objective", "higher": False}}  # the others measure accuracy
RULES = ("best_validation", "best_epoch", "one_standard_error", "oracle")
GROUPS: tuple[dict[str, str], ...] = (
    {},
    {"switches": "bf16"},
    {"shared_code": "shared2", "code": "code2"},
    {"dataset_fingerprint": "data2"},
    {"dataset_fingerprint": "data2", "switches": "bf16"},
)
ALL_GROUPS = range(len(GROUPS))
Rows = list[dict[str, Any]]
ONE_GROUP = {"groups": [0], "versions": [""], "rules": ["best_validation"]}
OTHERS = ("p", "q", "r", "s", "t")  # more contestants than a random campaign has
# Without the shrinking of examples: it would take longer than to read one of a few cells.
PHASES = [Phase.explicit, Phase.generate]
QUICK = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=PHASES
)
MANY = settings(QUICK, max_examples=20)
SOME = settings(QUICK, max_examples=4)  # of all tables, which take a second


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
    num_timed: int
    has_read: bool  # whether its trials had read their data when they failed; else they do not name them

    def rows(self) -> Rows:
        """Its rows; without a tune trial that succeeded, nothing is confirmed."""
        group = GROUPS[self.group]
        common = {
            "task": self.task, "minute": self.minute, "epochs_planned": self.epochs, "train_seconds": 2.0,
            "dataset_fingerprint": "data1", **UNBOUNDED.get(self.task, {}), **group,
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
        sign = -1 if self.task in UNBOUNDED else 1
        winner = max(succeeded, key=lambda each: (sign * each["validation_value"], -each["tune_index"]), default=None)
        frozen = {"frozen_from": winner["trial_id"], "selection": self.rule, "hp": {"lr": 2.0}} if winner else {}
        rows = [
            *tuned,
            *confirmed(self.name, self.confirm if winner else (), **trained, **frozen),
            *confirmed(self.name, self.default, role="default", **trained),
            *(timed(self.name, 1.5 + self.group, seed=seed, **common) for seed in range(self.num_timed)),
        ]
        unknown = {} if self.has_read else {"dataset_fingerprint": None}
        return [each | (unknown if each["status"] == "diverged" else {}) for each in rows]


value = st.one_of(st.none(), st.integers(0, 8).map(lambda share: share / 8))


def values(*sizes: int) -> st.SearchStrategy[tuple[float | None, ...]]:
    """As many values as one of these sizes says."""
    return st.sampled_from(sizes).flatmap(lambda size: st.tuples(*[value] * size))


def cells(
    names: Sequence[str] = NAMES,
    tasks: Sequence[str] = TASKS,
    groups: Sequence[int] = ALL_GROUPS,
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
        num_timed=st.integers(0, 1),
        has_read=st.booleans(),
        **{name: st.sampled_from(list(choice)) for name, choice in choices.items()},
    )


def campaigns(min_size: int = 1, max_size: int = 10, **limits: Sequence[Any]) -> st.SearchStrategy[list[RandomCell]]:
    """Lists of cells of which no two have a trial in common; what tells data apart is no part of a trial's identity."""

    def key(cell: RandomCell) -> tuple[object, ...]:
        identity = {name: each for name, each in GROUPS[cell.group].items() if name != "dataset_fingerprint"}
        return (cell.task, cell.name, tuple(identity.items()), cell.version)

    return st.lists(cells(**limits), min_size=min_size, max_size=max_size, unique_by=key)


def cells_of_each_group(**limits: Sequence[Any]) -> st.SearchStrategy[list[RandomCell]]:
    """Two cells of each group of comparable rows, which may have trials in common with other cells."""
    return st.tuples(*(cells(**{"groups": [group], **limits}) for group in [*ALL_GROUPS] * 2)).map(list)


def rows_of(campaign: Sequence[RandomCell]) -> Rows:
    """The rows of all cells."""
    return [each for cell in campaign for each in cell.rows()]


def complete(cell: RandomCell, epochs: int = 3) -> RandomCell:
    """The cell with five confirm, two default and two timing trials: more than a random cell has."""
    padded = {"confirm": (*cell.confirm, *[0.5] * 5)[:5], "default": (*cell.default, *[0.5] * 2)[:2]}
    return replace(cell, tuned=(0.5, *cell.tuned), epochs=epochs, num_timed=2, **padded)


def large_campaign(cells: Sequence[RandomCell]) -> list[RandomCell]:
    """A campaign whose group, versions, rule and budget stay those of most, whatever random campaign joins it."""
    empty = {"tuned": (), "default": (), "confirm": (), "minute": 0, "num_timed": 0, "has_read": True}
    plain = {"group": 0, "version": "", "rule": "best_validation", "epochs": 3}
    fillers = [RandomCell(task=task, name=name, **plain, **empty) for task in TASKS for name in OTHERS]
    return [complete(each) for each in (*cells, *fillers)]


def not_of_the_main_group(rows: Rows) -> Rows:
    """Trials that failed before they read their data belong to each group of their code and switches: not these."""
    return [
        each
        for each in rows
        if each["dataset_fingerprint"] or each["switches"] or each["shared_code_hash"] != "shared1"
    ]


def of_other_groups(cells: Sequence[RandomCell], others: Sequence[RandomCell], rule: str) -> Rows:
    """Rows of other groups, or of other code, of cells that these have, and confirm rows of winners by another rule."""
    known = {(each.task, each.name) for each in cells}
    joined = rows_of([each for each in others if each.group or (each.version and (each.task, each.name) in known)])
    winners = [replace(complete(cell), rule=rule, confirm=(1.0, None)) for cell in cells]
    joined += [each for each in rows_of(winners) if each["role"] == "confirm"]
    return not_of_the_main_group(joined)


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
