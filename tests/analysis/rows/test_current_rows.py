from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from result_rows import confirmed, frame, row, timed

import analysis
from analysis.rows.current import winners
from harness.records import schema_of


def tuned(index, validation, **more):
    return row(role="tune", tune_index=index, validation=validation, hp={"lr": 0.1 + index}, **more)


def test_confirm_rows_of_a_past_winner_do_not_count(tmp_path):
    first, second = tuned(0, 0.8), tuned(1, 0.9)
    stale = row(test=0.5, seed=100, frozen_from=first["trial_id"], hp={"lr": 0.1}, minute=9)
    fresh = row(test=0.7, seed=100, frozen_from=second["trial_id"], hp={"lr": 1.1}, minute=5)
    trials = frame(tmp_path, [first, second, stale, fresh])
    current = analysis.current_rows(trials)
    assert current.loc[current["role"] == "confirm", "test_value"].tolist() == [0.7]
    assert analysis.ranking_table(trials, role="confirm")["mean"].dropna().tolist() == [0.7]
    assert any("1 confirm row(s) left out" in note for note in analysis.notes_of(analysis.ranking_table(trials)))


@pytest.mark.parametrize(
    "table",
    [
        analysis.ranking_table,
        analysis.timing_table,
        analysis.compare_with_papers,
        lambda trials: analysis.sensitivity_table(trials, rows="hp.h"),
        lambda trials: analysis.hyperparameter_importances(trials, task="digits", regularizer="dropout"),
    ],
)
@pytest.mark.parametrize(
    ("trials", "kind", "words"),
    [(pd.DataFrame(), ValueError, "one without the column 'task'"), ("results", TypeError, "str")],
)
def test_what_is_no_trials_is_refused(table, trials, kind, words):
    with pytest.raises(kind, match=f"trials must be a frame from load_trials, got {words}"):
        table(trials)


def test_the_winner_has_the_best_validation_value_and_of_equals_the_lowest_index(tmp_path):
    rows = []
    for task in ("t1", "t2", "t3", "t4"):  # several, because names of trials are hashes and one order may be chance
        rows += [tuned(index, 0.9, task=task) for index in (9, 8, 7, 6, 5, 4, 3, 2, 1)]
        rows += [tuned(0, 0.8, task=task), tuned(10, None, task=task)]
        rows += [tuned(11, 0.95, task=task, status="diverged", validation_value=0.95)]
    assert winners(frame(tmp_path, rows))["tune_index"].tolist() == [1, 1, 1, 1]


def test_the_smallest_validation_value_wins_where_lower_is_better(tmp_path):
    rows = [tuned(0, 0.3, higher=False), tuned(1, 0.1, higher=False), tuned(2, 0.2, higher=False)]
    assert winners(frame(tmp_path, rows))["tune_index"].tolist() == [1]


def test_a_run_that_stopped_early_may_win(tmp_path):
    rows = [tuned(0, 0.8), tuned(1, 0.9, status="stopped_early")]
    assert winners(frame(tmp_path, rows))["tune_index"].tolist() == [1]


def test_only_rows_of_the_newest_code_count_and_a_note_says_how_many_did_not(tmp_path):
    old = confirmed("none", [0.1, 0.2], code="z-old", minute=1)
    new = confirmed("none", [0.5, 0.6], code="a-new", minute=2)
    other = confirmed("dropout", [0.3], code="z-old", minute=0)
    current = analysis.current_rows(frame(tmp_path, [*old, *new, *other]))
    assert sorted(current["test_value"]) == [0.3, 0.5, 0.6]
    assert analysis.notes_of(current) == [
        "2 row(s) left out: other code of the regularizer than most of its seeds have (on a tie, than its newest "
        "seeds)."
    ]


def test_rows_of_different_switches_are_never_pooled_and_those_that_ran_last_count(tmp_path):
    plain = confirmed("none", [0.1, 0.2], minute=1) + confirmed("dropout", [0.3], minute=2)
    half = confirmed("none", [0.5, 0.6], switches="bf16", minute=3) + confirmed(
        "dropout", [0.4], switches="bf16", minute=1
    )
    elsewhere = confirmed("none", [0.7], task="mnist", minute=1)
    current = analysis.current_rows(frame(tmp_path, [*plain, *half, *elsewhere]))
    assert sorted(current["test_value"]) == [0.4, 0.5, 0.6, 0.7]


