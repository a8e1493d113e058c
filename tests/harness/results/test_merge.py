import os
import shutil

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from some_records import NUM_POINTS, record

from harness.errors import BadInput
from harness.records.folders import CURVES, TRIALS, Folder, open_folder
from harness.records.sources import address_of, name_of, named_address, named_sources, opened_sources
from harness.results.campaign_file import read_campaign
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
    for folders in (["empty"], ["first", "empty"]):
        with pytest.raises(BadInput, match=r"no trials in \S+/empty;"):
            merge_folders([str(tmp_path / each) for each in folders], str(tmp_path / "both"))
    path = first.files(TRIALS)[0]
    os.truncate(path, 60)
    with pytest.raises(BadInput, match="regarena verify"):
        merge_folders([first.location], str(tmp_path / "both"))
    assert not (tmp_path / "both").exists()
    assert os.path.exists(path), "a source is not touched"


def with_campaign(store, name, suite="smoke", **requests):
    """The folder with a campaign.json; the name of a request is its hour, its value what differs from others."""
    asked = [{"at": f"2026-11-01T{hour[1:]}:00:00+00:00", **different} for hour, different in requests.items()]
    store.write_json("campaign.json", {"campaign_id": name, "suite": suite, "requests": asked})
    return store


def hours(store):
    return [request["at"][11:13] for request in read_campaign(store)["requests"]]


def test_only_the_trials_and_curves_of_the_asked_tasks_are_merged(tmp_path):
    published = filled(tmp_path / "published", range(2), task="old")
    added = filled(tmp_path / "added", range(3), task="new")
    filled(tmp_path / "added", range(4), task="unfinished")
    folders, both = [published.location, added.location], Store(tmp_path / "both")
    added.compact()
    merge_folders(folders, both.location, tasks=["old", "new"])
    assert both.values("task") == {"old", "new"}
    assert verify_folder(both.location) == [], "no curve is without its trial"
    assert sum(both.read(path).num_rows for path in both.files(CURVES)) == 5 * NUM_POINTS
    with pytest.raises(BadInput, match="no task in these folders called 'nwe'; did you mean 'new'"):
        merge_folders(folders, str(tmp_path / "third"), tasks=["nwe"])
    assert not (tmp_path / "third").exists()


def test_requests_for_other_tasks_alone_are_not_merged(tmp_path):
    added = filled(tmp_path / "added", range(3), task="new")
    filled(tmp_path / "added", range(3), task="unfinished")
    with_campaign(
        added,
        "a",
        h01={},
        h02={"only": ["unfinished", "none"]},
        h03={"only": ["none"]},
        h04={"only": ["new"]},
        h05={"only": ["not-begun"]},
    )
    both = Store(tmp_path / "both")
    merge_folders([added.location], both.location, tasks=["new"])
    assert hours(both) == ["01", "03", "04"]
    merge_folders([added.location], both.location)
    assert hours(both) == ["01", "02", "03", "04", "05"]


def test_requests_are_joined_by_time_and_each_is_kept_once(tmp_path):
    first = with_campaign(filled(tmp_path / "first", [0]), "a", h01={}, h03={})
    second = with_campaign(filled(tmp_path / "second", [1]), "b", h02={}, h03={})
    both = Store(tmp_path / "both")
    for _ in range(2):
        merge_folders([first.location, second.location], both.location)
        assert hours(both) == ["01", "02", "03"], "merging again adds none"
        assert read_campaign(both)["campaign_id"] == "a"


def test_the_merged_campaign_still_uses_the_folders_that_were_not_merged_and_says_so(tmp_path):
    published, others = filled(tmp_path / "there" / "published", [0]), filled(tmp_path / "others", [1])
    mine = filled(tmp_path / "mine", [2])
    (tmp_path / "link").symlink_to(tmp_path / "there")
    used = ["../link/published", "../others", "s3://bucket/rows"]
    with_campaign(mine, "a", h01={"from": ["../earlier"]}, h02={"from": used})
    both = Store(tmp_path / "deeper" / "both")
    said = merge_folders([mine.location, published.location], both.location)
    assert said.endswith("It uses rows of ../../others and s3://bucket/rows, too, which are not copied.")
    assert named_sources(read_campaign(both)) == ["../../others", "s3://bucket/rows"]
    assert opened_sources(both.folder, ["../../others"])[0].path == others.folder.path
    assert verify_folder(both.location) == []
    shutil.rmtree(others.location)
    assert len(verify_folder(both.location)) == 1, "who lacks that folder cannot read the campaign"
    filled(others.location, [1])
    said = merge_folders([others.location], both.location)
    assert named_sources(read_campaign(both)) == ["s3://bucket/rows"]


