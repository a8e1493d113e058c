import contextlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import some_records
import torch
from arena import Arena, await_that, by_id, curve_points, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from some_records import NUM_POINTS, record

import analysis
from harness.errors import BadInput, CampaignLocked
from harness.records.folders import CURVES, TRIALS, unfinished_path
from harness.results.campaign_file import read_campaign
from harness.results.checkpoints import TrialCheckpoints
from harness.results.lock import campaign_lock
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.results.verify import verify_folder

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from some_records import record
from harness.results.store import Store
store = Store(sys.argv[1])
store.prepare()
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 150):  # a reader looks at all of them again and again
    store.write(record(number))
    print(number, flush=True)
"""


def in_order(rows_by_id):
    """Rows as text, so that a value that is no number equals itself."""
    return sorted(map(str, rows_by_id.items()))


@pytest.fixture
def store(tmp_path):
    prepared = Store(tmp_path / "results")
    prepared.prepare()
    return prepared


def test_a_stored_trial_is_finished_and_comes_back_as_it_was(store):
    store.write(record(3))
    trial_id = record(3).trial_id
    assert store.finished() == {
        trial_id: TrialSummary(
            trial_id, "completed", 0.5, "digits-mlp", "none", "confirm", test_value=0.25, epochs_run=3, seconds=2.0
        )
    }
    (row,) = analysis.load_trials(store.location).to_dict("records")
    assert (row["trial_id"], row["hp.learning_rate"], row["test_value"]) == (trial_id, 0.1, 0.25)
    assert list(analysis.load_curves(store.location)["value"]) == [epoch / 50 for epoch in range(NUM_POINTS)]


@pytest.mark.slow
def test_no_reader_ever_sees_a_torn_file_though_writers_are_killed(store):
    """Writers are ended by SIGKILL at any moment; whatever stands there then can be read and fits its digest."""
    printed = -1
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, store.location, os.path.dirname(some_records.__file__), str(printed + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5):
            printed = int(writer.stdout.readline())
            assert all(store.check(path) is None for path in store.files(TRIALS) + store.files(CURVES))
        writer.kill()
        printed = int((writer.stdout.read().splitlines() or [printed])[-1])
        writer.wait()
        finished = store.finished()
        assert {record(number).trial_id for number in range(printed + 1)} <= set(finished), "what was written is there"
    assert not store.damaged
    left = verify_folder(store.location)
    assert all("have no row" in finding for finding in left), "a curve whose writer was killed before the row"


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_changed_byte_or_a_lost_end_never_passes_for_genuine(tmp_path_factory, data):
    store = Store(tmp_path_factory.mktemp("edited"))
    store.prepare()
    store.write(record())
    (path,) = store.files(TRIALS)
    content = bytearray(Path(path).read_bytes())
    genuine = store.read(path).to_pylist()
    if data.draw(st.booleans(), label="truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
    Path(path).write_bytes(content)
    found = store.check(path)
    assert found is not None or str(store.read(path).to_pylist()) == str(genuine), "a wrong row was taken for genuine"


def test_an_edited_row_does_not_fit_its_digest(store):
    store.write(record())
    (path,) = store.files(TRIALS)
    table = pq.read_table(path)
    column = table.column_names.index("test_value")
    pq.write_table(table.set_column(column, "test_value", pa.array([0.99])), path)
    assert "was edited" in store.check(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    assert "no digest" in store.check(path)


def test_a_damaged_file_is_set_aside_and_its_trial_is_not_finished(store):
    for number in range(3):
        store.write(record(number))
    path = next(path for path in store.files(TRIALS) if record(1).trial_id in path)
    os.truncate(path, 100)
    assert set(store.finished(set_aside=False)) == {record(0).trial_id, record(2).trial_id}
    assert os.path.exists(path), "who only looks changes nothing"
    assert set(store.finished()) == {record(0).trial_id, record(2).trial_id}
    assert os.path.exists(f"{path}.damaged")
    assert not os.path.exists(path)
    assert {name.split("/")[0] for name in store.damaged} == {TRIALS}


def test_compaction_loses_nothing_and_leaves_one_file(store):
    for number in range(5):
        store.write(record(number))
    before, points = by_id(Path(store.root)), curve_points(Path(store.root))
    store.compact()
    assert (len(store.files(TRIALS)), len(store.files(CURVES))) == (1, 1)
    assert in_order(by_id(Path(store.root))) == in_order(before)
    assert sorted(map(str, curve_points(Path(store.root)))) == sorted(map(str, points))
    assert verify_folder(store.location) == []


def test_a_compaction_that_was_interrupted_leaves_duplicates_which_the_next_one_removes(store):
    for number in range(4):
        store.write(record(number))
    parts = {path: Path(path).read_bytes() for path in store.files(TRIALS) + store.files(CURVES)}
    finished = store.finished()
    before, points = by_id(Path(store.root)), len(curve_points(Path(store.root)))
    store.compact()
    for path in list(parts)[::2]:
        Path(path).write_bytes(parts[path])
    assert store.finished() == finished
    assert len(rows(Path(store.root))) > 4
    assert len(analysis.load_trials(store.location)) == 4
    store.compact()
    assert in_order(by_id(Path(store.root))) == in_order(before)
    assert len(curve_points(Path(store.root))) == points


@pytest.mark.slow
def test_readers_beside_a_compaction_find_every_trial(store):
    """`regarena plan` while a run ends: the files that it has listed vanish, and their rows stand in a new one."""
    expected = {record(number).trial_id for number in range(30)}
    stop, seen, errors = threading.Event(), [], []

    def read():
        while not stop.is_set():
            try:
                seen.append(set(Store(store.location).finished(set_aside=False)) >= settled)
            except Exception as error:
                errors.append(error)

    settled = set()
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        store.write(record(number))
        settled = settled | {record(number).trial_id}
        if number % 3 == 2:
            ended = len(seen) + len(errors)
            store.compact()
            # Readers list the files again a few times only: each meets a compaction or two, however slow it is.
            await_that(lambda ended=ended: len(seen) + len(errors) > ended, "a reader has come to its end")
    stop.set()
    reader.join()
    assert not errors
    assert set(store.finished()) == expected
    assert not [path for path in (Path(store.root) / TRIALS).iterdir() if path.suffix == ".damaged"]


def test_columns_of_one_name_and_different_types_survive_compaction(store):
    stored = [record(0, where="dense"), record(1, where=2), record(2, where=0.5), record(3, where=True)]
    for each in stored:
        store.write(each)
    store.compact()
    store.compact()
    values = {row["seed"]: row["hp.where"] for row in rows(Path(store.root))}
    assert values == {0: "dense", 1: 2, 2: 0.5, 3: True}
    assert isinstance(values[3], bool)
    assert set(store.finished()) == {each.trial_id for each in stored}


def test_a_damaged_curve_does_not_stop_a_compaction(store):
    for number in range(3):
        store.write(record(number))
    damaged = store.files(CURVES)[0]
    os.truncate(damaged, 50)
    store.compact()
    assert len(rows(Path(store.root))) == 3
    assert len({point["trial_id"] for point in curve_points(Path(store.root))}) == 2
    assert os.path.exists(f"{damaged}.damaged")


def test_of_two_rows_of_one_trial_the_one_that_succeeded_counts(store, tmp_path):
    other = Store(tmp_path / "other")
    other.prepare()
    store.write(record(0, status="failed"))
    other.write(record(0))
    store.compact([other])
    (done,) = store.finished().values()
    assert done.status == "completed"
    assert [row["status"] for row in rows(Path(store.root))] == ["completed"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_timing_trial_that_failed_on_one_of_two_machines_is_finished(store, tmp_path, order):
    """It has a row for each; as a failure it would be tried again, and the row that succeeded would be removed."""
    other = Store(tmp_path / "other")
    other.prepare()
    statuses = ["failed", "completed"][::order]
    for each, status, machine in zip((store, other), statuses, ("a x1", "b x1"), strict=True):
        each.write(record(0, status, role="timing").with_values(hardware_key=machine))
    store.compact([other])
    assert len(rows(Path(store.root))) == 2
    (done,) = store.finished().values()
    assert done.status == "completed"


def ended(number, status="completed", minute=0):
    """A record of a trial that ended at a certain time."""
    return record(number, status).with_values(finished_at=datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


@pytest.fixture
def retried(store):
    """A folder in which trials 1 (in a file with others) and 4 (in its own) failed and are to run again."""
    for number in range(4):
        store.write(ended(number, "crashed" if number == 1 else "completed"))
    store.compact()
    store.write(ended(4, "diverged"))
    store.retry([record(1).trial_id, record(4).trial_id])
    return store


def statuses(store):
    return {row["seed"]: row["status"] for row in rows(Path(store.root))}


def test_trials_that_are_to_run_again_keep_their_rows_until_new_ones_are_written(retried):
    done = {record(number).trial_id for number in (0, 2, 3)}
    assert set(retried.finished()) == done, "those to run again count as not run for this run"
    failed = {each.trial_id for each in Store(retried.location).finished().values() if each.is_failure}
    assert failed == {record(1).trial_id, record(4).trial_id}, "and as failed for everybody else"
    assert len(curve_points(Path(retried.root))) == 5 * NUM_POINTS
    retried.write(ended(1, minute=1))
    assert set(retried.finished()) == done | {record(1).trial_id}
    assert statuses(retried) == {0: "completed", 1: "completed", 2: "completed", 3: "completed", 4: "diverged"}
    assert verify_folder(retried.location) == []


def test_a_new_row_replaces_the_failed_one_whatever_the_two_say(retried):
    """Two rows that the training determines would contradict each other: a GPU may diverge once, and not again."""
    retried.write(ended(4, minute=1))
    retried.write(replace(ended(1, "failed", minute=1), curves=()))
    for _ in range(2):
        assert statuses(retried)[4] == "completed"
        assert statuses(retried)[1] == "failed"
        assert retried.finished()[record(1).trial_id].status == "failed"
        of_curves = {point["trial_id"] for point in curve_points(Path(retried.root))}
        assert of_curves == {record(number).trial_id for number in (0, 2, 3, 4)}, "the failed one left none this time"
        retried.compact()


def test_a_second_process_is_refused_while_the_first_lives_and_let_in_when_it_is_killed(store):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from harness.results.store import Store\n"
            "with Store(sys.argv[1]).lock(): print('held', flush=True); time.sleep(600)",
            store.location,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CampaignLocked, match="Another run is working on the campaign"), store.lock():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.lock():
        pass


@pytest.mark.parametrize("place", ["/proc/regarena", "{file}/below"])
def test_a_folder_that_cannot_be_written_is_refused_with_a_sentence(tmp_path, place):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    location = place.format(file=in_the_way)
    store = Store(location)
    assert store.read_json("campaign.json") is None
    assert store.finished() == {}
    with pytest.raises(BadInput, match="choose another one"):
        store.prepare()


def test_a_file_is_no_results_folder(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(BadInput, match=f"{in_the_way} is a file, but a folder is needed"):
        Store(in_the_way)


def test_a_name_that_is_too_long_for_a_folder_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="File name too long"):
        Store(tmp_path / ("n" * 300)).prepare()


def test_a_location_that_no_file_system_knows_is_refused():
    with pytest.raises(BadInput, match="cannot be opened"):
        Store("nowhere://bucket/folder")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1, 2", b"\xff", b'{"suite": "\xe9"}', b"[" * 10**5],
    ids=["empty", "cut", "list", "byte", "Latin-1", "deep"],
)
def test_a_damaged_campaign_file_is_named(store, content):
    (Path(store.root) / "campaign.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"campaign\.json is damaged"):
        store.read_json("campaign.json")


def test_a_disk_that_fills_up_while_writing_leaves_no_partial_file(store):
    """A limit on the size of files makes the kernel refuse further bytes, as a full disk does."""
    store.write(record(0))
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, previous[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.write(record(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
        signal.signal(signal.SIGXFSZ, ignored)
    assert set(store.finished()) == {record(0).trial_id}
    assert [path.name for path in (Path(store.root) / TRIALS).iterdir()] == [f"{record(0).trial_id}.parquet"]
    store.write(record(1))
    assert len(store.finished()) == 2


def test_a_json_file_is_replaced_as_a_whole(store):
    for number in range(3):
        store.write_json("campaign.json", {"number": number})
        assert json.loads((Path(store.root) / "campaign.json").read_text()) == {"number": number}
    assert store.read_json("campaign.json") == {"number": 2}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """An S3 server on loopback with an empty bucket; the URI of a folder in it."""
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield lambda folder: f"s3://bucket/{folder}?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    server.stop()


def test_results_live_on_an_object_store_as_they_do_in_a_folder(bucket):
    store = Store(bucket("written"))
    assert store.read_json("campaign.json") is None
    store.prepare()
    for number in range(3):
        store.write(record(number))
    campaign = {"suite": "well", "campaign_id": "0123", "requests": []}
    store.write_json("campaign.json", campaign)
    assert read_campaign(Store(bucket("written"))) == campaign
    expected = {record(number).trial_id for number in range(3)}
    assert set(store.finished()) == expected
    store.compact()
    assert len(store.files(TRIALS)) == 1
    assert set(store.finished()) == expected
    assert verify_folder(bucket("written")) == []
    assert set(analysis.load_trials(bucket("written"))["trial_id"]) == expected
    assert len(analysis.load_curves(bucket("written"))) == 3 * NUM_POINTS


def test_checkpoints_live_on_an_object_store_and_go_when_the_row_is_stored(bucket):
    location, ended = bucket("checkpoints"), record()
    Store(location).prepare()
    kept = TrialCheckpoints(location, ended.trial_id, 0, "here")
    assert kept.load() is None
    for epoch in range(1, 5):
        kept.offer(epoch, lambda epoch=epoch: {"weights": torch.full((3,), float(epoch))})
    again = TrialCheckpoints(location, ended.trial_id, 0, "here").load()
    assert torch.equal(again["weights"], torch.full((3,), 4.0))
    Store(location).write(ended)
    assert TrialCheckpoints(location, ended.trial_id, 0, "here").load() is None
    assert verify_folder(location) == []


def test_a_bucket_that_is_not_there_is_refused_with_a_sentence(bucket):
    missing = Store(bucket("x").replace("s3://bucket/", "s3://no-such-bucket/"))
    with pytest.raises(BadInput, match="cannot be written"):
        missing.prepare()


@pytest.mark.slow
def test_a_whole_campaign_runs_into_an_object_store(bucket, tmp_path):
    arena = Arena(tmp_path)
    asked = ("well", "--only", "tiny-mlp,none", "--tune-trials", "2", "--results", bucket("campaign"))
    ended = arena.regarena("run", "--serial", *asked)
    assert ended.returncode == 0, ended.stderr
    trials = analysis.load_trials(bucket("campaign"))
    assert sorted(trials["role"]) == ["confirm"] * 2 + ["default"] * 2 + ["timing"] + ["tune"] * 2
    assert set(trials["status"]) == {"completed"}
    assert len(arena.executions) == 6 + 2, "a timing trial prepares two trainings"
    assert verify_folder(bucket("campaign")) == []
    (cell,) = json.loads(arena.regarena("plan", *asked, "--json").stdout)
    assert (cell["done"], cell["missing"]) == (7, 0)


@pytest.mark.parametrize("name", ["trials", "curves", "checkpoints"])
def test_a_campaign_does_not_begin_in_a_folder_with_links_that_lead_out_of_it(tmp_path, name):
    """A results folder may come from somebody else: through a link, files of this user would be written or removed."""
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    (elsewhere / "folder" / "file").touch()
    results.mkdir()
    (results / name).symlink_to(elsewhere)
    with pytest.raises(BadInput, match="is a link"):
        Store(results).prepare()
    Store(results).drop_checkpoints()
    checkpoint = TrialCheckpoints(str(results), "folder", 0, "here")
    if name == "checkpoints":
        with pytest.warns(UserWarning, match="is a link"):
            checkpoint.offer(1, dict)
    assert [path.name for path in elsewhere.rglob("*")] == ["folder", "file"]


def test_a_results_folder_may_itself_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    store = Store(tmp_path / "results")
    store.prepare()
    store.write(record(0))
    assert len(store.finished()) == 1


def test_links_in_place_of_files_are_replaced_and_not_written_through(tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("as it was")
    store = Store(tmp_path / "results")
    store.prepare()
    for name in ("campaign.json", unfinished_path(Path("campaign.json")).name):
        (tmp_path / "results" / name).symlink_to(elsewhere)
    store.write_json("campaign.json", {"campaign_id": "x"})
    assert elsewhere.read_text() == "as it was"
    assert store.read_json("campaign.json") == {"campaign_id": "x"}


def test_what_killed_processes_left_unfinished_is_removed_and_what_others_write_is_not(tmp_path):
    store = Store(tmp_path / "results")
    store.prepare()
    trials = Path(store.root) / "trials"
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine = unfinished_path(trials / "some.parquet")
    of_the_dead = mine.with_name(mine.name.replace(str(os.getpid()), str(ended.pid)))
    elsewhere, long_ago = trials / ".some.parquet.another_machine-7", trials / ".other.parquet.another_machine-7"
    link = trials / f".link.{of_the_dead.name.rpartition('.')[2]}"
    for path in (mine, of_the_dead, elsewhere, long_ago, trials / ".hidden"):
        path.write_bytes(b"PAR1")
    os.utime(long_ago, (0, 0))
    (tmp_path / "precious").write_text("as it was")
    link.symlink_to(tmp_path / "precious")
    store.compact()
    assert {path.name for path in trials.iterdir()} == {mine.name, elsewhere.name, ".hidden"}
    assert (tmp_path / "precious").read_text() == "as it was"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_lock_that_is_no_file_is_refused_and_nothing_is_made_elsewhere(tmp_path, kind):
    lock = tmp_path / "results" / ".lock"
    lock.parent.mkdir()
    make = {"link": lambda: lock.symlink_to(tmp_path / "made"), "folder": lock.mkdir, "pipe": lambda: os.mkfifo(lock)}
    make[kind]()
    if kind == "pipe":  # harmless, as long as nobody waits for it
        with Store(lock.parent).lock():
            pass
    else:
        with pytest.raises(OSError, match=r"results/\.lock"), Store(lock.parent).lock():
            pass
    assert not (tmp_path / "made").exists()


def test_the_lock_of_a_campaign_on_an_object_store_leaves_nothing_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):
        with campaign_lock("s3://bucket/folder", None):
            assert len(list(tmp_path.iterdir())) == 1
            with pytest.raises(CampaignLocked), campaign_lock("s3://bucket/folder", None):
                pass
        assert not list(tmp_path.iterdir())


def test_a_folder_and_its_uri_have_one_lock(tmp_path):
    folder = Store(tmp_path / "a folder")
    folder.prepare()
    uri = Store((tmp_path / "a folder").as_uri())
    assert uri.is_local
    assert uri.address == folder.address
    with folder.lock(), pytest.raises(CampaignLocked), uri.lock():
        pass
    with uri.lock(), pytest.raises(CampaignLocked), folder.lock():
        pass


@pytest.mark.parametrize(
    ("other", "is_the_same"),
    [("s3://b/f/", True), ("s3://b/g", False), ("s3://b/f?endpoint_override=other", False), ("gs://b/f", False)],
)
def test_two_names_of_one_place_on_an_object_store_have_one_lock(tmp_path, monkeypatch, other, is_the_same):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    refused = pytest.raises(CampaignLocked) if is_the_same else contextlib.nullcontext()
    with campaign_lock("s3://b/f", None), refused, campaign_lock(other, None):
        pass
