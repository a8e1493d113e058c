"""What another terminal sees of a run and asks of it, by the files of the results folder alone."""

import re
import shlex
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from some_records import record
from typer.testing import CliRunner

from harness.cli import app
from harness.command.status_screen import show_status
from harness.control import account, status
from harness.control.account import Account
from harness.control.files import RUN_FILE, RUNNING, noted
from harness.control.requests import Requests
from harness.control.status import ask, await_end, read_status
from harness.errors import BadInput, Interrupted, RegarenaError
from harness.records.folders import TRIALS
from harness.results.store import Store
from harness.workers.interrupts import interruptible

CELLS = [
    {"task": "digits-mlp", "regularizer": "none", "total": 9, "done": 4, "failures": {"timeout": 1}, "best": 0.5},
    {"task": "digits-mlp", "regularizer": "dropout", "total": 9, "done": 9, "failures": {}, "best": None},
]


def standing():
    return {"num_workers": 2, "seconds_left": 90.0, "cells": CELLS}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A campaign's folder with one row that failed; runs look for requests often."""
    monkeypatch.setattr(account, "LOCAL_SECONDS", 0.02)
    store = Store(tmp_path / "results")
    store.prepare()
    store.write_json("campaign.json", {"campaign_id": "c", "suite": "demo", "requests": []})
    store.write(record(1))
    store.write(record(2, "timeout").with_values(error_message="too slow"))
    return store


def test_a_run_tells_how_it_stands_and_which_process_has_which_trials(store):
    with Account(store, "demo", standing):
        with noted(store, (record(7).spec, record(8).spec)):
            seen = read_status(store.location)
        after = read_status(store.location)
    assert (seen.is_running, seen.suite, seen.num_done, seen.num_trials, seen.num_failed) == (True, "demo", 13, 18, 1)
    (pack,) = seen.running
    assert (pack.task, pack.regularizer, pack.role, pack.seeds) == ("digits-mlp", "none", "confirm", (7, 8))
    assert [(failure.status, failure.message) for failure in seen.failures] == [("timeout", "too slow")]
    assert after.running == ()


def test_what_ended_is_told_too_and_nothing_stays_that_names_running_trials(store):
    with Account(store, "demo", standing):
        pass
    ended = read_status(store.location)
    assert (ended.is_running, ended.end, ended.num_done) == (False, "completed", 13)
    assert not (Store(store.location).names_in(RUNNING))
    with pytest.raises(ZeroDivisionError), Account(store, "demo", standing):
        raise ZeroDivisionError
    assert read_status(store.location).end == "ZeroDivisionError"


def test_an_update_that_takes_long_does_not_replace_the_account_of_the_end(store, monkeypatch):
    write, begun, may_go_on = Store.write_json, threading.Event(), threading.Event()

    def slowly(self, *arguments, **more):
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert may_go_on.wait(60)
        return write(self, *arguments, **more)

    monkeypatch.setattr(Store, "write_json", slowly)
    with Account(store, "demo", standing) as run:
        assert begun.wait(60)
        threading.Timer(0.5, may_go_on.set).start()
    run._thread.join(60)
    assert read_status(store.location).end == "completed"


def test_a_folder_of_before_there_were_accounts_tells_what_its_rows_tell(store):
    told = read_status(store.location)
    assert (told.is_running, told.suite, told.num_done, told.num_failed, told.num_trials) == (False, "demo", 2, 1, None)


def test_a_killed_run_counts_as_gone_when_it_was_silent_for_long(store):
    with Account(store, "demo", standing):
        pass
    told = store.read_json(RUN_FILE) | {"ended_at": None}
    for seconds, is_running in ((status.SILENT_SECONDS - 20, True), (status.SILENT_SECONDS + 5, False)):
        seen = datetime.now(UTC) - timedelta(seconds=seconds)
        store.write_json(RUN_FILE, told | {"seen_at": seen.isoformat()})
        assert read_status(store.location).is_running == is_running
    with pytest.raises(BadInput, match=r"was last seen .* probably killed"):
        ask(store.location, "stop")
    with Account(store, "demo", standing):
        assert read_status(store.location).is_running, "the next run begins its own account"


def test_a_request_to_stop_interrupts_the_run_as_ctrl_c_does(store):
    runs = []

    def ask_and_wait():
        with interruptible(), Account(store, "demo", standing) as run:
            runs.append(run)
            ask(store.location, "stop")
            time.sleep(60)

    with pytest.raises(Interrupted):
        ask_and_wait()
    assert runs[0].requests.stop.is_set()
    assert await_end(store.location).end == "Interrupted"
    assert Store(store.location).names_in("control") == ["run.json"]


def test_a_request_to_retry_is_heard_and_the_run_goes_on(store):
    with Account(store, "demo", standing) as run:
        ask(store.location, "retry")
        assert run.requests.retry.wait(60)
        assert not run.requests.stop.is_set()


