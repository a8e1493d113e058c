"""Importances from made-up tune rows in which one hyperparameter decides."""

import numpy as np
import pytest
from result_rows import frame, one_file, row

import analysis
from analysis.figures.importances import plot_importances
from analysis.tables.importances import MIN_TRIALS


def tuned(count=40, regularizer="localdrop", scale="smoke"):
    """The value falls with the distance of log10(lam) from -2; `m` and the kind of norm change nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(count):
        hp = {
            "lam": float(10 ** rng.uniform(-4, 0)),
            "m": int(rng.integers(1, 31)),
            "c_norm": str(rng.choice(["l2", "rms"])),
            "block_size": 7,
        }
        value = 0.9 - 0.1 * abs(np.log10(hp["lam"]) + 2) + 0.001 * rng.normal()
        rows.append(row("digits", regularizer, "tune", validation=value, tune_index=index, hp=hp, scale=scale))
    return rows


@pytest.mark.parametrize("evaluator", ["fanova", "ped_anova"])
def test_the_hyperparameter_that_decides_comes_first_and_shares_sum_to_one(tmp_path, evaluator):
    trials = frame(tmp_path, tuned())
    table = analysis.hyperparameter_importances(trials, task="digits", regularizer="localdrop", evaluator=evaluator)
    assert set(table["hyperparameter"]) == {"lam", "m", "c_norm"}  # what never moved has no importance
    assert table["hyperparameter"].iloc[0] == "lam"
    assert table["importance"].iloc[0] > 0.5  # more than all others together
    assert table["importance"].sum() == pytest.approx(1)
    assert set(table["num_trials"]) == {40}


def test_a_metric_that_counts_downwards_gives_the_same(tmp_path):
    upwards, downwards = tuned(), tuned()
    for each in downwards:
        each |= {"higher_is_better": False, "validation_value": -each["validation_value"]}
    tables = [
        analysis.hyperparameter_importances(
            frame(tmp_path / name, rows), task="digits", regularizer="localdrop", evaluator="ped_anova"
        )
        for name, rows in (("up", upwards), ("down", downwards))
    ]
    assert tables[0].equals(tables[1])


def test_the_same_rows_give_the_same_numbers(tmp_path):
    trials = frame(tmp_path, tuned(15))
    first, second = (
        analysis.hyperparameter_importances(trials, task="digits", regularizer="localdrop") for _ in range(2)
    )
    assert first.equals(second)


def test_the_order_of_the_rows_changes_nothing_and_the_spread_of_forests_is_told(tmp_path):
    trials = frame(tmp_path, tuned(15))
    tables = [
        analysis.hyperparameter_importances(each, task="digits", regularizer="localdrop")
        for each in (trials, trials.sample(frac=1, random_state=3))
    ]
    assert tables[0].equals(tables[1])
    assert (tables[0]["spread"] > 0).all()
    assert tables[0]["importance"].sum() == pytest.approx(1)


def swept(lams, regularizer="localdrop", **more):
    """The same law on a grid of default trials, two seeds each, whose scatter cancels in the mean."""
    return [
        row("digits", regularizer, "default", seed, 0.5, hp={"lam": lam, "m": m, "block_size": 7},
            validation=0.9 - 0.1 * abs(np.log10(lam) + 2) + 0.001 * m + (seed - 0.5) / 5, **more)
        for lam in lams for m in (1, 10) for seed in (0, 1)
    ]  # fmt: skip


def test_a_sweep_tells_as_a_search_does_with_each_point_averaged_over_its_seeds(tmp_path):
    trials = frame(tmp_path, swept([10.0**-place for place in range(5)]))
    table = analysis.hyperparameter_importances(trials, task="digits", regularizer="localdrop")
    assert table["hyperparameter"].tolist() == ["lam", "m"]
    assert table["importance"].iloc[0] > 0.9
    assert table["num_trials"].tolist() == [20, 20]
    assert table["num_values"].tolist() == [5, 2]


def test_where_a_cell_was_tuned_its_default_trials_say_nothing(tmp_path):
    rows = tuned(12) + [{**each, "validation_value": 0.1} for each in swept([1e-4, 1.0])]
    table = analysis.importance_table(frame(tmp_path, rows))
    assert set(table["num_trials"]) == {12}


def test_a_small_sweep_says_that_it_is_small_and_plain_defaults_say_nothing(tmp_path):
    rows = swept([0.1, 1.0]) + [row("digits", "dropout", "default", seed, 0.5, 0.5) for seed in (0, 1)]
    table = analysis.importance_table(frame(tmp_path, rows))
    assert table.empty
    assert analysis.notes_of(table) == [
        "localdrop on digits (smoke): its sweep has 4 points that succeeded, and at least 10 are needed."
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (tuned(MIN_TRIALS - 1), "9 tune trial.s. succeeded, and at least 10 are needed"),
        ([], "0 tune trial"),
        ([{**each, "validation_value": 0.5} for each in tuned(12)], "all tune trials reached the same"),
        ([{**each, "hp.lam": 0.1, "hp.m": 1, "hp.c_norm": "l2"} for each in tuned(12)], "were the same in all"),
    ],
    ids=["too few", "none", "one value", "one setting"],
)
def test_what_tells_nothing_is_said_in_a_sentence(tmp_path, rows, words):
    trials = frame(tmp_path, [*rows, row("digits", "localdrop", role="default", test=0.5)])
    with pytest.raises(ValueError, match=words):
        analysis.hyperparameter_importances(trials, task="digits", regularizer="localdrop")


def test_trials_that_failed_do_not_count(tmp_path):
    rows = tuned(MIN_TRIALS)
    rows[0] = {**rows[0], "status": "diverged", "validation_value": None}
    with pytest.raises(ValueError, match="9 tune trial"):
        analysis.hyperparameter_importances(frame(tmp_path, rows), task="digits", regularizer="localdrop")


def test_all_tuned_cells_stand_in_one_table_with_notes_on_the_others(tmp_path):
    trials = frame(tmp_path, tuned(12) + tuned(3, "dropout"))
    table = analysis.importance_table(trials)
    assert set(table["regularizer"]) == {"localdrop"}
    assert analysis.notes_of(table) == [
        "dropout on digits (smoke): 3 tune trial(s) succeeded, and at least 10 are needed; raise --tune-trials."
    ]
    figure = plot_importances(table)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["localdrop"]
    assert figure.axes[0].get_xticklabels()[0].get_text() == table["hyperparameter"].iloc[0]


def test_a_name_that_no_row_has_is_refused_with_those_that_there_are(tmp_path):
    trials = frame(tmp_path, tuned(3))
    with pytest.raises(ValueError, match=r"regularizer must be one of those in the rows \(localdrop\), got 'dropot'"):
        analysis.hyperparameter_importances(trials, task="digits", regularizer="dropot")


def test_several_scales_and_unknown_evaluators_are_refused(tmp_path):
    trials = frame(tmp_path, tuned(12) + tuned(12, scale="short"))
    with pytest.raises(ValueError, match=r"at several scales \(short, smoke\)"):
        analysis.hyperparameter_importances(trials, task="digits", regularizer="localdrop")
    with pytest.raises(ValueError, match="fanova, ped_anova, got 'shap'"):
        analysis.hyperparameter_importances(
            trials, task="digits", regularizer="localdrop", scale="smoke", evaluator="shap"
        )


def test_cells_that_tell_nothing_for_one_reason_share_a_note(tmp_path):
    rows = [row("digits", f"r{place}", "tune", 0, validation=0.5, tune_index=0) for place in range(7)]
    assert analysis.notes_of(analysis.importance_table(one_file(tmp_path, rows))) == [
        "r0 on digits (smoke), r1 on digits (smoke), r2 on digits (smoke), r3 on digits (smoke), r4 on digits (smoke) "
        "and 2 more: 1 tune trial(s) succeeded, and at least 10 are needed; raise --tune-trials."
    ]


def test_the_importances_of_one_cell_say_what_was_left_out(tmp_path):
    old = row("digits", "localdrop", "tune", validation=0.5, tune_index=99, code="old", minute=-1)
    trials = frame(tmp_path, [*tuned(), old])
    kind = {"task": "digits", "regularizer": "localdrop", "evaluator": "ped_anova"}
    notes = analysis.notes_of(analysis.hyperparameter_importances(trials, **kind))
    assert [note.partition(":")[0] for note in notes] == ["1 row(s) left out"]
