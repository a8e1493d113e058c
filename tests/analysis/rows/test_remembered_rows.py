"""Within a report the current rows are selected once: the tables must not depend on that."""

import pandas as pd
import pytest
from result_rows import confirmed, frame, row

import analysis
from analysis.rows import current as current_module
from analysis.rows.current import current_rows_remembered, split_rows
from analysis.rows.notes import with_notes


@pytest.fixture
def trials(tmp_path):
    """A former winner, other switches, other code: rows of each kind that is left out."""
    old, new = (
        row("digits", "dropout", "tune", validation=value, tune_index=place, hp={"lr": value})
        for place, value in enumerate((0.5, 0.6))
    )
    rows = [old, new, *confirmed("dropout", [0.5, 0.6], frozen_from=new["trial_id"], hp={"lr": 0.6})]
    rows += confirmed("dropout", [0.4], frozen_from=old["trial_id"], hp={"lr": 0.5})
    rows += [*confirmed("none", [0.5, 0.6]), *confirmed("none", [0.9], switches="bf16")]
    rows += confirmed("none", [0.1], code="code2")
    return frame(tmp_path, rows)


def test_the_rows_and_notes_are_those_without_it(trials):
    rows, apart = split_rows(trials)
    assert 0 < len(rows) < len(trials)
    with current_rows_remembered():
        for _ in range(2):
            again, apart_again = split_rows(trials)
            pd.testing.assert_frame_equal(again, rows)
            pd.testing.assert_frame_equal(apart_again, apart)
            assert analysis.notes_of(again) == analysis.notes_of(rows)


def test_the_current_rows_of_current_rows_are_the_same_rows(trials):
    once = analysis.current_rows(trials)
    pd.testing.assert_frame_equal(analysis.current_rows(once), once)
    with current_rows_remembered():
        remembered = analysis.current_rows(analysis.current_rows(trials))
    pd.testing.assert_frame_equal(remembered, once)
    assert analysis.notes_of(remembered) == analysis.notes_of(analysis.current_rows(once))


def test_they_are_selected_once_and_for_each_frame(trials, monkeypatch):
    seen, select = [], current_module._split
    monkeypatch.setattr(current_module, "_split", lambda rows: seen.append(len(rows)) or select(rows))
    part = trials[trials["regularizer"] == "none"]
    with current_rows_remembered():
        for _ in range(3):
            analysis.current_rows(analysis.current_rows(trials))
            analysis.current_rows(part)
    assert seen == [len(trials), len(part)]
    analysis.current_rows(trials)
    assert seen == [len(trials), len(part), len(trials)], "nothing is remembered afterwards"


def test_notes_that_one_table_adds_are_not_on_the_next(trials):
    with current_rows_remembered():
        with_notes(analysis.current_rows(trials), ["only here"])
        assert "only here" not in analysis.notes_of(analysis.current_rows(trials))


def test_what_is_nested_selects_nothing_anew_and_forgets_nothing(trials, monkeypatch):
    seen, select = [], current_module._split
    monkeypatch.setattr(current_module, "_split", lambda rows: seen.append(len(rows)) or select(rows))
    with current_rows_remembered():
        analysis.current_rows(trials)
        with current_rows_remembered():
            analysis.current_rows(trials)
        analysis.current_rows(trials)
    assert seen == [len(trials)]


@pytest.mark.parametrize("table", [analysis.score_against_cost, analysis.recommend, analysis.compare_with_papers])
def test_a_table_made_of_others_selects_the_rows_once(table, trials, monkeypatch):
    seen, select = [], current_module._split
    monkeypatch.setattr(current_module, "_split", lambda rows: seen.append(len(rows)) or select(rows))
    table(trials)
    assert seen[0] == len(trials)
    assert seen.count(len(trials)) == 1


def test_notes_that_a_caller_adds_to_current_rows_stay_with_them(trials):
    with current_rows_remembered():
        current = analysis.current_rows(trials)
        with_notes(current, analysis.notes_of(current), ["of the caller"])
        assert "of the caller" in analysis.notes_of(analysis.current_rows(current))
        assert "of the caller" in analysis.notes_of(analysis.ranking_table(current))
