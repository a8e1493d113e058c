"""Campaigns without Ray: interrupted in every way, resumed, extended, refused, and with nowhere left to write."""

import json
import os
import resource
import shutil
import signal
from collections import Counter

import pytest
from arena import Arena, as_text, await_that, by_id, finish, rows, what_is_reproducible

NUM_SLOW = 2 * (2 + 3 + 2)
SLOW = ("run", "slow", "--serial", "--results", "slow")


def reproducible(results):
    return {trial_id: what_is_reproducible(row) for trial_id, row in by_id(results).items()}


def await_rows(results, number, run):
    def are_stored():
        return len(list((results / "trials").glob("[!.]*.parquet"))) >= number

    await_that(are_stored, f"{number} rows are stored", run)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The campaign as it ends if nothing comes between."""
    arena = Arena(tmp_path_factory.mktemp("undisturbed"))
    ended = arena.regarena(*SLOW)
    assert ended.returncode == 0, ended.stderr
    return arena


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The same campaign, interrupted by Ctrl-C, SIGTERM and SIGKILL, each time resumed by the same command."""
    arena = Arena(tmp_path_factory.mktemp("interrupted"))
    arena.ends, arena.stored = {}, []
    results = arena.folder / "slow"
    for number, how in ((2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGKILL)):
        run = arena.start(*SLOW)
        await_rows(results, number, run)
        if how is signal.SIGINT:
            os.kill(run.pid, signal.SIGSTOP)  # it must not end before the second run is refused
            arena.second = arena.regarena(*SLOW)
            os.kill(run.pid, signal.SIGCONT)
        os.killpg(run.pid, how)  # the whole group, as a terminal does
        arena.ends[how] = finish(run)
        arena.stored.append(as_text(results))
    arena.ends["last"] = finish(arena.start(*SLOW))
    return arena


@pytest.mark.slow
def test_the_suite_runs_every_trial_once(undisturbed):
    roles = Counter((row["task"], row["role"]) for row in rows(undisturbed.folder / "slow"))
    assert roles == {
        (task, role): number
        for task in ("tiny-mlp", "tiny-net")
        for role, number in {"default": 2, "tune": 3, "confirm": 2}.items()
    }
    assert len(undisturbed.executions) == NUM_SLOW


@pytest.mark.slow
def test_an_interrupted_campaign_ends_with_the_same_rows(undisturbed, interrupted):
    assert interrupted.ends["last"].returncode == 0, interrupted.ends["last"].stderr
    assert reproducible(interrupted.folder / "slow") == reproducible(undisturbed.folder / "slow")


@pytest.mark.slow
def test_what_was_stored_before_an_interruption_stays_as_it_was(interrupted):
    last = as_text(interrupted.folder / "slow")
    for stored in interrupted.stored:
        assert stored.items() <= last.items()


@pytest.mark.slow
def test_no_finished_trial_is_trained_again(interrupted):
    counts = Counter(interrupted.executions)
    assert len(counts) == NUM_SLOW
    assert sum(counts.values()) <= NUM_SLOW + 3, "each interruption costs at most the trial at hand"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_signal_ends_a_run_with_130_and_the_way_to_resume(interrupted, how):
    ended = interrupted.ends[how]
    assert ended.returncode == 130
    assert f"Stopped by {how.name}. What is finished is kept; the same command resumes." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_another_terminal_sees_a_run_and_stops_it(tmp_path):
    arena = Arena(tmp_path)
    run = arena.start(*SLOW, "--tune-trials", "200")  # more than there is time for
    await_rows(arena.folder / "slow", 1, run)
    status = json.loads(arena.regarena("status", "slow", "--json").stdout)
    stop = arena.regarena("stop", "slow")
    ended = finish(run)
    assert (status["suite"], status["is_running"], status["num_trials"]) == ("slow", True, 2 * (2 + 200 + 2))
    assert [pack["regularizer"] for pack in status["running"]] in ([], ["take_time"])  # there is a moment between two
    assert stop.returncode == 0, stop.stderr
    assert "The run on slow has ended" in stop.stdout
    assert ended.returncode == 130
    assert "Stopped by `regarena stop`. What is finished is kept" in ended.stderr


@pytest.mark.slow
def test_a_second_run_on_the_same_campaign_is_refused_with_75(interrupted):
    assert interrupted.second.returncode == 75
    assert "Another run is working on the campaign in slow" in interrupted.second.stderr


@pytest.mark.slow
def test_a_larger_request_extends_the_campaign_and_trains_only_what_is_new(undisturbed, tmp_path):
    arena = Arena(tmp_path)
    shutil.copytree(undisturbed.folder / "slow", tmp_path / "slow")  # other tests have the campaign as it is
    before = as_text(tmp_path / "slow")
    ended = arena.regarena(*SLOW, "--seeds", "3", "--tune-trials", "4", "--only", "tiny-mlp,take_time,idle")
    assert ended.returncode == 0, ended.stderr
    after = by_id(tmp_path / "slow")
    new = {trial_id: row for trial_id, row in after.items() if trial_id not in before}
    assert before.items() <= as_text(tmp_path / "slow").items()
    assert len(arena.executions) == len(new)
    assert len({row["campaign_id"] for row in after.values()}) == 1
    roles = Counter((row["regularizer"], row["role"]) for row in new.values())
    assert {key: roles[key] for key in roles if key != ("take_time", "confirm")} == {
        ("take_time", "default"): 1,
        ("take_time", "tune"): 1,
        ("idle", "default"): 3,
        ("idle", "tune"): 4,
        ("idle", "confirm"): 3,
    }
    assert roles["take_time", "confirm"] in (1, 3), "three if the fourth proposal won, else the third seed alone"
    other = arena.regarena("run", "well", "--serial", "--results", "slow")
    assert other.returncode == 2
    assert "slow holds a campaign of the suite 'slow', not of 'well'" in other.stderr


