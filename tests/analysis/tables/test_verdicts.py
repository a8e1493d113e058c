"""Verdicts: the best contestant of each task, and whom the seeds do not separate from it."""

import math
import re

import numpy as np
import pytest
from result_rows import confirmed, frame, one_file, timed
from scipy import stats
from statsmodels.stats.multitest import multipletests

import analysis
from analysis.tables.scores import scores_table
from analysis.tables.verdicts import overall_sentences, verdicts

VALUES = {
    "none": [0.50, 0.54, 0.47, 0.52, 0.49],
    "far": [0.20, 0.31, 0.25, 0.18, 0.28],
    "near": [0.79, 0.83, 0.78, 0.80, 0.85],
    "first": [0.81, 0.82, 0.80, 0.84, 0.83],
}


def verdicts_of(trials):
    return verdicts(analysis.ranking_table(trials), scores_table(trials), analysis.score_against_cost(trials))


def test_whom_the_seeds_separate_from_the_best_is_what_scipy_and_statsmodels_find(tmp_path):
    trials = frame(tmp_path, [each for name, values in VALUES.items() for each in confirmed(name, values)])
    (verdict,) = verdicts_of(trials).to_dict("records")
    others = [name for name in VALUES if name != "first"]
    raw = [stats.ttest_rel(VALUES["first"], VALUES[name]).pvalue for name in others]
    apart = dict(zip(others, multipletests(raw, method="holm")[0], strict=True))
    assert apart == {"none": True, "far": True, "near": False}
    assert (verdict["best"], verdict["alike"]) == ("first", "near")
    assert verdict["gain"] == pytest.approx(np.mean(VALUES["first"]) - np.mean(VALUES["none"]))
    assert "Also significantly better than none: near." in verdict["sentence"]
    assert "do not separate it from near." in verdict["sentence"]


def test_who_cannot_be_tested_is_not_said_to_be_separated(tmp_path):
    values = VALUES | {"near": [0.79]}  # one seed in common with the best
    trials = frame(tmp_path, [each for name, scores in values.items() for each in confirmed(name, scores)])
    (verdict,) = verdicts_of(trials).to_dict("records")
    assert verdict["alike"] == "near"
    assert "do not separate it from near." in verdict["sentence"]


def test_where_lower_is_better_the_gain_is_positive_too(tmp_path):
    rows = [
        each
        for name, values in (("none", [2.0, 2.1, 2.2]), ("a", [1.0, 1.1, 1.2]))
        for each in confirmed(name, values, metric="rmse", higher=False)
    ]
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert (verdict["best"], verdict["gain"]) == ("a", pytest.approx(1.0))
    assert "better than none by 1 (significant" in verdict["sentence"]


def test_of_those_that_are_alike_the_cheapest_is_named(tmp_path):
    rows = [each for name, values in VALUES.items() for each in confirmed(name, values)]
    rows += [timed("none", 1.0), timed("far", 0.1), timed("near", 1.2), timed("first", 3.0)]
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert (verdict["cheapest"], verdict["cost"]) == ("near", pytest.approx(1.2))


def test_without_timing_trials_nobody_is_the_cheapest(tmp_path):
    rows = [
        each
        for name, values in VALUES.items()
        for each in confirmed(name, values, train_seconds=len(name), hardware_key="cpu-a")
    ]
    trials = frame(tmp_path, rows)
    assert analysis.score_against_cost(trials)["cost"].notna().all()
    (verdict,) = verdicts_of(trials).to_dict("records")
    assert (verdict["cheapest"], math.isnan(verdict["cost"])) == ("", True)
    assert "cheapest" not in verdict["sentence"]


def test_a_wide_interval_makes_nobody_the_cheapest_of_the_winners(tmp_path):
    values = VALUES | {"wild": [0.1, 0.99, 0.1, 0.99, 0.9]}
    rows = [each for name, scores in values.items() for each in confirmed(name, scores)]
    rows += [timed("none", 1.0), timed("wild", 0.5), timed("near", 1.2), timed("first", 3.0)]
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert verdict["alike"] == "near, wild"
    assert verdict["cheapest"] == "near"
    assert "The cheapest of these with a significant gain is near" in verdict["sentence"]


def test_where_the_best_mean_is_not_significant_the_cheapest_is_one_whose_gain_is(tmp_path):
    values = VALUES | {"first": [0.99, 0.3, 0.99, 0.99, 0.99]}
    rows = [each for name, scores in values.items() for each in confirmed(name, scores)]
    rows += [timed("none", 1.0), timed("far", 0.9), timed("near", 1.2), timed("first", 0.5)]
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert (verdict["best"], verdict["winners"]) == ("first", "near")
    assert "The cheapest of these with a significant gain is near, with 1.2" in verdict["sentence"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"none": [0.5]}, "There is no other contestant to compare it with."),
        ({"none": [0.5], "a": [0.6]}, "Nothing can be tested"),
        ({"none": [0.5, 0.6, 0.7], "a": [0.6, 0.5, 0.7]}, "No contestant is significantly better than none."),
        ({"none": [0.9, 0.91, 0.92], "a": [0.1, 0.12, 0.1]}, "The seeds separate it from all others."),
    ],
)
def test_the_sentence_claims_no_more_than_the_seeds_show(tmp_path, values, words):
    trials = frame(tmp_path, [each for name, seeds in values.items() for each in confirmed(name, seeds)])
    (verdict,) = verdicts_of(trials).to_dict("records")
    assert words in verdict["sentence"]
    assert not re.search(r"nan|None|inf\b", verdict["sentence"])


