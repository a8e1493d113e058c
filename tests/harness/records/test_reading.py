"""What cannot be read just now is tried again; only what the decoder rejects is damaged; foreign tables are named."""

import itertools
import os
import resource
import signal
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from some_records import record

import analysis
from harness.errors import BadInput
from harness.records import folders
from harness.records.folders import UnreadableResultsError, open_folder
from harness.records.reading import read_parts
from harness.results.store import Store
from harness.results.verify import verify_folder


@pytest.fixture
def store(tmp_path):
    prepared = Store(tmp_path / "results")
    prepared.prepare()
    for number in range(3):
        prepared.write(record(number))
    return prepared


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(folders, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def names(store):
    return sorted(path.name for path in Path(store.root).rglob("*.parquet*"))


@pytest.mark.parametrize("failures", [1, 3], ids=["once", "three times"])
def test_an_error_that_passes_is_no_damage(store, quick, monkeypatch, failures):
    """As a store that answers 503, or a disk that reports EIO for a while."""
    left = {path: failures for path in store.files("trials")}
    read = folders.Folder.read

    def busy(folder, path):
        left[path] -= 1
        if left[path] >= 0:
            raise OSError(5, "Input/output error")
        return read(folder, path)

    monkeypatch.setattr(folders.Folder, "read", busy)
    before = names(store)
    assert len(store.finished()) == 3
    assert (store.damaged, names(store)) == ([], before)


def test_an_error_that_stays_ends_in_a_sentence_and_renames_nothing(store, quick, monkeypatch):
    def broken(folder, path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(folders.Folder, "read", broken)
    before = names(store)
    for act in (
        store.finished,
        store.compact,
        lambda: analysis.load_trials(store.location),
        lambda: verify_folder(store.location),
    ):
        with pytest.raises(UnreadableResultsError, match=r"parquet cannot.*Input/output error.* Nothing was changed"):
            act()
    assert (store.damaged, names(store)) == ([], before)


def test_with_few_file_descriptors_every_row_is_found(store, quick):
    for number in range(3, 30):
        store.write(record(number))
    before, limit = names(store), resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = {int(name) for name in os.listdir("/proc/self/fd")}
    *_, fourth_free = itertools.islice((number for number in itertools.count() if number not in opened), 4)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fourth_free + 1, limit[1]))
    try:
        found = store.finished()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert (len(found), names(store)) == (30, before)


def test_only_what_the_decoder_rejects_is_set_aside(store):
    first = store.files("trials")[0]
    os.truncate(first, os.path.getsize(first) // 2)
    assert len(store.finished()) == 2
    assert store.damaged == [f"trials/{Path(first).name}"]
    assert os.path.exists(f"{first}.damaged")


FOREIGN = {
    "text values": ({"test_value": pa.array(["high"])}, "test_value holds string, not numbers"),
    "text times": ({"started_at": pa.array(["noon"])}, "started_at holds string, not times with a time zone"),
    "naive times": (
        {"finished_at": pa.array([datetime(2026, 1, 1)], pa.timestamp("us"))},
        "finished_at holds timestamp[us], not times with a time zone",
    ),
    "a list of ids": ({"trial_id": pa.array([["a", "b"]])}, "trial_id holds list"),
    "a version in text": ({"schema_version": pa.array(["2"])}, "schema_version holds string, not numbers"),
    "a text metric": ({"metric.loss": pa.array(["low"])}, "metric.loss holds string, not numbers"),
}


@pytest.mark.parametrize(("columns", "words"), FOREIGN.values(), ids=FOREIGN)
def test_a_table_of_somebody_else_is_named_and_left_where_it_is(store, columns, words):
    path = Path(store.files("trials")[0])
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path.with_name("foreign.parquet"))
    before = names(store)
    for read in (store.finished, lambda: analysis.load_trials(store.location)):
        with pytest.raises(BadInput) as raised:
            read()
        assert "foreign.parquet" in str(raised.value)
        assert words in str(raised.value)
    assert any("foreign.parquet" in finding and words in finding for finding in verify_folder(store.location))
    assert names(store) == before


def test_text_and_categories_as_other_programs_write_them_are_text(store):
    path = Path(store.files("trials")[0])
    table = pq.read_table(path)
    for name, kind in (("task", pa.large_string()), ("regularizer", pa.dictionary(pa.int32(), pa.string()))):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    pq.write_table(table, path)
    (part, *_) = [each for each in read_parts(open_folder(store.location), "trials").parts if each.path == str(path)]
    assert [part.table.schema.field(name).type for name in ("task", "regularizer")] == [pa.string()] * 2


def test_a_disk_that_is_full_leaves_no_unfinished_file_of_a_report(tmp_path):
    """A limit on the size of files makes the kernel refuse further bytes, as a full disk does."""
    folder, before = open_folder(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.write("tables/ranking.csv", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list((tmp_path / "tables").iterdir()) == []


def test_two_compactions_of_one_folder_at_once_lose_nothing(store, monkeypatch):
    """On an object store nothing locks: the second removes files that the first has removed already."""
    other, written = Store(store.location), []
    write = Store._write_table

    def write_while_the_other_compacts(self, kind, name, table):
        if self is store and not written:
            written.append(name)
            other.compact()
        write(self, kind, name, table)

    monkeypatch.setattr(Store, "_write_table", write_while_the_other_compacts)
    before = store.finished()
    store.compact()
    assert written
    assert store.finished() == before
    store.compact()
    assert len(store.files("trials")) == len(store.files("curves")) == 1
    assert verify_folder(store.location) == []
