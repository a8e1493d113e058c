import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from some_records import record

from harness.errors import BadInput
from harness.records import CURVE_SCHEMA, TRIAL_TABLE, fixed
from harness.records.folders import TRIALS
from harness.results.digests import DIGEST_KEY, digest
from harness.results.store import Store
from harness.results.verify import verify_folder


@pytest.fixture
def store(tmp_path):
    prepared = Store(tmp_path / "results")
    prepared.prepare()
    for number, role in enumerate(("confirm", "tune", "default")):
        prepared.write(record(number, role=role))
    prepared.write(record(3, status="failed"))
    return prepared


def rewrite(path, **columns):
    """Replace values of a file and make its digest fit, as a forger who knows the format would."""
    table = pq.read_table(path)
    for name, value in columns.items():
        index = table.column_names.index(name)
        kind = table.schema.field(name).type
        table = table.set_column(index, name, pa.array([value] * len(table), kind))
    pq.write_table(table.replace_schema_metadata({DIGEST_KEY: digest(table)}), path)


def file_of(store, each):
    return next(path for path in store.files(TRIALS) if each.trial_id in path)


def test_a_clean_folder_has_no_findings_before_and_after_compaction(store):
    assert verify_folder(store.location) == []
    store.compact()
    assert verify_folder(store.location) == []


def test_a_truncated_file_is_found(store):
    path = file_of(store, record(0))
    os.truncate(path, os.path.getsize(path) // 2)
    findings = verify_folder(store.location)
    assert any(os.path.basename(path) in finding and "cannot be read" in finding for finding in findings)


def test_an_edited_file_is_found(store):
    path = file_of(store, record(0))
    table = pq.read_table(path)
    index = table.column_names.index("test_value")
    pq.write_table(table.set_column(index, "test_value", pa.array([0.99])), path)
    (finding,) = verify_folder(store.location)
    assert "was edited" in finding


def test_a_trial_that_is_stored_twice_is_found(store):
    path = Path(file_of(store, record(0)))
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    assert verify_folder(store.location) == [f"trial {record(0).trial_id} is stored 2 times."]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"test_value": 1.25}, "accuracy lies in [0, 1]"),
        ({"validation_value": None}, "validation_value of a trial that succeeded is None"),
        ({"test_value": float("nan")}, "test_value of a trial that succeeded is nan"),
        ({"train_seconds": -1.0}, "train_seconds is -1.0, below 0"),
        ({"epochs_run": 4}, "it ran 4 epochs of 3 planned"),
        ({"status": "fine"}, "status is 'fine'"),
        ({"role": "guess"}, "role is 'guess'"),
        ({"scale": "huge"}, "scale is 'huge'"),
    ],
    ids=str,
)
def test_impossible_values_are_found_though_the_digest_fits(store, columns, words):
    rewrite(file_of(store, record(0)), **columns)
    findings = verify_folder(store.location)
    assert findings
    assert any(words in finding and record(0).trial_id in finding for finding in findings)


@pytest.mark.parametrize("column", ["test_value", "test_value_at_best_validation"])
def test_a_tune_row_with_a_test_value_is_found(store, column):
    tuned = record(1, role="tune")
    rewrite(file_of(store, tuned), **{column: 0.5})
    assert verify_folder(store.location) == [f"trial {tuned.trial_id}: a tune trial has a {column}."]


def test_a_test_curve_of_a_tune_trial_is_found(store):
    tuned = record(1, role="tune")
    path = Path(store.root) / "curves" / f"{tuned.trial_id}.parquet"
    rewrite(path, split="test")
    (finding,) = verify_folder(store.location)
    assert f"the tune trial {tuned.trial_id} has a test curve" in finding


def test_curves_without_a_row_and_files_of_another_kind_are_found(store):
    os.remove(file_of(store, record(0)))
    assert verify_folder(store.location) == [f"curves of trial {record(0).trial_id} have no row."]
    point = {"trial_id": "t", "epoch": 1, "split": "test", "metric": "accuracy", "value": 0.5}
    pq.write_table(pa.Table.from_pylist([point], schema=CURVE_SCHEMA), Path(store.root) / TRIALS / "stray.parquet")
    findings = verify_folder(store.location)
    assert any("stray.parquet has no digest" in finding for finding in findings)
    assert any("column(s)" in finding and "more are missing" in finding for finding in findings)


LATER = [column.name for column in fixed(TRIAL_TABLE) if column.since > 1]


def test_columns_that_came_with_a_version_may_be_missing_from_files_of_older_ones_alone(store):
    path = file_of(store, record(0))
    table = pq.read_table(path).drop_columns(LATER)
    pq.write_table(table.replace_schema_metadata({DIGEST_KEY: digest(table)}), path)
    (finding,) = verify_folder(store.location)
    assert all(name in finding for name in LATER[:3])
    rewrite(path, schema_version=1)
    assert verify_folder(store.location) == []


@pytest.mark.parametrize("name", LATER)
def test_each_of_them_alone_is_missed_in_a_file_of_this_version(store, name):
    path = file_of(store, record(0))
    table = pq.read_table(path).drop_columns([name])
    pq.write_table(table.replace_schema_metadata({DIGEST_KEY: digest(table)}), path)
    (finding,) = verify_folder(store.location)
    assert f"the column(s) {name} are missing" in finding


def test_checkpoints_of_running_trials_are_no_findings(store):
    running = Path(store.root) / "checkpoints" / "some-trial"
    running.mkdir(parents=True)
    (running / "epoch-000007.pt").write_bytes(b"whatever")
    assert verify_folder(store.location) == []
    store.compact()
    assert verify_folder(store.location) == []
    assert record(0).trial_id in store.finished()


def test_a_damaged_campaign_file_is_found(store):
    (Path(store.location) / "campaign.json").write_text('{"campaign_id": ')
    (finding,) = verify_folder(store.location)
    assert "campaign.json is damaged" in finding


def test_a_folder_without_trials_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no trials"):
        verify_folder(str(tmp_path))


def test_only_a_calculation_may_have_no_test_value_after_a_best_epoch(store):
    path = file_of(store, record(0))
    rewrite(path, test_value_at_best_validation=None, epochs_planned=0, epochs_run=0)
    assert verify_folder(store.location) == []
    rewrite(path, epochs_planned=2, epochs_run=2)
    (finding,) = verify_folder(store.location)
    assert "test_value_at_best_validation of a trial that succeeded is None" in finding