def test_one_bucket_has_many_names(tmp_path):
    s3 = pa.fs._MockFileSystem()
    bucket = Folder(name="s3://bucket//rows/", filesystem=s3, path="bucket/rows")
    assert named_address("s3://bucket/rows", bucket) == address_of(bucket) == "s3://bucket/rows"
    local = open_folder(tmp_path / "mine")
    address = named_address("../others", local)
    assert (address, name_of(address, local)) == (str(tmp_path / "others"), "../others")
    here = os.path.relpath(tmp_path / "others")
    assert name_of(address, bucket) == here, "beside an object store a folder is named as it is found from here"
    assert named_address(here, bucket) == address


def test_campaigns_of_several_suites_are_not_joined(tmp_path):
    first = with_campaign(filled(tmp_path / "first", [0], suite="smoke"), "a", suite="smoke", h01={})
    second = with_campaign(filled(tmp_path / "second", [1], suite="arena"), "b", suite="arena", h02={})
    both = Store(tmp_path / "both")
    for folders in ([first.location, second.location], [first.location]):
        said = merge_folders(folders, both.location)
        assert said.endswith(
            f"Rows and campaigns are of the suites arena and smoke; so {both.location} has no campaign.json: a run "
            "there would begin other searches."
        )
        assert read_campaign(both) is None
    said = merge_folders([second.location], first.location)
    assert said.endswith(f"so {first.location} keeps its campaign.json.")
    assert hours(first) == ["01"]


def test_a_campaign_without_trials_so_far_keeps_its_requests(tmp_path):
    begun = with_campaign(filled(tmp_path / "begun", []), "a", suite="smoke", h01={})
    other = with_campaign(filled(tmp_path / "other", [1], suite="arena"), "b", suite="arena", h02={})
    assert merge_folders([other.location], begun.location).endswith(f"so {begun.location} keeps its campaign.json.")
    assert (read_campaign(begun)["suite"], hours(begun)) == ("smoke", ["01"])


def test_only_the_suites_of_copied_rows_count(tmp_path):
    first = with_campaign(filled(tmp_path / "first", [0], task="one", suite="smoke"), "a", suite="smoke", h01={})
    second = with_campaign(filled(tmp_path / "second", [1], task="two", suite="arena"), "b", suite="arena", h02={})
    both = Store(tmp_path / "both")
    assert merge_folders([first.location, second.location], both.location, tasks=["two"]).endswith("2 folder(s).")
    assert (read_campaign(both)["suite"], hours(both)) == ("arena", ["02"])


@pytest.mark.parametrize("search", [{"tune_width": 9}, {"halving": True}], ids=str)
def test_campaigns_whose_searches_differ_are_not_joined(tmp_path, search):
    first = with_campaign(filled(tmp_path / "first", [0]), "a", h01={"tune_trials": 8, "tune_width": 1})
    second = with_campaign(filled(tmp_path / "second", [1]), "b", h02={"tune_trials": 8} | search)
    both = Store(tmp_path / "both")
    said = merge_folders([first.location, second.location], both.location)
    assert "The searches differ: width" in said
    assert "width 1 without halving" in said
    assert read_campaign(both) is None


def test_a_damaged_campaign_stops_the_merge_before_anything_is_written(tmp_path):
    first = filled(tmp_path / "first", [0])
    (tmp_path / "first" / "campaign.json").write_text("{")
    with pytest.raises(BadInput, match=r"campaign\.json is damaged"):
        merge_folders([first.location], str(tmp_path / "both"))
    assert not (tmp_path / "both").exists()


def test_an_edited_file_of_the_target_is_refused_since_merging_would_give_it_a_new_digest(tmp_path):
    first, into = filled(tmp_path / "first", [0]), filled(tmp_path / "into", [1])
    (path,) = into.files(TRIALS)
    table = pq.read_table(path)
    place = table.schema.get_field_index("test_value")
    pq.write_table(table.set_column(place, "test_value", pa.array([0.9])), path)
    with pytest.raises(BadInput, match="was edited"):
        merge_folders([first.location], into.location)
    assert verify_folder(into.location), "verify still tells"


def test_a_trial_that_ends_in_a_source_during_the_merge_is_copied_whole_or_not_at_all(tmp_path, monkeypatch):
    source, both = filled(tmp_path / "source", [0]), Store(tmp_path / "both")
    read = Store._read

    def read_while_a_run_goes_on(self, kind):
        found = read(self, kind)
        if self.root == source.root and not self.is_read:
            self.is_read = True
            self.write(record(1))
        return found

    monkeypatch.setattr(Store, "is_read", False, raising=False)
    monkeypatch.setattr(Store, "_read", read_while_a_run_goes_on)
    both.prepare()
    both.compact([source])
    monkeypatch.undo()
    trials = {row["trial_id"] for row in both.rows(["trial_id"])}
    curves = {each for path in both.files(CURVES) for each in both.read(path)["trial_id"].to_pylist()}
    assert trials == curves == {record(0).trial_id}
