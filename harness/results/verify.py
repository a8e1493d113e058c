"""Checks of a results folder: whole and genuine files, no duplicates, no impossible values, tuning without test."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import BadInput
from harness.records import CURVE_COLUMNS, SUCCESSES, TRIAL_TABLE, fixed
from harness.results.store import CAMPAIGN_FILE, CURVES, TRIALS, Store

_TEST_COLUMNS = ("test_value", "test_value_at_best_validation")
_UNIT_METRICS = ("accuracy",)


def verify_folder(location: str) -> list[str]:
    """One sentence for each thing that is wrong; empty if all is well.

    Raises:
        BadInput: when there are no trials at all.
    """
    store = Store(location)
    trials, curves = store.files(TRIALS), store.files(CURVES)
    if not trials:
        raise BadInput(f"{location} holds no trials; a results folder has trials/*.parquet.")
    findings = list(_damage_of(store, CAMPAIGN_FILE))
    rows: list[dict[str, Any]] = []
    for path in trials:
        wrong = store.check(path)
        if wrong:
            findings.append(f"{_name(path)} {wrong}.")
        if wrong is None or "cannot be read" not in wrong:
            rows += store.read(path).to_pylist()
    curve_ids: set[str] = set()
    for path in curves:
        wrong = store.check(path)
        if wrong:
            findings.append(f"{_name(path)} {wrong}.")
        if wrong is None or "cannot be read" not in wrong:
            findings += _curve_findings(store.read(path).to_pylist(), _name(path), rows, curve_ids)
    findings += _duplicates(rows)
    findings += [f"trial {row.get('trial_id')}: {finding}." for row in rows for finding in _row_findings(row)]
    known = {row.get("trial_id") for row in rows}
    findings += [f"curves of trial {trial_id} have no row." for trial_id in sorted(curve_ids - known)]
    return findings


def _damage_of(store: Store, name: str) -> Iterator[str]:
    try:
        store.read_json(name)
    except BadInput as error:
        yield str(error)


def _name(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def _duplicates(rows: list[dict[str, Any]]) -> Iterator[str]:
    counts = Counter(row.get("trial_id") for row in rows)
    yield from (f"trial {trial_id} is stored {count} times." for trial_id, count in counts.items() if count > 1)


def _curve_findings(
    points: list[dict[str, Any]], name: str, rows: list[dict[str, Any]], seen: set[str]
) -> Iterator[str]:
    if points and set(points[0]) != set(CURVE_COLUMNS):
        yield f"{name} has the columns {sorted(points[0])} instead of {sorted(CURVE_COLUMNS)}."
        return
    tuned = {row["trial_id"] for row in rows if row.get("role") == "tune"}
    leaked = {point["trial_id"] for point in points if point["split"] == "test" and point["trial_id"] in tuned}
    yield from (f"{name}: the tune trial {trial_id} has a test curve." for trial_id in sorted(leaked))
    seen.update(point["trial_id"] for point in points)


def _row_findings(row: Mapping[str, Any]) -> Iterator[str]:
    version = row.get("schema_version") or 1
    missing = [each.name for each in fixed(TRIAL_TABLE) if each.name not in row and each.since <= version]
    if missing:
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield f"the column(s) {', '.join(missing[:3])}{others} are missing"
        return
    for column in fixed(TRIAL_TABLE):
        yield from column.faults(row.get(column.name))
    if row["role"] == "tune":
        yield from (f"a tune trial has a {name}" for name in _TEST_COLUMNS if row[name] is not None)
    if row["status"] in SUCCESSES:
        yield from _value_findings(row)
    if row["started_at"] and row["finished_at"] and row["finished_at"] < row["started_at"]:
        yield "it finished before it started"


def _value_findings(row: Mapping[str, Any]) -> Iterator[str]:
    """What a trial that succeeded must have, by its role."""
    needed = {"timing": ("seconds_per_step",), "tune": ("validation_value",)}
    for name in needed.get(row["role"], ("validation_value", *_TEST_COLUMNS)):
        if row[name] is None or not math.isfinite(row[name]):
            yield f"{name} of a trial that succeeded is {row[name]}"
    if row["metric"] in _UNIT_METRICS:
        for name in ("validation_value", "train_value", *_TEST_COLUMNS):
            if row[name] is not None and not 0 <= row[name] <= 1:
                yield f"{name} is {row[name]}, but {row['metric']} lies in [0, 1]"
    if row["epochs_run"] is not None and row["role"] != "timing" and row["epochs_run"] > (row["epochs_planned"] or 0):
        yield f"it ran {row['epochs_run']} epochs of {row['epochs_planned']} planned"