def test_files_from_before_there_were_switches_stand_for_none(tmp_path):
    old = confirmed("none", [0.1, 0.2])
    for each in old:
        del each["switches"]
    write_without_switches(tmp_path, old)
    current = analysis.current_rows(frame(tmp_path, confirmed("dropout", [0.3])))
    assert sorted(current["test_value"]) == [0.1, 0.2, 0.3]
    assert current["switches"].isna().all()


def write_without_switches(folder, rows):
    (folder / "trials").mkdir()
    for each in rows:
        schema = pa.schema([field for field in schema_of(each) if field.name != "switches"])
        pq.write_table(pa.Table.from_pylist([each], schema=schema), folder / "trials" / f"{each['trial_id']}.parquet")


def test_confirm_rows_without_any_tune_row_count_as_one_configuration(tmp_path):
    older = [row(seed=seed, test=0.1, frozen_from="x", hp={"lr": 1.0}, minute=1) for seed in (0, 1)]
    newer = [row(seed=seed, test=0.2, frozen_from="y", hp={"lr": 2.0}, minute=2) for seed in (0, 1)]
    current = analysis.current_rows(frame(tmp_path, [*older, *newer]))
    assert current["test_value"].tolist() == [0.2, 0.2]


def test_the_order_of_the_rows_changes_nothing(tmp_path):
    best = tuned(1, 0.9)
    rows = [tuned(0, 0.8), best, *confirmed("none", [0.5, 0.6], frozen_from=best["trial_id"])]
    trials = frame(tmp_path, rows)
    shuffled = analysis.current_rows(trials.sample(frac=1, random_state=0))
    expected = analysis.current_rows(trials)
    pd.testing.assert_frame_equal(
        shuffled.sort_values("trial_id", ignore_index=True), expected.sort_values("trial_id", ignore_index=True)
    )


def test_a_trial_under_other_switches_hides_nothing(tmp_path):
    plain = [row(regularizer=name, seed=seed) for name in ("none", "dropout") for seed in (0, 1)]
    later = datetime(2030, 1, 1, tzinfo=UTC)
    switched = [row(regularizer="dropout", seed=0, switches="bf16", finished_at=later)]
    counting = analysis.current_rows(frame(tmp_path, plain + switched))
    assert counting["switches"].isna().all()
    assert len(counting) == 4
    (note,) = analysis.notes_of(counting)
    assert note.startswith(
        "1 row(s) left out, of dropout on digits (smoke): other switches (bf16, those shown have none)"
    )


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_a_timing_trial_under_other_switches_leaves_the_ranking_as_it_was(tmp_path, status):
    rows = confirmed("none", [0.5, 0.6, 0.7]) + confirmed("dropout", [0.7, 0.8, 0.8])
    before = analysis.ranking_table(frame(tmp_path / "before", rows))
    later = {"switches": "bf16", "finished_at": datetime(2030, 1, 1, tzinfo=UTC)}
    last = timed("dropout", 1.5, **later) if status == "completed" else row(role="timing", status=status, **later)
    after = analysis.ranking_table(frame(tmp_path / "after", [*rows, last]))
    assert after["rank"].notna().sum() == 4, "both contestants, on the task and overall"
    pd.testing.assert_frame_equal(after.drop(columns="left_out"), before.drop(columns="left_out"))


def test_contestants_under_switches_that_all_have_are_compared_there(tmp_path):
    plain = confirmed("none", [0.1, 0.2], minute=1)
    half = confirmed("none", [0.5], switches="bf16") + confirmed("dropout", [0.6], switches="bf16")
    counting = analysis.current_rows(frame(tmp_path, plain + half))
    assert set(counting["switches"]) == {"bf16"}