@pytest.mark.slow
def test_proposals_that_diverge_are_told_and_are_no_fault_of_the_campaign(tmp_path):
    arena = Arena(tmp_path)
    asked = ("run", "well", "--serial", "--only", "tiny-mlp,none,too_strong", "--results", "strong")
    ended = arena.regarena(*asked)
    found = [row for row in rows(arena.folder / "strong") if row["regularizer"] == "too_strong"]
    diverged = [row for row in found if row["status"] == "diverged"]
    assert {row["role"] for row in diverged} == {"tune"}
    assert all(row["hp.strength"] <= 0.5 for row in found if row["role"] == "confirm")
    assert f"{len(diverged)} tune trial(s) diverged" in ended.stdout
    assert ended.returncode == 0, ended.stderr
    trained = len(arena.executions)
    again = arena.regarena(*asked, "--retry-failed")
    assert (again.returncode, len(arena.executions)) == (0, trained), "a rejection is no failure to try again"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A campaign whose disk fills up mid-run, and is given room again: the kernel refuses bytes past a size."""
    arena = Arena(tmp_path_factory.mktemp("full"))
    asked = ("run", "well", "--serial", "--only", "tiny-mlp,none", "--tune-trials", "2", "--results", "full")
    run = arena.start(*asked, PYTHONDONTWRITEBYTECODE="1")
    await_rows(arena.folder / "full", 2, run)
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    arena.ended = finish(run)
    arena.kept = as_text(arena.folder / "full")
    arena.resumed = arena.regarena(*asked)
    return arena


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_run_with_a_sentence_and_keeps_what_is_stored(full):
    assert full.ended.returncode == 1
    assert "Traceback" not in full.ended.stderr
    assert "full" in full.ended.stderr
    assert "File too large" in full.ended.stderr
    assert len(full.kept) >= 2


@pytest.mark.slow
def test_with_room_again_the_same_command_goes_on(full):
    assert full.resumed.returncode == 0, full.resumed.stderr
    after = as_text(full.folder / "full")
    assert len(after) == 7
    assert full.kept.items() <= after.items()


@pytest.mark.slow
def test_checkpoints_of_other_cells_outlive_a_run_of_a_part_and_end_with_the_whole(tmp_path):
    arena = Arena(tmp_path)
    asked = ("run", "well", "--serial", "--tune-trials", "0", "--results", "well")
    checkpoints = arena.folder / "well" / "checkpoints" / "a-trial-that-was-cut-off"
    checkpoints.mkdir(parents=True)
    part = arena.regarena(*asked, "--only", "tiny-mlp", "--skip", "dropblock")
    assert part.returncode == 0, part.stderr
    assert checkpoints.exists()
    whole = arena.regarena(*asked)
    assert whole.returncode == 0, whole.stderr
    assert not checkpoints.exists()


@pytest.mark.slow
def test_failed_trials_are_kept_until_they_are_asked_to_run_again(tmp_path):
    arena = Arena(tmp_path)
    asked = ("run", "on-mnist", "--serial", "--only", "tiny-mlp,raise_once", "--results", "once")
    first = arena.regarena(*asked)
    assert first.returncode == 1
    (failed,) = rows(arena.folder / "once")
    checkpoints = arena.folder / "once" / "checkpoints"
    (checkpoints / failed["trial_id"]).mkdir(parents=True)
    again = arena.regarena(*asked)
    assert again.returncode == 1, "the failure still stands in the results"
    assert not checkpoints.exists(), "what the trial left is of no use to anyone"
    assert len(arena.executions) == 1
    retried = arena.regarena(*asked, "--retry-failed")
    assert retried.returncode == 0, retried.stderr
    assert len(arena.executions) == 2
    (row,) = rows(arena.folder / "once")
    assert row["status"] == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_data_that_is_not_whole_is_refused_before_anything_runs(tmp_path, how):
    arena = Arena(tmp_path)
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    if how == "truncated":
        for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
            (raw / name).write_bytes(b"\x00\x00\x08\x03" + (60000).to_bytes(4, "big") + bytes(100))
        for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
            (raw / name).write_bytes(b"\x00\x00\x08\x01" + (60000).to_bytes(4, "big") + bytes(100))
    ended = arena.regarena("run", "on-mnist", "--serial", "--data", "data", "--results", "results")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "MNIST/raw/train-images-idx3-ubyte" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "results").exists()
    assert arena.executions == []


@pytest.mark.slow
def test_data_is_fetched_only_when_asked_and_a_network_that_is_not_there_ends_in_a_sentence(tmp_path):
    arena = Arena(tmp_path)
    nobody_listens = "http://127.0.0.1:9"
    asked = ("run", "on-mnist", "--serial", "--data", "new", "--results", "results", "--download")
    ended = arena.regarena(*asked, http_proxy=nobody_listens, https_proxy=nobody_listens, no_proxy="")
    assert ended.returncode == 2
    (sentence,) = ended.stderr.splitlines()
    assert "missing in" in sentence
    assert "Fetching them failed" in sentence
    assert not (tmp_path / "results").exists()
