import os
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from result_rows import row, write

import analysis
from harness.records import CURVE_SCHEMA, TRIAL_COLUMNS, schema_of
from harness.records.reading import NewerResultsError


def test_files_with_different_hyperparameters_become_one_frame_with_nulls_where_one_does_not_apply(tmp_path):
    rows = [
        row(regularizer="dropout", hp={"drop_rate": 0.5, "h": 2, "mode": 1, "flag": True}),
        row(regularizer="localdrop", hp={"lam": 0.1, "h": 4, "mode": "rms", "flag": 3}, metrics={"loss": 1.5}),
        row(regularizer="other", hp={"h": 0.5}),
    ]
    trials = analysis.load_trials(write(tmp_path, rows)).set_index("regularizer")
    assert trials.loc["dropout", "hp.drop_rate"] == 0.5
    assert trials["hp.lam"].isna().to_dict() == {"dropout": True, "localdrop": False, "other": True}
    assert trials["hp.h"].tolist() == [2.0, 4.0, 0.5]
    assert trials["hp.mode"].fillna("").tolist() == ["1", "rms", ""]
    assert trials["hp.flag"].fillna("").tolist() == ["true", "3", ""]
    assert trials.loc["localdrop", "metric.loss"] == 1.5


def test_whole_numbers_and_truth_values_stay_such_beside_nulls(tmp_path):
    rows = [
        row(role="tune", tune_index=3, validation=0.5, exclusive=True),
        row(regularizer="dropout", status="failed"),
        row(regularizer="localdrop", hp={"h": 2048}, test=0.5),
    ]
    trials = analysis.load_trials(write(tmp_path, rows))
    assert trials["tune_index"].tolist() == [3, pd.NA, pd.NA]
    assert trials["exclusive"].tolist() == [True, pd.NA, pd.NA]
    assert str(trials["hp.h"].iloc[2]) == "2048"
    assert str(trials["finished_at"].dt.tz) == "UTC"


def test_fixed_columns_come_first_as_declared_then_hyperparameters_then_metrics(tmp_path):
    rows = [row(hp={"z": 1, "a": 2}, metrics={"loss": 0.1, "ece": 0.2}, test=0.5)]
    names = list(analysis.load_trials(write(tmp_path, rows)).columns)
    assert names == [*TRIAL_COLUMNS, "hp.a", "hp.z", "metric.ece", "metric.loss"]


def test_a_compacted_file_and_single_files_read_as_the_same_rows(tmp_path):
    rows = [row(seed=seed, test=0.1 * seed) for seed in range(4)]
    single = analysis.load_trials(write(tmp_path / "single", rows))
    (tmp_path / "compact" / "trials").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=schema_of(rows[0]))
    pq.write_table(table, tmp_path / "compact" / "trials" / "all.parquet")
    pd.testing.assert_frame_equal(single, analysis.load_trials(tmp_path / "compact"))


def test_a_trial_in_two_files_is_loaded_once_without_a_word(tmp_path):
    rows = [row(seed=0, test=0.5), row(seed=1, test=0.6), row(seed=0, test=0.5)]
    trials = analysis.load_trials(write(tmp_path, rows))
    assert sorted(trials["seed"]) == [0, 1]
    assert analysis.notes_of(trials) == []


def test_of_a_trial_that_failed_and_then_succeeded_the_success_is_loaded_and_a_note_says_so(tmp_path):
    rows = [row(status="crashed", minute=5), row(test=0.5, minute=1), row(status="timeout", minute=9)]
    trials = analysis.load_trials(write(tmp_path, rows))
    assert trials["status"].tolist() == ["completed"]
    assert analysis.notes_of(trials)[0].startswith("2 row(s) left out")


def test_every_damaged_file_is_named_with_its_fault(tmp_path):
    write(tmp_path, [row(seed=seed, test=0.5) for seed in range(3)])
    whole = sorted((tmp_path / "trials").iterdir())
    whole[0].write_bytes(whole[0].read_bytes()[:-20])
    (tmp_path / "trials" / "notes.parquet").write_text("not a table")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "trials" / "strange.parquet")
    flipped = row(seed=9, test=0.5)
    pq.write_table(
        pa.Table.from_pylist([{**flipped, "seed": "nine"}], schema=None), tmp_path / "trials" / "typed.parquet"
    )
    with pytest.raises(analysis.DamagedResultsError) as raised:
        analysis.load_trials(tmp_path)
    message = str(raised.value)
    assert all(name in message for name in (whole[0].name, "notes.parquet", "strange.parquet", "typed.parquet"))
    assert "4 damaged or foreign file(s)" in message
    assert whole[1].name not in message
    assert "lacks the column(s) trial_id" in message


