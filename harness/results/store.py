"""The only writer of Parquet: one file per finished trial, compaction at the end, and the list of what is finished.

A results folder is local, or any URI that pyarrow.fs opens. A file is either whole or not there: it is written under
a name that readers ignore (a leading dot), flushed to the disk and renamed; an object store makes it visible at once.
Each file carries a digest of its rows, so that `verify` can tell an edited file from a genuine one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from harness.errors import BadInput
from harness.records import CURVE_SCHEMA, SUCCESSES, TrialRecord, schema_of
from harness.results.locations import CHECKPOINTS, check_no_links, opened, write_whole
from harness.results.lock import campaign_lock
from harness.results.rows import digest, merged, one_of_each_point, one_row_per_trial
from harness.results.trial_summary import FINISHED_COLUMNS, TrialSummary

DIGEST_KEY = b"regarena.digest"
TRIALS, CURVES = "trials", "curves"
CAMPAIGN_FILE = "campaign.json"
COMPACTED_PREFIX = "compacted-"
_READERS = 8
UNREADABLE = (OSError, ValueError, pa.ArrowException)  # what a damaged file may raise; text that is none, ValueError


class Store:
    """A campaign's results folder.

    Args:
        location: a local folder, made if it is not there, or a URI ("s3://bucket/folder").

    Raises:
        BadInput: when the location cannot be opened.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = str(location)
        self.is_local = "://" not in self.location
        self._fs, self.root = opened(self.location)
        self.damaged: list[str] = []  # files that `finished` or `compact` could not read

    @property
    def address(self) -> str:
        """The location as another process finds it, whatever folder that one works in."""
        return self.root if self.is_local else self.location

    def prepare(self) -> None:
        """Make the folders, and prove that a file can be written.

        Raises:
            BadInput: when it cannot.
        """
        try:
            for folder in (TRIALS, CURVES, CHECKPOINTS):
                check_no_links(self._fs, self.root, f"{self.root}/{folder}/any")
            for folder in (TRIALS, CURVES):
                self._fs.create_dir(f"{self.root}/{folder}", recursive=True)
            self._write_bytes(f"{self.root}/{TRIALS}/.probe", b"probe")
            self._fs.delete_file(f"{self.root}/{TRIALS}/.probe")
        except OSError as error:
            raise BadInput(
                f"The results folder {self.location} cannot be written ({_short(error)}); choose another one."
            ) from error

    def lock(self) -> AbstractContextManager[str | None]:
        """Hold the campaign for this process; see `harness.results.lock`.

        Raises:
            CampaignLocked: when another process holds it.
        """
        return campaign_lock(self.location, Path(self.root) if self.is_local else None)

    def write(self, record: TrialRecord) -> None:
        """Store one finished trial: its curves first, then its row, which is what makes it finished.

        Its checkpoints go then.

        Raises:
            OSError: when the disk is full or the folder cannot be written.
        """
        if record.curves:
            points = [{"trial_id": record.trial_id, **dataclasses.asdict(point)} for point in record.curves]
            self._write_table(CURVES, record.trial_id, pa.Table.from_pylist(points, schema=CURVE_SCHEMA))
        row = record.row()
        self._write_table(TRIALS, record.trial_id, pa.Table.from_pylist([row], schema=schema_of(row)))
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
        """Every trial that ended, by id; of several rows of one trial the first that succeeded.

        Damaged files are listed in `damaged`, and renamed to `*.damaged` if `set_aside`; their trials run again.
        """
        found: dict[str, TrialSummary] = {}
        for _, table in self._read_all(TRIALS, FINISHED_COLUMNS, set_aside):
            for row in table.to_pylist():
                known = found.get(row["trial_id"])
                if known is None or (row["status"] in SUCCESSES and not known.has_result):
                    found[row["trial_id"]] = TrialSummary.from_row(row)
        return found

    def rows(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """These columns of every trial row that can be read; a column that a file has not is null."""
        tables = [table for _, table in self._read_all(TRIALS, set_aside=False)]
        kept = [table.select([name for name in columns if name in table.column_names]) for table in tables]
        empty = dict.fromkeys(columns)
        return [empty | row for table in kept for row in table.to_pylist()]

    def forget(self, trial_ids: Iterable[str]) -> None:
        """Remove the rows and curves of these trials, so that they run again."""
        gone = set(trial_ids)
        for folder in (TRIALS, CURVES):
            for path, table in self._read_all(folder):
                ids = table.column("trial_id").to_pylist()
                if not gone.intersection(ids):
                    continue
                kept = table.filter(pa.array([trial_id not in gone for trial_id in ids]))
                if kept.num_rows:
                    self._write_table(folder, Path(path).stem, kept)
                else:
                    self._fs.delete_file(path)

    def adopt(self, other: Store) -> None:
        """Copy the rows and curves of trials that are finished elsewhere and not here, or failed here only."""
        theirs = other.finished(set_aside=False)
        known = {
            trial_id
            for trial_id, done in self.finished().items()
            if done.has_result or trial_id not in theirs or not theirs[trial_id].has_result
        }
        for folder in (CURVES, TRIALS):
            for path in other.files(folder):
                table = other.read(path)
                fresh = [trial_id not in known for trial_id in table.column("trial_id").to_pylist()]
                if any(fresh):
                    self._write_table(folder, COMPACTED_PREFIX + uuid.uuid4().hex[:12], table.filter(pa.array(fresh)))

    def compact(self) -> None:
        """Merge the files of a folder into one; a crash in between leaves duplicates, never a gap.

        Where columns of one name hold text in some rows and numbers in others, there is a file for each.
        """
        for folder, one_of_each in ((TRIALS, one_row_per_trial), (CURVES, one_of_each_point)):
            read = self._read_all(folder)
            tables = merged([table for _, table in read])
            if len(tables) == len(read):
                continue
            for table in tables:
                self._write_table(folder, COMPACTED_PREFIX + uuid.uuid4().hex[:12], one_of_each(table))
            for path, _ in read:
                self._fs.delete_file(path)
        self._drop_empty_checkpoints()

    def files(self, folder: str) -> list[str]:
        """Paths of the whole files of `trials` or `curves`, sorted."""
        selector = pa.fs.FileSelector(f"{self.root}/{folder}", allow_not_found=True)
        names = [info.path for info in self._fs.get_file_info(selector) if info.type == pa.fs.FileType.File]
        return sorted(
            path for path in names if path.endswith(".parquet") and not Path(path).name.startswith((".", "_"))
        )

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
        except json.JSONDecodeError as error:
            raise BadInput(
                f"{self.location}/{name} is damaged ({error}). Remove it: the trials are kept, and the next run "
                "writes a new one."
            ) from error
        except OSError as error:
            raise BadInput(f"The results location {self.location} cannot be read ({_short(error)}).") from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        self._write_bytes(f"{self.root}/{name}", json.dumps(content, indent=2).encode())

    def check(self, path: str) -> str | None:
        """What is wrong with one Parquet file, or None: unreadable, or rows that do not fit their digest."""
        try:
            table = self._read(path)
        except UNREADABLE as error:
            return f"cannot be read ({_short(error)})"
        recorded = (table.schema.metadata or {}).get(DIGEST_KEY)
        if recorded is None:
            return "carries no digest: it was not written by regarena, or was edited"
        return None if recorded.decode() == digest(table) else "was edited: its rows do not fit its digest"

    def read(self, path: str) -> pa.Table:
        """One file as a table."""
        return self._read(path)

    def _read_all(
        self, folder: str, columns: tuple[str, ...] | None = None, set_aside: bool = True
    ) -> list[tuple[str, pa.Table]]:
        """Path and content of every file that can be read; one that vanishes meanwhile was compacted, so list again."""
        while True:
            paths = self.files(folder)
            with ThreadPoolExecutor(_READERS) as pool:
                read = list(pool.map(lambda path: self._read_or_error(path, columns), paths))
            if not any(isinstance(content, FileNotFoundError) for content in read):
                break
        for path, content in zip(paths, read, strict=True):
            if isinstance(content, Exception):
                self.damaged.append("/".join(path.split("/")[-2:]))
                if set_aside:
                    self._fs.move(path, f"{path}.damaged")
        return [(path, table) for path, table in zip(paths, read, strict=True) if not isinstance(table, Exception)]

    def _read_or_error(self, path: str, columns: tuple[str, ...] | None) -> pa.Table | Exception:
        try:
            return self._read(path, columns)
        except PermissionError as error:
            raise BadInput(f"{path} may not be read by this user ({_short(error)}).") from error
        except UNREADABLE as error:
            return error

    def _read(self, path: str, columns: tuple[str, ...] | None = None) -> pa.Table:
        with self._fs.open_input_file(path) as source:
            table = pq.read_table(
                source, columns=list(columns) if columns else None, use_threads=False, page_checksum_verification=True
            )
        table.validate(full=True)  # a changed byte may leave text that no longer is text
        return table

    def _write_table(self, folder: str, name: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        digested = table.replace_schema_metadata({DIGEST_KEY: digest(table)})
        pq.write_table(digested, buffer, compression="zstd", write_page_checksum=True)
        self._write_bytes(f"{self.root}/{folder}/{name}.parquet", buffer.getvalue())

    def _write_bytes(self, path: str, content: bytes) -> None:
        write_whole(self._fs, self.root, path, content)


def _short(error: BaseException) -> str:
    """The first line of an error's text."""
    return str(error).strip().split("\n")[0].rstrip(".")