def test_a_task_on_which_all_failed_has_no_verdict(tmp_path):
    rows = [*confirmed("none", [None, None]), *confirmed("a", [None, None])]
    assert verdicts_of(frame(tmp_path, rows)).empty


def tasks(values, num_tasks):
    return [
        each
        for place in range(num_tasks)
        for name, mean in values.items()
        for each in confirmed(name, [mean, mean + 0.01 * (place + 1)], f"task-{place}")
    ]


def test_over_tasks_a_lead_is_called_significant_only_if_nemenyis_test_says_so(tmp_path):
    values = {"none": 0.5, "a": 0.6, "b": 0.7, "c": 0.8, "d": 0.9}
    for num_tasks, is_significant in ((2, False), (12, True)):
        ranking = analysis.ranking_table(one_file(tmp_path / str(num_tasks), tasks(values, num_tasks)))
        said = " ".join(overall_sentences(ranking)["smoke"])
        assert f"Over the {num_tasks} tasks that 5 contestants have in common, d has the best mean rank (1;" in said
        assert ("It is significantly better than" in said) == is_significant
    reach = stats.studentized_range.ppf(0.95, 5, np.inf) / np.sqrt(2) * np.sqrt(5 * 6 / (6 * 12))
    behind = [name for rank, name in enumerate(("d", "c", "b", "a", "none"), 1) if rank - 1 > reach]
    named = re.search(r"significantly better than (.*?) \(Nemenyi", said)
    assert named is not None
    assert sorted(re.split(", | and ", named[1])) == sorted(behind)


def test_one_task_has_no_sentence_over_tasks(tmp_path):
    assert overall_sentences(analysis.ranking_table(frame(tmp_path, tasks({"none": 0.5, "a": 0.6}, 1)))) == {}


@pytest.mark.parametrize(
    ("rows_of_none", "reason"),
    [
        ([], "none did not run on this task"),
        (confirmed("none", [None, None, None]), "none has no value on this task"),
        (confirmed("none", [0.5]), "the others have fewer than two seeds in common with none"),
        (
            confirmed("none", [0.5, 0.6, 0.7], epochs_planned=9),
            "none has another budget (tuned, trials unknown, 9 epochs)",
        ),
    ],
    ids=["absent", "failed", "one seed", "other budget"],
)
def test_without_a_test_against_the_baseline_the_sentence_says_why_instead_of_no_contestant_is_better(
    rows_of_none, reason, tmp_path
):
    ours = [*confirmed("a", [0.8, 0.82, 0.81], epochs_planned=3), *confirmed("b", [0.6, 0.7, 0.65], epochs_planned=3)]
    none = [each | {"epochs_planned": each["epochs_planned"] or 3} for each in rows_of_none]
    (verdict,) = verdicts_of(frame(tmp_path, [*ours, *none])).to_dict("records")
    assert f"No contestant was tested against none, because {reason}." in verdict["sentence"]
    assert "significantly better" not in verdict["sentence"]


def test_who_was_not_tested_against_the_baseline_is_named(tmp_path):
    values = {"none": [0.5, 0.6, 0.7], "a": [0.6, 0.5, 0.75], "b": [0.4]}
    trials = frame(tmp_path, [each for name, seeds in values.items() for each in confirmed(name, seeds)])
    (verdict,) = verdicts_of(trials).to_dict("records")
    assert "No tested contestant is significantly better than none. Not tested against none: b." in verdict["sentence"]


def test_over_tasks_only_the_tasks_with_a_test_against_the_baseline_count(tmp_path):
    values = {"a": [0.8, 0.82, 0.81], "b": [0.6, 0.7, 0.65]}
    rows = [
        each for place in range(3) for name, seeds in values.items() for each in confirmed(name, seeds, f"t{place}")
    ]
    said = " ".join(overall_sentences(analysis.ranking_table(frame(tmp_path / "without", rows)))["smoke"])
    assert "a was not tested against none on any of these tasks." in said
    rows += [each for place in range(3) for each in confirmed("none", [0.5, 0.51, 0.5][: 3 - place], f"t{place}")]
    said = " ".join(overall_sentences(analysis.ranking_table(frame(tmp_path / "with", rows)))["smoke"])
    assert "Against none, a wins significantly on 2 of the 2 tasks on which it was tested and loses on 0." in said


def test_who_is_ranked_apart_is_named(tmp_path):
    rows = [each for name, values in VALUES.items() for each in confirmed(name, values, epochs_planned=3)]
    rows += confirmed("apart", [0.1, 0.2], epochs_planned=9)
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert verdict["sentence"].endswith("Ranked apart, with another budget than most: apart.")


def test_contestants_with_equal_means_are_both_named(tmp_path):
    rows = [
        each for name in ("none", "a", "b") for each in confirmed(name, [0.3, 0.3, 0.3] if name == "b" else [0.5] * 3)
    ]
    (verdict,) = verdicts_of(frame(tmp_path, rows)).to_dict("records")
    assert "equal to that of none" in verdict["sentence"]
    assert "better than none by" not in verdict["sentence"]