def test_rows_on_other_data_never_meet(tmp_path):
    rows = confirmed("none", [0.5, 0.6], dataset_fingerprint="A" * 16) + confirmed(
        "dropout", [0.9, 0.9], dataset_fingerprint="B" * 16, minute=9
    )
    table = analysis.ranking_table(frame(tmp_path, rows))
    assert set(table["outcome"].dropna()) <= {"untested"}
    (note,) = [note for note in analysis.notes_of(table) if "other data" in note]
    assert note.startswith(
        "2 row(s) left out, of none on digits (smoke): other data (AAAAAAAA, those shown have BBBBBBBB)"
    )


def test_a_failure_before_the_data_were_read_counts_with_the_data_of_its_code(tmp_path):
    rows = confirmed("none", [0.5, 0.6], dataset_fingerprint="A") + confirmed("dropout", [0.9], dataset_fingerprint="A")
    rows.append(row(regularizer="dropout", seed=1, status="crashed"))
    assert len(analysis.current_rows(frame(tmp_path, rows))) == 4


def test_a_tune_row_of_new_code_takes_no_complete_cell_away(tmp_path):
    rows = confirmed("none", [0.5, 0.6]) + confirmed("dropout", [0.7, 0.8])
    rows.append(row(regularizer="dropout", role="tune", tune_index=0, code="new", minute=99))
    rows.append(row(regularizer="none", role="tune", tune_index=0, code="new", shared_code="new", minute=99))
    current = analysis.current_rows(frame(tmp_path, rows))
    assert current["role"].tolist() == ["confirm"] * 4
    assert len(analysis.notes_of(current)) == 2


def test_contestants_of_different_shared_code_never_meet(tmp_path):
    rows = confirmed("none", [0.5, 0.6], shared_code="old") + confirmed(
        "dropout", [0.9, 0.9], shared_code="new", minute=9
    )
    table = analysis.ranking_table(frame(tmp_path, rows))
    assert set(table["outcome"].dropna()) <= {"untested"}
    assert any("other code of the task" in note for note in analysis.notes_of(table))


def test_a_repeated_campaign_replaces_the_earlier_once_it_is_as_large(tmp_path):
    old = confirmed("none", [0.1, 0.2], shared_code="old") + confirmed("dropout", [0.3, 0.3], shared_code="old")
    new = confirmed("none", [0.5, 0.6], code="new", shared_code="new", minute=5)
    trials = frame(tmp_path, old + new)
    assert set(analysis.current_rows(trials)["shared_code_hash"]) == {"old"}
    whole = frame(
        tmp_path / "whole", [*old, *new, *confirmed("dropout", [None, None], code="new", shared_code="new", minute=6)]
    )
    assert set(analysis.current_rows(whole)["shared_code_hash"]) == {"new"}


def test_two_frames_one_after_the_other_are_one(tmp_path):
    best = tuned(0, 0.9)
    stale = row(test=0.5, seed=9, frozen_from=tuned(1, 0.8)["trial_id"], hp={"lr": 1.1})
    first = frame(tmp_path / "first", [best, *confirmed("none", [0.5, 0.6], frozen_from=best["trial_id"])])
    second = frame(tmp_path / "second", [stale, *confirmed("dropout", [0.7], switches="bf16")])
    expected = analysis.current_rows(pd.concat([first, second], ignore_index=True))
    doubled = pd.concat([first, second])
    pd.testing.assert_frame_equal(analysis.current_rows(doubled), expected)
    assert analysis.notes_of(analysis.current_rows(doubled)) == analysis.notes_of(expected)
    pd.testing.assert_frame_equal(
        analysis.variance_table(doubled), analysis.variance_table(pd.concat([first, second], ignore_index=True))
    )


@pytest.mark.parametrize("column", ["task", "regularizer", "scale"])
def test_rows_of_no_cell_are_refused(tmp_path, column):
    trials = frame(tmp_path, confirmed("none", [0.5, 0.6]))
    with pytest.raises(ValueError, match=f"each row must have a value in the column '{column}', but 1 have none"):
        analysis.current_rows(trials.assign(**{column: [None, trials[column].iloc[1]]}))
