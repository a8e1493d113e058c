"""The results folder, and the only writer of Parquet: one file per finished trial, compacted at the end of a run.

A results folder is local, or any URI that pyarrow.fs opens. Files are never visible half-written: a local file gets a
name that readers ignore (a leading dot), is flushed to the disk and then renamed; an object store does the same by
itself. Each file contains a digest of its rows, so that `verify` can detect edited files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from harness.errors import BadInput
from harness.records import CURVE_SCHEMA, HYPERPARAMETER_PREFIX, Role, Scalar, TrialRecord, schema_of
from harness.records.duplicates import OnConflict, unique_points, unique_trials
from harness.records.folders import (
    CHECKPOINTS,
    CURVES,
    TRIALS,
    Folder,
    Kind,
    check_no_links,
    first_line,
    open_folder,
    patiently,
    remove_unfinished,
    write_whole,
)
from harness.records.reading import Part, Parts, decoded, raise_for, read_parts
from harness.records.uniting import unlike_apart
from harness.results.digests import DIGEST_KEY, digest
from harness.results.lock import campaign_lock
from harness.results.trial_summary import FINISHED_COLUMNS, Proposals, TrialSummary

COMPACTED_PREFIX = "compacted-"
COMPRESSION = 9  # of zstd; on the file of a trial as fast as pyarrow's default
MEASURED = ("value", "train_seconds")  # columns of curves; nearly all their values differ
ENCODINGS: dict[Kind, dict[str, Any]] = {  # compacted curves take a quarter less than with pyarrow's default
    TRIALS: {},
    CURVES: {
        "use_dictionary": [name for name in CURVE_SCHEMA.names if name not in MEASURED],
        "column_encoding": dict.fromkeys(MEASURED, "BYTE_STREAM_SPLIT"),
    },
}
FOREIGN_ADVICE = "Move what regarena did not write out of the folder."
SOURCE_ADVICE = "Get a whole copy of that folder; this run only reads it."
_UNIQUE = {TRIALS: unique_trials, CURVES: unique_points}


class Store:
    """A campaign's results folder.

    Args:
        location: a local folder, which `prepare` creates if needed, or a URI ("s3://bucket/folder").
        sources: other results folders, whose trials count as finished; they are only read.

    Raises:
        BadInput: if the location cannot be opened.
    """

    def __init__(self, location: str | os.PathLike[str], sources: Sequence[Folder] = ()) -> None:
        self.location, self.sources = str(location), tuple(sources)
        self.folder = open_folder(self.location)
        self.is_local = self.folder.is_local
        self._fs, self.root = self.folder.filesystem, self.folder.path
        self.damaged: list[str] = []  # files that `finished` or `compact` could not read
        self.proposals = Proposals()  # of the tune trials that `finished` read
        self.borrowed: frozenset[str] = frozenset()  # ids of the trials that `finished` found in the sources alone
        self._outdated: set[tuple[str, Any]] = set()  # id and end of the trials' runs that `retry` was called for

    @property
    def address(self) -> str:
        """The location as another process can open it, with an absolute path."""
        return self.root if self.is_local else self.location

    def prepare(self) -> None:
        """Create the folders, and check that a file can be written.

        Raises:
            BadInput: if not.
        """
        try:
            for folder in (TRIALS, CURVES, CHECKPOINTS):
                check_no_links(self._fs, self.root, f"{self.root}/{folder}/any")
            for folder in (TRIALS, CURVES):
                self._fs.create_dir(f"{self.root}/{folder}", recursive=True)
            self._write_bytes(f"{self.root}/{TRIALS}/.probe", b"probe")
            self._delete(f"{self.root}/{TRIALS}/.probe")
        except OSError as error:
            raise BadInput(
                f"The results folder {self.location} cannot be written ({first_line(error)}); choose another one."
            ) from error

    def lock(self) -> AbstractContextManager[str | None]:
        """Lock the campaign for this process; see `harness.results.lock`.

        Raises:
            CampaignLocked: when another process holds it.
        """
        return campaign_lock(self.location, Path(self.root) if self.is_local else None)

    def write(self, record: TrialRecord) -> None:
        """Store one finished trial: first its curves, then its row, with which the trial counts as finished.

        Then its checkpoints are removed, except those of a pruned trial, which may be continued.

        Raises:
            OSError: when the disk is full or the folder cannot be written.
        """
        if record.curves:
            points = [{"trial_id": record.trial_id, **dataclasses.asdict(point)} for point in record.curves]
            self._write_table(CURVES, record.trial_id, pa.Table.from_pylist(points, schema=CURVE_SCHEMA))
        else:
            # Those of an earlier run of the trial, see `retry`.
            self._delete(f"{self.root}/{CURVES}/{record.trial_id}.parquet")
        row = record.row()
        self._write_table(TRIALS, record.trial_id, pa.Table.from_pylist([row], schema=schema_of(row)))
        if record.status != "pruned":
            self.drop_checkpoints([record.trial_id])

    def drop_checkpoints(self, trial_ids: Container[str] | None = None) -> None:
        """Remove the checkpoints of these trials, or all; files that cannot be removed are ignored."""
        with contextlib.suppress(OSError):
            check_no_links(self._fs, self.root, f"{self.root}/{CHECKPOINTS}/any")
            selector = pa.fs.FileSelector(f"{self.root}/{CHECKPOINTS}", allow_not_found=True)
            for folder in self._fs.get_file_info(selector):
                if trial_ids is None or folder.base_name in trial_ids:
                    self._fs.delete_dir(folder.path)

    def _drop_empty_checkpoints(self) -> None:
        with contextlib.suppress(OSError):
            if not self._fs.get_file_info(pa.fs.FileSelector(f"{self.root}/{CHECKPOINTS}")):
                self._fs.delete_dir(f"{self.root}/{CHECKPOINTS}")

    def finished(self, set_aside: bool = True) -> dict[str, TrialSummary]:
        """Every trial that ended, by id; a timing trial that ran on several machines failed if it did so on all.

        Damaged files are listed in `damaged`, and renamed to `*.damaged` if `set_aside`; their trials run again. In a
        source they are an error.

        Raises:
            NewerResultsError, DamagedResultsError, ConflictingResultsError, UnreadableResultsError: when there are rows
                of a newer schema, foreign files or contradicting rows, or when a file cannot be read now. No file is
                touched then.
        """
        table = self._unique(set_aside)
        self.proposals = _proposals(table)
        if self._outdated:
            table = table.filter(pa.array([end not in self._outdated for end in _ends(table)], pa.bool_()))
        ended = [TrialSummary.from_row(row) for row in _rows(table, FINISHED_COLUMNS)]
        return {each.trial_id: each for each in sorted(ended, key=lambda each: not each.is_failure)}

    def rows(self, columns: Sequence[str], set_aside: bool = False) -> list[dict[str, Any]]:
        """These columns of every trial; a column that no file has is null.

        Raises:
            What `finished` raises.
        """
        return _rows(self._unique(set_aside), columns)

    def holds(self, role: Role) -> bool:
        """Whether a trial of this role is stored.

        Raises:
            NewerResultsError, DamagedResultsError, UnreadableResultsError: as `finished`, but not for damaged files.
        """
        return any(pc.any(pc.equal(part.table.column("role"), role)).as_py() for part in self._read(TRIALS).parts)

    def values(self, column: str) -> set[str]:
        """The texts in this column of the trials, such as the names of their tasks.

        Raises:
            NewerResultsError, DamagedResultsError, UnreadableResultsError: as `finished`, but not for damaged files.
        """
        found = {value for part in self._read(TRIALS).parts for value in part.table[column].unique().to_pylist()}
        return found - {None, ""}

    def _unique(self, set_aside: bool) -> pa.Table:
        """The rows of this folder and its sources, each trial once."""
        read, others = self._read(TRIALS), [read_parts(source, TRIALS) for source in self.sources]
        raise_for([fault for other in others for fault in (*other.damaged, *other.foreign)], SOURCE_ADVICE)
        unique = unique_trials([*read.parts, *(part for other in others for part in other.parts)])
        self._note_damage(read, set_aside)
        if others:
            of_others = pa.array(unique.sources >= len(read.parts))
            self.borrowed = frozenset(unique.table.column("trial_id").filter(of_others).to_pylist())
        return unique.table

    def retry(self, trial_ids: Iterable[str]) -> None:
        """Let these trials run again: `finished` leaves their rows out from now on.

        The rows stay until `write` replaces them, so that a trial that does not get its second try still counts as
        failed. For this, each trial's rows, and its curves, move to a file of their own.
        """
        again = set(trial_ids)
        for kind in (TRIALS, CURVES):
            read = self._read(kind)
            self._note_damage(read, set_aside=True)
            of_their_own = {Path(part.path).stem for part in read.parts}
            for part in read.parts:
                found = again.intersection(part.table.column("trial_id").to_pylist())
                if kind == TRIALS:
                    self._outdated.update(end for end in _ends(part.table) if end[0] in found)
                if found <= {Path(part.path).stem}:
                    continue
                for trial_id in sorted(found - of_their_own):
                    self._write_table(kind, trial_id, part.table.filter(pc.equal(part.table["trial_id"], trial_id)))
                    of_their_own.add(trial_id)
                kept = part.table.filter(pc.invert(pc.is_in(part.table["trial_id"], pa.array(sorted(found)))))
                if kept.num_rows:
                    self._write_table(kind, Path(part.path).stem, kept)
                else:
                    self._delete(part.path)

    def compact(
        self, others: Sequence[Store] = (), on_conflict: OnConflict = "raise", tasks: Sequence[str] = ()
    ) -> None:
        """Merge all files of a kind into one, with those of other folders; each trial is kept once.

        A crash meanwhile leaves duplicates, but loses no row. If a column holds text in some rows and numbers in
        others, there is a file for each. Unfinished files of killed processes are removed.

        Args:
            others: the other folders, which are only read.
            on_conflict: whose rows count where rows contradict each other.
            tasks: take only the trials of these tasks from `others`; empty for all.

        Raises:
            ConflictingResultsError: for contradicting rows, unless `on_conflict` chooses; nothing is written then.
        """
        gathered = self._gather(others, on_conflict, tasks)
        # The same name for both kinds, so that the files of trials and of curves have the same order.
        name = COMPACTED_PREFIX + uuid.uuid4().hex[:12]
        for kind in (CURVES, TRIALS):  # in this order, so that every row's curves are there
            own, tables = gathered[kind]
            self._note_damage(own, set_aside=True)
            if not others and len(tables) == len(own.parts):
                continue
            for place, table in enumerate(tables):
                self._write_table(kind, f"{name}-{place}", table)
            for part in own.parts:
                self._delete(part.path)
        self._drop_empty_checkpoints()
        with contextlib.suppress(OSError):
            remove_unfinished(self._fs, self.root)

    def files(self, kind: Kind) -> list[str]:
        """Sorted paths of the Parquet files with `trials` or `curves`, without unfinished ones."""
        return self.folder.parquet_files(kind)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder, or None where there is none.

        Raises:
            BadInput: when it cannot be read.
        """
        try:
            with self._fs.open_input_stream(f"{self.root}/{name}") as stream:
                loaded: dict[str, Any] = json.loads(stream.read())
                return loaded
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, RecursionError) as error:  # also bytes that are no text, and lists of lists of lists
            raise BadInput(
                f"{self.location}/{name} is damaged ({error}). Remove it: the trials are kept, and the next run "
                "writes a new one."
            ) from error
        except OSError as error:
            raise BadInput(f"The results location {self.location} cannot be read ({first_line(error)}).") from error

    def write_json(self, name: str, content: Mapping[str, Any], lasting: bool = True) -> None:
        """Write a JSON file of the folder, whole or not at all; see `write_whole` for `lasting`."""
        write_whole(self._fs, self.root, f"{self.root}/{name}", json.dumps(content, indent=2).encode(), lasting)

    def make_folder(self, name: str) -> None:
        """Create a folder in the results folder.

        Raises:
            OSError: when it cannot be made, or a link leads out of the results folder.
        """
        check_no_links(self._fs, self.root, f"{self.root}/{name}/any")
        self._fs.create_dir(f"{self.root}/{name}", recursive=True)

    def remove(self, name: str) -> None:
        """Remove a file without rows; it is no error if the file does not exist or cannot be removed."""
        with contextlib.suppress(OSError):
            check_no_links(self._fs, self.root, f"{self.root}/{name}")
            self._fs.delete_file(f"{self.root}/{name}")

    def remove_folder(self, name: str) -> None:
        """Remove a folder without rows and all its content; errors are ignored, as in `remove`."""
        with contextlib.suppress(OSError):
            check_no_links(self._fs, self.root, f"{self.root}/{name}/any")
            self._fs.delete_dir(f"{self.root}/{name}")

    def names_in(self, name: str) -> list[str]:
        """Sorted names of the files in a folder of the results folder, without those still being written.

        Raises:
            UnreadableResultsError: when it cannot be listed.
        """
        selector = pa.fs.FileSelector(f"{self.root}/{name}", allow_not_found=True)
        listed = patiently(lambda: self._fs.get_file_info(selector), f"{self.location}/{name}")
        return sorted(each.base_name for each in listed if each.is_file and not each.base_name.startswith("."))

    def check(self, path: str) -> str | None:
        """What is wrong with a Parquet file (it is damaged, or its rows do not match their digest), or None."""
        try:
            table = self.read(path)
        except ValueError as error:
            return f"cannot be read ({error})"
        recorded = (table.schema.metadata or {}).get(DIGEST_KEY)
        if recorded is None:
            return "has no digest: it was not written by regarena, or was edited"
        return None if recorded.decode() == digest(table) else "was edited: its rows do not match its digest"

    def read(self, path: str) -> pa.Table:
        """One file as a table, as it was stored.

        Raises:
            ValueError: when it is damaged.
            UnreadableResultsError: when it cannot be read now.
        """
        return decoded(patiently(lambda: self.folder.read(path), path))

    def check_mergeable(self, others: Sequence[Store], on_conflict: OnConflict, tasks: Sequence[str] = ()) -> None:
        """Raise the errors that `compact` with these arguments would raise; changes nothing."""
        self._gather(others, on_conflict, tasks)

    def _gather(
        self, others: Sequence[Store], on_conflict: OnConflict, tasks: Sequence[str]
    ) -> dict[Kind, tuple[Parts, list[pa.Table]]]:
        """Of each kind the folder's files, and the tables that are to replace them: each trial once.

        Trials are read before curves, and of `others` only the curves of these trials are taken: a run may write there,
        which writes the curves of a trial first.
        """
        gathered: dict[Kind, tuple[Parts, list[pa.Table]]] = {}
        wanted = {"task": tasks} if tasks else {}
        for kind in (TRIALS, CURVES):
            own = self._read(kind)
            theirs = [_only(part, wanted) for other in others for part in other._read(kind).parts]
            wanted = {"trial_id": [each for part in theirs for each in part.table["trial_id"].to_pylist()]}
            parts = own.parts + theirs
            unique = _UNIQUE[kind](parts, on_conflict)
            kept = [unique.of_file(part, place) for place, part in enumerate(parts)]
            gathered[kind] = own, unlike_apart(table for table in kept if len(table))
        return gathered

    def _read(self, kind: Kind) -> Parts:
        read = read_parts(self.folder, kind)
        raise_for(read.foreign, FOREIGN_ADVICE)
        return read

    def _note_damage(self, read: Parts, set_aside: bool) -> None:
        for fault in read.damaged:
            self.damaged.append(fault.name)
            if set_aside:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.move(fault.path, f"{fault.path}.damaged")

    def _delete(self, path: str) -> None:
        """Remove a file whose rows are stored elsewhere; another compaction of the folder may have removed it."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(path)

    def _write_table(self, kind: Kind, name: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        digested = table.replace_schema_metadata({DIGEST_KEY: digest(table)})
        pq.write_table(
            digested,
            buffer,
            compression="zstd",
            compression_level=COMPRESSION,
            write_page_checksum=True,
            **ENCODINGS[kind],
        )
        self._write_bytes(f"{self.root}/{kind}/{name}.parquet", buffer.getvalue())

    def _write_bytes(self, path: str, content: bytes) -> None:
        write_whole(self._fs, self.root, path, content)


def _only(part: Part, wanted: Mapping[str, Sequence[str]]) -> Part:
    """The rows of a file that have one of the wanted values in each of these columns."""
    table = part.table
    for name, values in wanted.items():
        table = table.filter(pc.is_in(table[name], pa.array(values, pa.string())))
    return Part(path=part.path, table=table)


def _rows(table: pa.Table, columns: Sequence[str]) -> list[dict[str, Any]]:
    """These columns of each row; those that the table lacks are null."""
    known = table.select([name for name in columns if name in table.column_names])
    empty = dict.fromkeys(columns)
    return [empty | row for row in known.to_pylist()]


def _ends(table: pa.Table) -> list[tuple[str, Any]]:
    """The id of each row's trial, and when it ended, which tells several runs of one trial apart."""
    return list(zip(table["trial_id"].to_pylist(), table["finished_at"].to_pylist(), strict=True))


def _proposals(table: pa.Table) -> Proposals:
    """Proposal digest -> hyperparameters, of the rows that have such a digest."""
    if "proposal_digest" not in table.column_names:
        return Proposals()
    made = table.filter(pc.is_valid(table.column("proposal_digest")))
    proposals: list[dict[str, Scalar]] = [{} for _ in range(len(made))]
    for name in made.column_names:
        if name.startswith(HYPERPARAMETER_PREFIX):
            column = made.column(name)
            places = pc.indices_nonzero(pc.is_valid(column))
            for place, value in zip(places.to_pylist(), column.take(places).to_pylist(), strict=True):
                proposals[place][name.removeprefix(HYPERPARAMETER_PREFIX)] = value
    return Proposals(dict(zip(made.column("proposal_digest").to_pylist(), proposals, strict=True)))
