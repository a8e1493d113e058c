"""Rows that earlier versions wrote, kept as they were: tests/data/rows-126e3d0 is a small quickstart of version 1."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import analysis
from harness.errors import BadInput
from harness.records import SCHEMA_VERSION, TRIAL_COLUMNS
from harness.records.reading import NewerResultsError
from harness.results.campaign_file import read_campaign
from harness.results.digests import DIGEST_KEY, digest
from harness.results.store import Store
from harness.results.verify import verify_folder

OLD = Path(__file__).parents[2] / "data" / "rows-126e3d0"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(OLD, tmp_path / "results"))


def stamped(path, version):
    """Make the rows of a file those of another version, with a digest that fits."""
    table = pq.read_table(path)
    place = table.column_names.index("schema_version")
    versions = table["schema_version"].to_pandas() * 0 + version
    table = table.set_column(place, table.schema.field(place), [versions.astype("int32").to_numpy()])
    pq.write_table(table.replace_schema_metadata({DIGEST_KEY: digest(table)}), path)


def content(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rows_of_version_1_are_loaded_ranked_and_verified():
    trials = analysis.load_trials(OLD)
    assert (len(trials), set(trials["schema_version"])) == (12, {SCHEMA_VERSION})
    assert list(trials.columns[: len(TRIAL_COLUMNS)]) == list(TRIAL_COLUMNS)
    assert trials["validation_fraction"].isna().all()
    table = analysis.ranking_table(trials)
    means = table[table["task"] == "digits-mlp"].set_index("regularizer")["mean"]
    stored = pq.read_table(OLD / "trials" / "all.parquet").to_pandas()
    confirmed = stored[stored["role"] == "confirm"].groupby("regularizer")["test_value"].mean()
    assert means.to_dict() == pytest.approx(confirmed.to_dict())
    assert len(analysis.load_curves(OLD)) == pq.read_table(OLD / "curves" / "all.parquet").num_rows
    assert analysis.load_curves(OLD)["train_seconds"].isna().all()
    assert verify_folder(str(OLD)) == []
    assert read_campaign(Store(OLD))["suite"] == "quickstart"


def test_rows_of_version_1_are_finished_and_become_rows_of_this_one_when_they_are_compacted(folder):
    store = Store(folder)
    before = store.finished()
    assert len(before) == 12
    shutil.copy(folder / "trials" / "all.parquet", folder / "trials" / "again.parquet")
    store.compact()
    assert store.finished() == before
    (path,) = store.files("trials")
    assert set(pq.read_table(path)["schema_version"].to_pylist()) == {SCHEMA_VERSION}
    assert verify_folder(str(folder)) == []


def test_rows_of_a_newer_version_are_refused_by_every_reader_and_no_file_is_touched(folder):
    path = folder / "trials" / "all.parquet"
    stamped(path, SCHEMA_VERSION + 1)
    before, store = content(folder), Store(folder)
    for read in (store.finished, store.compact, lambda: store.retry(["x"]), lambda: analysis.load_trials(folder)):
        with pytest.raises(NewerResultsError, match=r"trials/all\.parquet.* newer regarena .* upgrade regarena"):
            read()
    assert any("newer regarena" in finding and "Upgrade" in finding for finding in verify_folder(str(folder)))
    assert content(folder) == before


@pytest.mark.parametrize(
    "held",
    [{}, [], "x", 3, {"suite": "s"}, {"suite": 1, "campaign_id": "c", "requests": []},
     {"suite": "s", "campaign_id": "c"}, {"suite": "s", "campaign_id": "c", "requests": [1]}],
    ids=str,
)  # fmt: skip
def test_a_campaign_file_that_holds_something_else_is_refused_with_a_sentence(folder, held):
    (folder / "campaign.json").write_text(json.dumps(held))
    with pytest.raises(BadInput, match=r"campaign\.json must hold .* Remove it"):
        read_campaign(Store(folder))
    (finding,) = verify_folder(str(folder))
    assert "must hold" in finding
    os.remove(folder / "campaign.json")
    assert read_campaign(Store(folder)) is None
