"""The one rule for duplicates (several rows of one trial, or points of one curve), which every reader applies.

Rows of one trial that agree in all columns that repeat (`Column.repeats`: not times, versions or the machine) become
one row. A row whose status the training determines (`ANSWERS`) takes precedence over others (a crash, a time limit):
the trial was tried again. Two such rows with different values contradict each other: on a CPU equal trials are equal
bit for bit, so some rows are wrong, and reading stops unless the caller chose whose rows count. Timing trials differ by
machine, so they keep a row for each `hardware_key`. The order of files and rows only decides which rows are `first` and
`last`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.errors import BadInput
from harness.records.columns import ANSWERS, CURVE_KEY, METRIC_PREFIX, TRIAL_TABLE, fixed
from harness.records.reading import Part
from harness.records.uniting import order_of, united

OnConflict = Literal["raise", "first", "last"]
RULES: tuple[OnConflict, ...] = ("raise", "first", "last")

_Ints = NDArray[np.int64]
_MOST_NAMED = 5
_ADVICE = (
    "Equal trials have equal values on a CPU: find out which rows are wrong and remove their files, or choose whose "
    "rows count with --on-conflict first or last (folders in the order given, files of one folder by name). "
    "`regarena merge ... --into DIR` has the option too; in Python it is on_conflict=."
)


class ConflictingResultsError(BadInput, ValueError):
    """A trial is stored with different values; the message names trials, values and files."""


@dataclass(frozen=True, kw_only=True)
class Unique:
    """Rows of several files, in which each trial or point of a curve occurs once."""

    table: pa.Table
    sources: _Ints  # of each row: the index of its file
    places: _Ints  # of each row: its index in that file
    notes: tuple[str, ...] = ()  # sentences on what was left out

    def only(self, kept: NDArray[np.bool_], notes: Sequence[str]) -> Unique:
        """The rows where `kept` is true, with these notes."""
        return Unique(
            table=self.table.filter(pa.array(kept)),
            sources=self.sources[kept],
            places=self.places[kept],
            notes=tuple(notes),
        )

    def of_file(self, part: Part, source: int) -> pa.Table:
        """The rows that are kept of the file with index `source`, in the types of that file."""
        return part.table.take(pa.array(self.places[self.sources == source]))


def unique_trials(parts: Sequence[Part], on_conflict: OnConflict = "raise") -> Unique:
    """The rows of these files, each trial once; `notes` say what was left out.

    Raises:
        ConflictingResultsError: for contradicting rows, unless `on_conflict` says whose count.
    """
    rows = _joined(parts, on_conflict)
    if _are_distinct(rows.table, ["trial_id"]):
        return rows
    is_timing = pc.equal(rows.table["role"], "timing")
    machine = pc.if_else(is_timing, rows.table["hardware_key"], pa.scalar(None, pa.string()))
    again = _duplicates_by(rows.table["trial_id"], machine)
    if again.num == 0:
        return rows
    table = rows.table.take(again.rows)
    answers = pc.is_in(table["status"], pa.array(ANSWERS)).to_numpy(zero_copy_only=False)
    has_answer = again.any_of(answers)
    counts = answers | ~np.repeat(has_answer, again.lengths)  # without an answer, all rows of the trial count
    compared = answers & ~pc.equal(table["role"], "timing").to_numpy(zero_copy_only=False)
    may_be_unknown = {column.name: column.since > 1 for column in fixed(TRIAL_TABLE) if column.repeats}
    may_be_unknown |= {name: False for name in table.column_names if name.startswith(METRIC_PREFIX)}
    differing = {name: again.differing(table[name], compared, unknown) for name, unknown in may_be_unknown.items()}
    contradicting = np.logical_or.reduce(list(differing.values()))
    if contradicting.any() and on_conflict == "raise":
        raise _conflict(parts, rows, again, differing)
    order = np.lexsort([_ranks(table[name]) for name in ("suite", "campaign_id", "started_at", "finished_at")])
    earliest, latest = again.first_in(order, counts), again.first_in(order[::-1], counts)
    # Of equal answers keep the earliest, so that running again changes nothing; of failures keep the latest.
    chosen = np.where(has_answer, earliest, latest)
    order = np.argsort(rows.sources[again.rows], kind="stable")
    asked = again.first_in(order if on_conflict == "first" else order[::-1], counts)
    chosen = np.where(contradicting, asked, chosen)
    num_superseded = int((~counts).sum())
    notes = []
    if num_superseded:
        notes.append(f"{num_superseded} row(s) left out: their trials ran again and gave a result.")
    if contradicting.any():
        notes.append(
            f"{int(contradicting.sum())} trial(s) have rows with different values; the {on_conflict} row counts."
        )
    kept = np.ones(len(rows.table), bool)
    kept[again.rows] = False
    kept[again.rows[chosen]] = True
    return rows.only(kept, notes)


def unique_points(parts: Sequence[Part], on_conflict: OnConflict = "raise") -> Unique:
    """The points of the curves in these files, each once. Contradicting curves are taken or left as a whole.

    Raises:
        ConflictingResultsError: for contradicting points, unless `on_conflict` says whose count.
    """
    rows = _joined(parts, on_conflict)
    if _are_distinct(rows.table, CURVE_KEY):
        return rows
    again = _duplicates_by(*(rows.table[name] for name in CURVE_KEY))
    everywhere = np.ones(len(again.rows), bool)
    contradicting = again.differing(rows.table["value"].take(again.rows), everywhere, False)
    notes = []
    if contradicting.any():
        if on_conflict == "raise":
            raise _conflict(parts, rows, again, {"value": contradicting})
        trials = _codes(rows.table["trial_id"])
        wrong = np.unique(trials[again.rows[again.starts[contradicting]]])
        notes.append(f"{len(wrong)} trial(s) have different curves; the {on_conflict} curve counts.")
        rows = rows.only(~np.isin(trials, wrong) | _is_from(rows.sources, trials, on_conflict), notes)
        again = _duplicates_by(*(rows.table[name] for name in CURVE_KEY))
    kept = np.ones(len(rows.table), bool)
    kept[again.rows] = False
    kept[again.rows[again.starts]] = True
    return rows.only(kept, notes)


def _joined(parts: Sequence[Part], on_conflict: OnConflict) -> Unique:
    """All rows, duplicates included."""
    if on_conflict not in RULES:
        raise ValueError(f"on_conflict must be one of {', '.join(RULES)}, got {on_conflict!r}.")
    tables = [part.table for part in parts]
    order = order_of(tables)
    lengths = np.array([len(tables[place]) for place in order], np.int64)
    places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Unique(table=united(tables), sources=np.repeat(np.array(order, np.int64), lengths), places=places)


def _are_distinct(table: pa.Table, names: Sequence[str]) -> bool:
    """Whether no two rows agree in all of these columns."""
    if len(table) < 2:
        return True
    distinct: int = table.group_by(list(names), use_threads=False).aggregate([]).num_rows
    return distinct == len(table)


def _is_from(sources: _Ints, trials: _Ints, on_conflict: OnConflict) -> NDArray[np.bool_]:
    """Whether each row is in the first (or last) of the files that hold its trial."""
    signed = sources if on_conflict == "first" else -sources
    wanted = np.full(trials.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(wanted, trials, signed)
    is_wanted: NDArray[np.bool_] = signed == wanted[trials]
    return is_wanted


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """Groups of duplicates: the indices of their `rows` in the table, and where each group starts, and its length."""

    rows: _Ints
    starts: _Ints
    lengths: _Ints

    @property
    def num(self) -> int:
        """How many groups there are."""
        return len(self.starts)

    def any_of(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For each group, whether one of its rows has the flag."""
        any_: NDArray[np.bool_] = np.logical_or.reduceat(flags, self.starts)
        return any_

    def differing(self, column: pa.ChunkedArray, compared: NDArray[np.bool_], null_agrees: bool) -> NDArray[np.bool_]:
        """For each group, whether the compared rows hold more than one value; NaN equals NaN.

        With `null_agrees` null equals any value: an older version did not write the column.
        """
        codes = _codes(column)
        if null_agrees:
            compared = compared & (codes > 0)
        low = np.minimum.reduceat(np.where(compared, codes, np.iinfo(np.int64).max), self.starts)
        high = np.maximum.reduceat(np.where(compared, codes, -1), self.starts)
        return low < high

    def first_in(self, order: _Ints, counts: NDArray[np.bool_]) -> _Ints:
        """For each group, the first row in this order among those that count."""
        ordered = order[counts[order]]
        groups = np.repeat(np.arange(self.num), self.lengths)
        _, places = np.unique(groups[ordered], return_index=True)
        return ordered[places]