def test_the_rest_is_loaded_on_request_and_the_damaged_file_is_named_in_a_warning(tmp_path):
    write(tmp_path, [row(seed=seed, test=0.5) for seed in range(2)])
    first = min((tmp_path / "trials").iterdir())
    first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    with pytest.warns(UserWarning, match=first.name):
        trials = analysis.load_trials(tmp_path, on_damage="warn")
    assert trials["seed"].tolist() == [1]


def test_a_flipped_byte_in_a_page_with_a_checksum_is_damage(tmp_path):
    (tmp_path / "trials").mkdir()
    path = tmp_path / "trials" / "one.parquet"
    one = row(test=0.123456789)
    table = pa.Table.from_pylist([one], schema=schema_of(one))
    pq.write_table(table, path, write_page_checksum=True, compression="none", write_statistics=False)
    content = bytearray(path.read_bytes())
    place = content.find(one["trial_id"].encode())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(analysis.DamagedResultsError, match=r"one\.parquet"):
        analysis.load_trials(tmp_path)


def test_a_file_of_a_newer_schema_is_refused_by_name(tmp_path):
    write(tmp_path, [{**row(test=0.5), "schema_version": 99}])
    for on_damage in ("raise", "warn"):
        with pytest.raises(NewerResultsError, match=r"newer regarena \(version 99 .* upgrade regarena"):
            analysis.load_trials(tmp_path, on_damage=on_damage)


@pytest.mark.parametrize("name", [".unfinished.parquet", "_temporary.parquet", "readme.txt"])
def test_files_that_are_not_finished_tables_are_ignored(tmp_path, name):
    write(tmp_path, [row(test=0.5)])
    (tmp_path / "trials" / name).write_bytes(b"half a file")
    assert len(analysis.load_trials(tmp_path)) == 1


def test_a_folder_without_trials_is_named_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="No trial is stored in"):
        analysis.load_trials(tmp_path / "nothing")


def test_a_list_of_folders_is_read_as_one_and_a_trial_in_both_counts_once(tmp_path):
    first = write(tmp_path / "a", [row(seed=0, test=0.5), row(seed=1, test=0.6)])
    second = write(tmp_path / "b", [row(seed=1, test=0.6), row(seed=2, test=0.7)])
    assert sorted(analysis.load_trials([first, second])["seed"]) == [0, 1, 2]


def test_a_uri_is_read_like_the_folder_it_names(tmp_path):
    write(tmp_path, [row(test=0.5)])
    pd.testing.assert_frame_equal(analysis.load_trials(tmp_path.as_uri()), analysis.load_trials(tmp_path))


def test_a_relative_path_is_read_from_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path / "results", [row(test=0.5)])
    monkeypatch.chdir(tmp_path)
    assert len(analysis.load_trials("results/")) == 1


def test_curves_of_several_files_are_joined_and_repeated_points_count_once(tmp_path):
    (tmp_path / "curves").mkdir()
    points = [
        {"trial_id": "a", "epoch": e, "split": "train", "metric": "loss", "value": 1.0 / (e + 1)} for e in range(3)
    ]
    for name in ("one", "two"):
        pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), tmp_path / "curves" / f"{name}.parquet")
    assert analysis.load_curves(tmp_path)["value"].tolist() == [1.0, 0.5, 1 / 3]


def test_no_curves_are_an_empty_frame_with_the_columns(tmp_path):
    curves = analysis.load_curves(write(tmp_path, [row(test=0.5)]))
    assert len(curves) == 0
    assert list(curves.columns) == CURVE_SCHEMA.names


def test_importing_the_package_loads_neither_pandas_nor_arrow():
    code = (
        "import sys, analysis; print([m for m in ('pandas', 'pyarrow', 'torch', 'ray', 'seaborn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded_and_an_unknown_one_is_named():
    assert all(getattr(analysis, name) is not None for name in analysis.__all__)
    with pytest.raises(AttributeError, match="ranking_tabel"):
        _ = analysis.ranking_tabel
