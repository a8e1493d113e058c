import os

import pytest
from some_records import record

from harness.errors import BadInput
from harness.records.folders import TRIALS
from harness.results.merge import merge_folders
from harness.results.store import Store
from harness.results.verify import verify_folder


def filled(folder, numbers, **more):
    made = Store(folder)
    made.prepare()
    for number in numbers:
        made.write(record(number, **more))
    return made


def test_merged_folders_hold_every_trial_once(tmp_path):
    first, second = filled(tmp_path / "first", range(4)), filled(tmp_path / "second", range(2, 6))
    second.compact()
    said = merge_folders([first.location, second.location], str(tmp_path / "both"))
    assert said == f"6 trials are in {tmp_path / 'both'} now, after merging 2 folder(s)."
    both = Store(tmp_path / "both")
    assert set(both.finished()) == {record(number).trial_id for number in range(6)}
    assert verify_folder(both.location) == []
    assert set(first.finished()) == {record(number).trial_id for number in range(4)}, "sources stay as they are"
    assert merge_folders([first.location], both.location).startswith("6 trials"), "merging again changes nothing"
    assert verify_folder(both.location) == []


@pytest.mark.parametrize("order", [("failed", "well"), ("well", "failed")])
def test_of_a_trial_that_failed_here_and_succeeded_there_the_success_is_merged(tmp_path, order):
    folders = {
        "failed": filled(tmp_path / "failed", range(2), status="failed"),
        "well": filled(tmp_path / "well", range(2)),
    }
    merge_folders([folders[name].location for name in order], str(tmp_path / "both"))
    assert {done.status for done in Store(tmp_path / "both").finished().values()} == {"completed"}
    assert verify_folder(str(tmp_path / "both")) == []


def test_damaged_sources_and_impossible_targets_are_refused(tmp_path):
    first = filled(tmp_path / "first", range(2))
    with pytest.raises(BadInput, match="must not be one of the merged folders"):
        merge_folders([first.location], first.location)
    with pytest.raises(BadInput, match="no trials"):
        merge_folders([str(tmp_path / "empty")], str(tmp_path / "both"))
    path = first.files(TRIALS)[0]
    os.truncate(path, 60)
    with pytest.raises(BadInput, match="regarena verify"):
        merge_folders([first.location], str(tmp_path / "both"))
    assert not (tmp_path / "both").exists()
    assert os.path.exists(path), "a source is not touched"