def test_a_run_that_does_not_answer_is_told_of(store, monkeypatch):
    monkeypatch.setattr(status, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(Account, "_is_asked", lambda *_: False)
    with Account(store, "demo", standing), pytest.raises(RegarenaError, match=r"did not answer within 0.1 s \(process"):
        ask(store.location, "retry")


class Counted:
    """The part of a progress that retries touch."""

    def __init__(self):
        self.failed = []
        self.schedule = None

    def forgotten(self, failed):
        self.failed += failed

    def replanned(self, schedule):
        self.schedule = schedule


class Schedules:
    """A schedule of all trials, which remembers over which rows it was made again."""

    def failed(self, stored):
        return {trial_id: done for trial_id, done in stored.items() if done.is_failure}

    def again(self, stored, out):
        return set(stored), set(out)


def test_a_retry_takes_up_the_trials_that_failed_but_those_that_run_or_are_timed(store):
    store.write(record(3, "crashed"))
    store.write(record(4, "failed", role="timing"))
    store.write(record(5, "diverged", role="tune"))
    requests, progress, before = Requests(), Counted(), Schedules()
    assert requests.taken_up(before, store, progress) is before, "nothing was asked"
    requests.retry.set()
    out = {record(3).trial_id}
    stored, still_out = requests.taken_up(before, store, progress, out)
    kept = (record(1), record(3), record(4, role="timing"), record(5, role="tune"))
    assert stored == {each.trial_id for each in kept} == set(store.finished())
    assert progress.schedule == (stored, still_out)
    assert still_out == out
    assert [done.trial_id for done in progress.failed] == [record(2).trial_id]
    assert Store(store.location).finished()[record(2).trial_id].is_failure, "until the new row is there"
    assert requests.taken_up(before, store, progress) is before, "once is enough"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "../../../../x"), ("run_id", "0123"), ("run_id", None), ("suite", 3), ("seen_at", "yesterday"),
        ("seen_at", "2026-01-01T00:00:00"), ("pid", -1), ("pid", True), ("pid", 2**70), ("interval_seconds", 1e300),
        ("interval_seconds", "x"), ("seconds_left", float("nan")), ("cells", 3), ("cells", [[]]),
        ("cells", [{**CELLS[0], "failures": [1]}]), ("cells", [{**CELLS[0], "done": "4"}]),
        ("cells", [{**CELLS[0], "task": ["x"]}]), ("num_workers", None),
    ],
    ids=str,
)  # fmt: skip
def test_an_account_that_somebody_else_wrote_is_refused_with_a_sentence(store, name, value):
    with Account(store, "demo", standing):
        pass
    told = store.read_json(RUN_FILE)
    store.write_json(RUN_FILE, {**told, name: value})
    for command in (["status"], ["stop"], ["retry"]):
        ended = CliRunner().invoke(app, [*command, store.location])
        assert isinstance(ended.exception, BadInput), ended.exception
        assert "run.json is not valid" in str(ended.exception)
    store.write_json(RUN_FILE, {key: told[key] for key in told if key != name})
    with pytest.raises(BadInput, match=f"'{name}' is missing"):
        read_status(store.location)


@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"task": 1}', "{"])
def test_a_note_that_somebody_else_wrote_is_left_out(store, content):
    with Account(store, "demo", standing), noted(store, (record(7).spec,)):
        Path(store.root, RUNNING, "x.json").write_text(content)
        assert len(read_status(store.location).running) == 1


def test_links_in_place_of_the_folders_of_a_run_lead_nowhere(store, tmp_path):
    """They are not written through, and what they lead to is not removed with the run."""
    outside = tmp_path / "outside"
    (outside / "running").mkdir(parents=True)
    (outside / "running" / "precious.json").write_text("{}")
    (tmp_path / "results" / "control").symlink_to(outside)
    with Account(store, "demo", standing), noted(store, (record(7).spec,)):
        pass
    assert [path.name for path in outside.rglob("*")] == ["running", "precious.json"]


def test_escape_sequences_in_names_do_not_reach_the_terminal(store, capsys):
    cells = [{**CELLS[0], "task": "t\x1b[2J", "failures": {"bad\x1b]0;x\x07": 2}}]
    with Account(store, "\x1b[31mred", lambda: {**standing(), "cells": cells}):
        show_status(store.location, watch=False, as_json=False)
        show_status(store.location, watch=False, as_json=True)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 140])
def test_the_screen_fits_the_window_and_says_what_runs_what_failed_and_what_is_left(
    store, monkeypatch, capsys, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    with Account(store, "demo", standing), noted(store, (record(7).spec,)):
        show_status(store.location, watch=False, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-2])) <= columns, "but for the sentences at the end"
    text = " ".join(" ".join(lines).split())
    for part in (
        "13 of 18 trials done",
        "1 failed",
        "1 running, 2 at once",
        "about 2 min left",
        "running on",
        "failed on",
    ):
        assert part in text
    assert "digits-mlp 5 13 1" in text, "left on"
    assert "1 timeout: too slow" in text
    assert "`regarena retry" in text


def test_what_is_read_from_a_finished_campaign_is_told_on_both_outputs(store, capsys):
    with Account(store, "demo", standing):
        pass
    show_status(store.location, watch=True, as_json=False)
    assert "not running: the last run was completed" in " ".join(capsys.readouterr().out.split())
    for command in ("stop", "retry"):
        ended = CliRunner().invoke(app, [command, store.location])
        assert isinstance(ended.exception, BadInput)
        assert "No run works on" in str(ended.exception)


def test_a_folder_without_a_campaign_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no campaign; `regarena run SUITE"):
        read_status(str(tmp_path / "nothing"))


def test_a_command_that_a_message_suggests_takes_the_folder_as_it_is(tmp_path):
    folder = str(tmp_path / "my results")
    with pytest.raises(BadInput) as caught:
        read_status(folder)
    (command,) = re.findall("`(.*)`", str(caught.value))
    assert shlex.split(command)[-2:] == ["--results", folder]


def test_a_retry_promises_nothing_to_timing_trials(store):
    with Account(store, "demo", standing):
        told = " ".join(CliRunner().invoke(app, ["retry", store.location]).output.split())
    assert told == f"1 trial(s) of the run on {store.location} failed; all but timing trials get another try."


def test_damaged_files_are_named_when_no_run_works_there(store):
    with open(store.files(TRIALS)[0], "r+b") as file:
        file.truncate(60)
    with pytest.raises(BadInput, match=r"holds damaged files: trials/\S+\.parquet\. `regarena verify \S+` says"):
        read_status(store.location)