def _duplicates_by(*keys: pa.ChunkedArray | pa.Array) -> _Groups:
    """The groups of rows that have all keys in common with another row."""
    codes = _codes(keys[0])
    for key in keys[1:]:
        more = _codes(key)
        _, codes = np.unique(codes * (more.max() + 1) + more, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    repeated = np.repeat(lengths > 1, lengths)
    lengths = lengths[lengths > 1]
    return _Groups(rows=order[repeated], starts=np.cumsum(lengths) - lengths, lengths=lengths)


def _codes(column: pa.ChunkedArray | pa.Array) -> _Ints:
    """An integer code for each value: equal for equal values, 0 for null."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = values.dictionary_encode().indices
    codes: _Ints = pc.add(pc.fill_null(encoded, -1), 1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _ranks(column: pa.ChunkedArray) -> _Ints:
    """The rank of each value; null comes last."""
    ranks: _Ints = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy()
    return ranks.astype(np.int64)


def _conflict(
    parts: Sequence[Part], rows: Unique, again: _Groups, differing: Mapping[str, NDArray[np.bool_]]
) -> ConflictingResultsError:
    """The error that names the contradicting rows, at most five of them."""
    groups = np.flatnonzero(np.logical_or.reduce(list(differing.values())))
    listing = []
    for group in groups[:_MOST_NAMED]:
        members = again.rows[again.starts[group] : again.starts[group] + again.lengths[group]]
        paths = [parts[source].path for source in rows.sources[members]]
        names = [name for name, differs in differing.items() if differs[group]]
        listing.append(f"  {_contradiction(rows.table.take(members).to_pylist(), paths, names)}\n")
    more = f"  and {len(groups) - _MOST_NAMED} more\n" if len(groups) > _MOST_NAMED else ""
    what = "trial(s) are stored" if "status" in differing else "point(s) of curves are stored"
    return ConflictingResultsError(f"{len(groups)} {what} with different values:\n{''.join(listing)}{more}{_ADVICE}")


def _contradiction(rows: Sequence[dict[str, Any]], paths: Sequence[str], names: Sequence[str]) -> str:
    """A trial, and its different values with the files that hold them."""
    telling = ("dataset_fingerprint", "status", "test_value", "validation_value")  # causes first
    shown = next((name for name in telling if name in names), names[0])
    others = f" (and {len(names) - 1} more column(s))" if len(names) > 1 else ""
    values: dict[str, list[str]] = {}
    for row, path in zip(rows, paths, strict=True):
        values.setdefault(str(row[shown]), []).append(path)
    places = "; ".join(f"{value} in {', '.join(dict.fromkeys(paths))}" for value, paths in sorted(values.items()))
    machines = sorted({str(row["hardware_key"]) for row in rows if row.get("hardware_key")})
    machine = f"; they ran on {' and '.join(machines)}" if len(machines) > 1 else ""
    return f"{_title(rows[0])}: {shown} is {places}{others}{machine}"


def _title(row: dict[str, Any]) -> str:
    if "regularizer" not in row:
        return f"trial {row['trial_id']}, epoch {row['epoch']}, {row['split']} {row['metric']}"
    return f"trial {row['trial_id']} ({row['regularizer']} on {row['task']}, {row['role']}, seed {row['seed']})"
