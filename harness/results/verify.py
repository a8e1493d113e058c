"""Checks of a results folder: intact unedited files, no duplicates, possible values, no test values of tune trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from harness.errors import BadInput
from harness.records import CURVE_TABLE, SCHEMA_VERSION, SUCCESSES, TRIAL_TABLE, fixed
from harness.records.duplicates import ConflictingResultsError, unique_points, unique_trials
from harness.records.folders import CURVES, TRIALS, Kind
from harness.records.migrations import newest_version
from harness.records.reading import Part, checked, short_name
from harness.records.sources import named_sources, opened_sources
from harness.results.campaign_file import read_campaign
from harness.results.store import Store

_TEST_COLUMNS = ("test_value", "test_value_at_best_validation")
_UNIT_METRICS = ("accuracy",)


def verify_folder(location: str) -> list[str]:
    """A sentence for each problem; the list is empty if there is none.

    Raises:
        BadInput: if there are no trials at all.
        UnreadableResultsError: if a file cannot be read now.
    """
    store = Store(location)
    if not store.files(TRIALS):
        raise BadInput(f"{location} holds no trials; a results folder has trials/*.parquet.")
    findings = list(_damage_of_campaign(store))
    trials, curves = _Files(), _Files()
    for path in store.files(TRIALS):
        findings += trials.add(store, path, TRIALS)
    for path in store.files(CURVES):
        findings += curves.add(store, path, CURVES)
    findings += _duplicates(trials.parts, curves.parts)
    rows = [row for part in trials.parts for row in part.table.to_pylist()]
    findings += [f"trial {row['trial_id']}: {finding}." for row in rows for finding in _row_findings(row)]
    for part in curves.parts:
        findings += _curve_findings(part, {row["trial_id"] for row in rows if row["role"] == "tune"})
    with_curves = {each for part in curves.parts for each in part.table["trial_id"].unique().to_pylist()}
    known = {row["trial_id"] for row in rows}
    findings += [f"curves of trial {trial_id} have no row." for trial_id in sorted(with_curves - known, key=str)]
    return findings


@dataclass
class _Files:
    """The files of one kind that can be read."""

    parts: list[Part] = field(default_factory=list)

    def add(self, store: Store, path: str, kind: Kind) -> Iterator[str]:
        """Read a file; yields what is wrong with it as a whole."""
        name, wrong = short_name(path), store.check(path)
        if wrong:
            yield f"{name} {wrong}."
            if "cannot be read" in wrong:
                return
        table = store.read(path)
        version = newest_version(table)
        if version > SCHEMA_VERSION:
            yield (
                f"{name} was written by a newer regarena (version {version} of the schema, this one reads up to "
                f"{SCHEMA_VERSION}); its rows were not checked. Upgrade regarena, and keep the file."
            )
            return
        if kind == TRIALS and (lacking := _lacking(table, version)):
            others = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            yield f"{name}: the column(s) {', '.join(lacking[:3])}{others} are missing."
        try:
            self.parts.append(Part(path=path, table=checked(table, kind)))
        except ValueError as error:
            yield f"{name}: {error}."


def _damage_of_campaign(store: Store) -> Iterator[str]:
    """What is wrong with campaign.json, and which folders it uses that are not there; none is opened behind a URI."""
    try:
        campaign = read_campaign(store)
    except BadInput as error:
        yield str(error)
        return
    for name in named_sources(campaign) if store.is_local else ():
        try:
            opened_sources(store.folder, [name] if "://" not in name else [])
        except BadInput as error:
            yield str(error)


def _lacking(table: pa.Table, version: int) -> list[str]:
    """The columns that a file of this version must have and the table lacks."""
    return [
        each.name for each in fixed(TRIAL_TABLE) if each.since <= version and each.name not in table.column_names
    ]  # fmt: skip


def _duplicates(trials: Sequence[Part], curves: Sequence[Part]) -> Iterator[str]:
    try:
        kept = unique_trials(trials)
        counts = Counter(each for part in trials for each in part.table["trial_id"].to_pylist())
        once = Counter(kept.table["trial_id"].to_pylist() if trials else [])
        yield from (
            f"trial {trial_id} is stored {count} times." for trial_id, count in counts.items() if count > once[trial_id]
        )
    except ConflictingResultsError as error:
        yield str(error)
    try:
        unique_points(curves)
    except ConflictingResultsError as error:
        yield str(error)


def _curve_findings(part: Part, tuned: set[str]) -> Iterator[str]:
    name, table = short_name(part.path), part.table
    leaked = {
        trial_id
        for trial_id, split in zip(table["trial_id"].to_pylist(), table["split"].to_pylist(), strict=True)
        if split == "test" and trial_id in tuned
    }
    yield from (f"{name}: the tune trial {trial_id} has a test curve." for trial_id in sorted(leaked))
    for column in CURVE_TABLE:
        faults = [fault for value in table[column.name].unique().to_pylist() for fault in column.faults(value)]
        yield from (f"{name}: {fault}." for fault in faults[:1])


def _row_findings(row: Mapping[str, Any]) -> Iterator[str]:
    for column in fixed(TRIAL_TABLE):
        yield from column.faults(row[column.name])
    if row["role"] == "tune":
        yield from (f"a tune trial has a {name}" for name in _TEST_COLUMNS if row[name] is not None)
    if row["status"] in SUCCESSES:
        yield from _value_findings(row)
    if row["started_at"] and row["finished_at"] and row["finished_at"] < row["started_at"]:
        yield "it finished before it started"


def _value_findings(row: Mapping[str, Any]) -> Iterator[str]:
    """Problems with the values of a successful trial; which ones it must have depends on its role."""
    needed = {"timing": ("seconds_per_step",), "tune": ("validation_value",)}
    of_a_training = _TEST_COLUMNS if row["epochs_planned"] else ("test_value",)  # a calculation has no epochs
    for name in needed.get(row["role"], ("validation_value", *of_a_training)):
        if row[name] is None or not math.isfinite(row[name]):
            yield f"{name} of a trial that succeeded is {row[name]}"
    if row["metric"] in _UNIT_METRICS:
        for name in ("validation_value", "train_value", *_TEST_COLUMNS):
            if row[name] is not None and not 0 <= row[name] <= 1:
                yield f"{name} is {row[name]}, but {row['metric']} lies in [0, 1]"
    if row["epochs_run"] is not None and row["role"] != "timing" and row["epochs_run"] > (row["epochs_planned"] or 0):
        yield f"it ran {row['epochs_run']} epochs of {row['epochs_planned']} planned"
