"""Trials that are cut off go on from their last checkpoint and end as if nothing had been; then it is gone."""

import os
import signal
import warnings

import pytest
import torch
from arena import Arena, curve_points, rows, what_is_reproducible
from faulty_contestants import VICTIM_VARIABLE
from some_records import record

from harness.results.checkpoints import TrialCheckpoints
from harness.results.store import Store
from harness.results.verify import verify_folder


def state_of(epoch):
    return {"weights": torch.full((1000,), float(epoch))}


def checkpoints_in(folder, every_seconds=0, made_on="here", trial_id="some"):
    return TrialCheckpoints(str(folder), trial_id, every_seconds, made_on)


def offer_all(kept, epochs):
    for epoch in epochs:
        kept.offer(epoch, lambda epoch=epoch: state_of(epoch))


def loaded_epoch(kept):
    state = kept.load()
    return None if state is None else float(state["weights"].unique())


def files_in(folder):
    return sorted(path.name for path in (folder / "checkpoints" / "some").iterdir())


def test_two_are_kept_and_the_newest_is_loaded(tmp_path):
    offer_all(checkpoints_in(tmp_path), range(12))
    assert files_in(tmp_path) == ["epoch-000010.pt", "epoch-000011.pt"]
    assert loaded_epoch(checkpoints_in(tmp_path)) == 11


def test_none_is_written_before_the_first_epoch_nor_before_its_time(tmp_path):
    offer_all(checkpoints_in(tmp_path), [0])
    offer_all(checkpoints_in(tmp_path, every_seconds=3600), range(5))
    assert not (tmp_path / "checkpoints").exists()
    assert checkpoints_in(tmp_path).load() is None


def test_the_state_from_which_a_trial_goes_on_is_not_written_again(tmp_path):
    offer_all(checkpoints_in(tmp_path), [1, 2])
    kept = checkpoints_in(tmp_path)
    kept.load()
    kept.offer(2, lambda: pytest.fail("it was asked for again"))
    offer_all(kept, [3])
    assert files_in(tmp_path) == ["epoch-000002.pt", "epoch-000003.pt"]


@pytest.mark.parametrize("how", ["truncated", "empty", "one bit", "the end"])
def test_of_a_damaged_newest_one_the_one_before_it_is_taken_and_without_that_none(tmp_path, how):
    offer_all(checkpoints_in(tmp_path), [7, 8])
    folder = tmp_path / "checkpoints" / "some"
    for name, expected in (("epoch-000008.pt", 7), ("epoch-000007.pt", None)):
        content = bytearray((folder / name).read_bytes())
        if how == "one bit":  # within the tensor, where torch itself does not look
            content[content.index(torch.full((100,), float(name[-4])).numpy().tobytes()) + 7] ^= 1
        elif how == "the end":
            content[-200:] = bytes(200)
        (folder / name).write_bytes(content[: {"truncated": len(content) // 2, "empty": 0}.get(how)])
        assert loaded_epoch(checkpoints_in(tmp_path)) == expected


def test_what_was_made_on_another_kind_of_device_is_left_alone(tmp_path):
    offer_all(checkpoints_in(tmp_path, made_on="cuda, torch 2"), [1])
    assert checkpoints_in(tmp_path, made_on="cpu, torch 2").load() is None


def test_a_file_half_written_is_not_looked_at(tmp_path):
    offer_all(checkpoints_in(tmp_path), [1])
    (tmp_path / "checkpoints" / "some" / ".epoch-000002.pt.123").write_bytes(b"half")
    assert loaded_epoch(checkpoints_in(tmp_path)) == 1


def test_where_none_can_be_written_training_goes_on_with_one_warning(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    kept = checkpoints_in(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        offer_all(kept, range(4))
    assert len(caught) == 1
    assert "No checkpoint could be written" in str(caught[0].message)


def test_a_stored_row_takes_its_checkpoints_along_and_no_others(tmp_path):
    store, ended = Store(tmp_path), record()
    store.prepare()
    offer_all(checkpoints_in(tmp_path, trial_id=ended.trial_id), [1])
    offer_all(checkpoints_in(tmp_path), [1])
    assert verify_folder(str(store.write(ended) or tmp_path)) == []
    assert os.listdir(tmp_path / "checkpoints") == ["some"]


LONG = ("run", "on-mnist", "--serial", "--only", "long-mlp,break_off_late_once+dropout")
FAULT = "break_off_late_once"


def epochs_begun(arena):
    return [int(line.split()[1]) for line in arena.executions if line.startswith("epoch ")]


def outcome(results):
    """The row and the curves of the campaign's only trial, but for what the clock or the number of attempts says."""
    (row,) = rows(results)
    curves = {(point["epoch"], point["split"], point["metric"]): point["value"] for point in curve_points(results)}
    return {name: value for name, value in what_is_reproducible(row).items() if name != "attempts"}, curves


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What comes of the trial without a break."""
    arena = Arena(tmp_path_factory.mktemp("undisturbed"))
    (arena.folder / FAULT).touch()
    ended = arena.regarena(*LONG, "--results", "results")
    assert ended.returncode == 0, ended.stderr
    assert epochs_begun(arena) == [1, 2, 3, 4, 5, 6, 7]
    return outcome(arena.folder / "results")


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_goes_on_and_ends_with_the_same_row(tmp_path, undisturbed):
    arena = Arena(tmp_path)
    ended = arena.regarena(*LONG, "--checkpoint-seconds", "0", "--results", "results")
    assert ended.returncode == 0, ended.stderr
    assert epochs_begun(arena) == [1, 2, 3, 4, 4, 5, 6, 7]
    assert rows(tmp_path / "results")[0]["attempts"] == 2
    assert not (tmp_path / "results" / "checkpoints").exists()
    assert outcome(tmp_path / "results") == undisturbed


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_where_it_was_even_if_its_newest_checkpoint_is_damaged(tmp_path, undisturbed):
    arena = Arena(tmp_path)
    asked = (*LONG, "--checkpoint-seconds", "0", "--results", "results")
    assert arena.regarena(*asked, **{VICTIM_VARIABLE: "yes"}).returncode == -signal.SIGKILL
    newest = max((tmp_path / "results" / "checkpoints").rglob("epoch-*.pt"))
    assert newest.name == "epoch-000003.pt"
    os.truncate(newest, newest.stat().st_size // 2)
    ended = arena.regarena(*asked)
    assert ended.returncode == 0, ended.stderr
    assert epochs_begun(arena) == [1, 2, 3, 4, 3, 4, 5, 6, 7]
    assert not (tmp_path / "results" / "checkpoints").exists()
    assert outcome(tmp_path / "results") == undisturbed


class RunsOnLoading:
    """Its pickle calls a function of the operating system."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("what", ["a call", "nothing of ours", "no state"])
def test_a_checkpoint_of_somebody_else_runs_nothing_and_fails_no_trial(tmp_path, what):
    contents = {
        "a call": {"epoch": 9, "made_on": "here", "state": RunsOnLoading(tmp_path / "made")},
        "nothing of ours": [1, 2, 3],
        "no state": {"epoch": 9, "made_on": "here"},
    }
    (tmp_path / "checkpoints" / "some").mkdir(parents=True)
    torch.save(contents[what], tmp_path / "checkpoints" / "some" / "epoch-000009.pt")
    assert checkpoints_in(tmp_path).load() is None
    assert not (tmp_path / "made").exists()
