import math

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, row
from scipy import stats
from statsmodels.stats.multitest import multipletests

import analysis
from analysis.papers.entries import Entry, accuracy_points, samples_of
from analysis.tables.ranking import RANKING_COLUMNS
from analysis.tables.statistics import holm

NONE = [0.50, 0.52, 0.51, 0.49, 0.53]
BETTER = [0.60, 0.63, 0.60, 0.58, 0.64]
CLOSE = [0.51, 0.51, 0.52, 0.50, 0.52]
WORSE = [0.40, 0.43, 0.41, 0.40, 0.42]


def on_task(table, task="digits"):
    return table[table["task"] == task].set_index("regularizer")


def overall(table):
    return on_task(table, "overall")


def four(tmp_path, **more):
    values = {"none": NONE, "better": BETTER, "close": CLOSE, "worse": WORSE}
    return frame(tmp_path, [each for name, value in values.items() for each in confirmed(name, value, **more)])


def test_mean_standard_deviation_and_interval_are_those_of_the_seeds(tmp_path):
    better = on_task(analysis.ranking_table(four(tmp_path), confidence=0.9)).loc["better"]
    low, high = stats.t.interval(0.9, 4, loc=np.mean(BETTER), scale=stats.sem(BETTER))
    assert better["mean"] == pytest.approx(np.mean(BETTER), rel=1e-12)
    assert better["std"] == pytest.approx(np.std(BETTER, ddof=1), rel=1e-12)
    assert (better["interval_low"], better["interval_high"]) == pytest.approx((low, high), rel=1e-12)
    assert better["num_seeds"] == 5


def test_what_only_measures_is_neither_ranked_nor_counted_in_the_correction(tmp_path):
    values = {"none": [0.1, 0.2, 0.35, 0.4], "a": [0.3, 0.33, 0.6, 0.65]}
    rows = [each for name, of_name in values.items() for each in confirmed(name, of_name)]
    probe = confirmed("probe", [0.2, 0.25, 0.36, 0.5], only_measures=True)
    alone = analysis.ranking_table(frame(tmp_path / "alone", rows))
    beside = analysis.ranking_table(frame(tmp_path / "beside", rows + probe))
    pd.testing.assert_frame_equal(alone, beside)
    assert "probe only measures, so it is not ranked." in analysis.notes_of(beside)


def test_p_values_are_paired_by_seed_and_corrected_by_holm_within_the_task(tmp_path):
    table = on_task(analysis.ranking_table(four(tmp_path)))
    names = ["better", "close", "worse"]
    raw = [stats.ttest_rel(values, NONE).pvalue for values in (BETTER, CLOSE, WORSE)]
    assert table.loc[names, "p_value"].tolist() == pytest.approx(raw, rel=1e-9)
    assert table.loc[names, "p_holm"].tolist() == pytest.approx(multipletests(raw, method="holm")[1], rel=1e-9)
    assert table.loc[names, "outcome"].tolist() == ["win", "tie", "loss"]
    assert pd.isna(table.loc["none", "outcome"])


def test_holm_raises_a_p_that_would_be_significant_alone():
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


def test_holm_corrects_as_statsmodels_does_and_leaves_nan_out():
    rng = np.random.default_rng(0)
    for num_members in (0, 1, 2, 7, 30):
        raw = np.round(rng.uniform(0, 0.2, num_members), 2)  # rounded: some are equal
        expected = multipletests(raw, method="holm")[1] if num_members else []
        place = int(rng.integers(num_members + 1))
        corrected = holm(np.insert(raw, place, np.nan))
        assert np.isnan(corrected.pop(place))
        assert corrected == pytest.approx(list(expected), rel=1e-12)


def test_pairing_uses_only_the_seeds_that_both_have(tmp_path):
    rows = confirmed("none", NONE) + confirmed("better", BETTER)[2:]
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table.loc["better", "p_value"] == pytest.approx(stats.ttest_rel(BETTER[2:], NONE[2:]).pvalue, rel=1e-9)
    assert table.loc["better", ["num_seeds", "num_failed"]].tolist() == [3, 0]
    assert table.loc["better", "mean"] == pytest.approx(np.mean(BETTER[2:]))


def test_seeds_that_failed_count_as_the_worst_value_and_the_table_says_what_hangs_on_that(tmp_path):
    lucky = confirmed("lucky", [0.99, None, None, None, None])
    table = analysis.ranking_table(frame(tmp_path, confirmed("none", NONE) + lucky))
    row = on_task(table).loc["lucky"]
    assert row[["rank", "num_seeds", "num_failed", "survivors_rank"]].tolist() == [2.0, 1, 4, 1.0]
    assert row["mean"] == pytest.approx(0.99 / 5)
    assert row["failure_effect"] == pytest.approx(0.99 / 5 - 0.99)
    assert row["p_value"] == pytest.approx(stats.ttest_rel([0.99, 0, 0, 0, 0], NONE).pvalue)
    assert any("failed seeds of lucky count as accuracy 0." in note for note in analysis.notes_of(table))


def test_failed_seeds_of_several_tasks_stand_in_one_note(tmp_path):
    rows = [*confirmed("a", [0.5, None], "x"), *confirmed("b", [0.5, None], "x"), *confirmed("a", [0.5, None], "y")]
    rows += [*confirmed("a", [1.5, None], "z", metric="loss", higher=False), *confirmed("b", [0.5, 0.6], "y")]
    notes = [note for note in analysis.notes_of(analysis.ranking_table(frame(tmp_path, rows))) if "ailed" in note]
    assert notes == [
        "Failed seeds count as accuracy 0: a, b on x (smoke); a on y (smoke).",
        "z (smoke): failed seeds of a count as infinitely bad.",
    ]


def test_who_is_worse_on_every_common_seed_does_not_lead_by_losing_the_hard_ones(tmp_path):
    hard = [0.9, 0.9, 0.2, 0.2, 0.2]
    rows = confirmed("none", hard) + confirmed("dropout", [0.85, 0.85, None, None, None])
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table["rank"].to_dict() == {"none": 1.0, "dropout": 2.0}
    assert table.loc["dropout", "outcome"] != "win"


def test_without_a_worst_value_a_failure_ranks_behind_all_who_have_none_and_signs_are_tested(tmp_path):
    options = {"higher": False, "metric": "excess_objective"}
    rows = confirmed("none", [0.5, 0.4, 0.6], **options) + confirmed("one", [0.1, 0.1, None], **options)
    rows += confirmed("two", [0.01, None, None], **options) + confirmed("all", [None, None, None], **options)
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table["rank"].to_dict() == {"none": 1.0, "one": 2.0, "two": 3.0, "all": 4.0}
    assert table.loc["one", "p_value"] == stats.binomtest(2, 3).pvalue
    assert table.loc["one", "survivors_mean"] == pytest.approx(0.1)


def test_nearly_equal_differences_are_judged_like_equal_ones():
    from analysis.tables.statistics import paired_p_value, smallest_t_p

    base = [0.1, 0.2, 0.15, 0.12, 0.18]
    equal = paired_p_value([value + 0.3 for value in base], base)
    nearly = paired_p_value([value + more for value, more in zip(base, [0.3] * 4 + [0.3001], strict=True)], base)
    assert equal == pytest.approx(nearly, rel=1e-3)
    assert equal == pytest.approx(smallest_t_p(5))
    assert equal == pytest.approx(2 * stats.t.sf(20 * 5**0.5, 4))


def test_what_cannot_be_tested_is_untested_and_no_tie(tmp_path):
    one_seed = confirmed("none", [0.9], "one") + confirmed("a", [0.1], "one")
    untuned = [row("untuned", "none", "default", seed, 0.5) for seed in range(3)]
    untuned += confirmed("a", [0.9, 0.8, 0.9], "untuned")
    no_common = [row("apart", "none", seed=seed, test=0.5) for seed in (0, 1)]
    no_common += [row("apart", "a", seed=seed, test=0.9) for seed in (2, 3)]
    table = analysis.ranking_table(frame(tmp_path, [*one_seed, *untuned, *no_common]))
    assert {on_task(table, task).loc["a", "outcome"] for task in ("one", "untuned", "apart")} == {"untested"}
    assert overall(table).loc["a", ["ties", "untested"]].tolist() == [0, 2]


def test_equivalence_is_shown_by_two_one_sided_tests_within_the_margin(tmp_path):
    table = on_task(analysis.ranking_table(four(tmp_path), margin=0.05))
    difference = np.subtract(CLOSE, NONE)
    above = stats.ttest_1samp(difference, -0.05, alternative="greater").pvalue
    below = stats.ttest_1samp(difference, 0.05, alternative="less").pvalue
    assert max(above, below) * 3 < 0.05
    assert table.loc[["better", "close", "worse"], "outcome"].tolist() == ["win", "equivalent", "loss"]
    with pytest.raises(ValueError, match="margin must be above 0"):
        analysis.ranking_table(four(tmp_path / "again"), margin=0.0)


def test_intervals_of_accuracies_stay_between_0_and_1(tmp_path):
    table = on_task(analysis.ranking_table(frame(tmp_path, confirmed("none", [0.25, 0.475]) + confirmed("a", [1, 1]))))
    low, high = table.loc["none", ["interval_low", "interval_high"]]
    assert 0 <= low < 0.3625 < high <= 1
    assert table.loc["a", ["interval_low", "interval_high"]].tolist() == [1, 1]


def test_the_optimism_is_finite_where_a_validation_value_is_not(tmp_path):
    best = row(role="tune", tune_index=0, validation=0.7)
    again = [
        row(seed=seed, test=0.5, validation=value, frozen_from=best["trial_id"])
        for seed, value in enumerate([0.5, float("inf")])
    ]
    table = on_task(analysis.ranking_table(frame(tmp_path, [best, *again])))
    assert table["selection_optimism"].tolist() == pytest.approx([0.2])


def searched(name, values, num_trials, task="digits", **more):
    tune = [
        row(task, name, "tune", validation=0.5 - index / 100, tune_index=index, hp={"lr": 0.1 + index}, **more)
        for index in range(num_trials)
    ]
    frozen = tune[0]["trial_id"] if tune else None
    return [*tune, *confirmed(name, values, task, frozen_from=frozen)]


def test_unequal_budgets_are_columns_and_are_ranked_apart_unless_asked_for(tmp_path):
    rows = searched("none", NONE, 3) + searched("close", CLOSE, 3) + searched("dropout", BETTER, 9)
    trials = frame(tmp_path, rows)
    table = analysis.ranking_table(trials)
    apart = on_task(table)
    assert apart["num_tune_trials"].to_dict() == {"none": 3, "close": 3, "dropout": 9}
    assert apart["rank"].to_dict() == {"close": 1.0, "none": 2.0, "dropout": 1.0}
    assert apart["is_main_budget"].to_dict() == {"close": True, "none": True, "dropout": False}
    assert apart.loc["dropout", "outcome"] == "untested"
    assert np.isnan(overall(table).loc["dropout", "rank"])
    assert any("unequal budgets, ranked apart: dropout (9 tune trials)" in note for note in analysis.notes_of(table))
    together = analysis.ranking_table(trials, budgets="together")
    assert on_task(together)["rank"].to_dict() == {"dropout": 1.0, "close": 2.0, "none": 3.0}
    assert on_task(together).loc["dropout", "outcome"] == "win"
    assert any("ranked together as requested" in note for note in analysis.notes_of(together))


def test_searches_with_the_same_number_of_epochs_have_equal_budgets_however_many_trials_these_held(tmp_path):
    rows = searched("none", NONE, 3, tune_epochs=30) + searched("stops", BETTER, 9, tune_epochs=30)
    rows += searched("other", CLOSE, 3, tune_epochs=40) + searched("counted", CLOSE, 3)
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table["is_main_budget"].to_dict() == {"none": True, "stops": True, "other": False, "counted": False}
    assert table.loc["stops", "outcome"] == "win"
    budgets = {
        "none": "30 tune epochs",
        "stops": "30 tune epochs",
        "other": "40 tune epochs",
        "counted": "3 tune trials",
    }
    assert table["budget"].to_dict() == budgets


def test_overall_ranks_are_over_common_tasks_alone(tmp_path):
    rows = []
    for task in ("t1", "t2"):
        for name, value in (("A", 0.9), ("B", 0.8)):
            rows += confirmed(name, [value], task)
    crowd = {"c1": 0.99, "c2": 0.98, "c3": 0.97, "c4": 0.96, "A": 0.5}
    for name, value in crowd.items():  # B is skipped here, where A is last of many
        rows += confirmed(name, [value], "crowded")
    rows.append(row("crowded", "B", "default", status="skipped", reason="no site"))
    rows += [
        row(task, name, "default", status="skipped", reason="no site")
        for task in ("t1", "t2")
        for name in crowd
        if name != "A"
    ]
    table = analysis.ranking_table(frame(tmp_path, rows))
    ranks = overall(table)["rank"].dropna()
    assert not {"A", "B"} <= set(ranks.index) or ranks["A"] < ranks["B"]
    assert any("left out" in note for note in analysis.notes_of(table))


def test_a_contestant_that_meets_nobody_stands_in_the_table_with_the_reason(tmp_path):
    rows = confirmed("none", NONE) + confirmed("close", CLOSE) + confirmed("half", BETTER, switches="bf16")
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table.loc["half", "status"] == "not comparable"
    assert table.loc["half", "left_out"].startswith("5 trial(s): other switches (bf16")
    assert np.isnan(table.loc["half", "rank"])


def test_one_seed_has_a_mean_and_a_rank_but_no_interval_and_no_test(tmp_path):
    table = on_task(analysis.ranking_table(frame(tmp_path, confirmed("none", [0.5]) + confirmed("a", [0.6]))))
    assert table.loc["a", ["mean", "rank", "outcome"]].tolist() == [0.6, 1.0, "untested"]
    assert table.loc["a", ["std", "interval_low", "interval_high", "p_value"]].isna().all()


@pytest.mark.parametrize(("higher", "first"), [(True, "b"), (False, "a")], ids=["higher is better", "lower is better"])
def test_the_best_has_rank_one_in_either_direction(tmp_path, higher, first):
    rows = confirmed("a", [0.1], higher=higher) + confirmed("b", [0.2], higher=higher)
    assert on_task(analysis.ranking_table(frame(tmp_path, rows)))["rank"].idxmin() == first


def test_winning_follows_the_direction_of_the_metric(tmp_path):
    table = on_task(analysis.ranking_table(four(tmp_path, higher=False)))
    assert table.loc[["better", "close", "worse"], "outcome"].tolist() == ["loss", "tie", "win"]


def test_equal_means_share_their_mean_rank(tmp_path):
    rows = confirmed("a", [0.5]) + confirmed("b", [0.5]) + confirmed("c", [0.4])
    assert on_task(analysis.ranking_table(frame(tmp_path, rows)))["rank"].to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_a_cell_without_a_value_takes_the_worst_rank_and_is_marked(tmp_path):
    rows = confirmed("none", [0.5]) + confirmed("a", [0.6]) + confirmed("broken", [None], error_message="loss is nan")
    rows += [
        each for name, value in (("none", 0.3), ("a", 0.2), ("broken", 0.9)) for each in confirmed(name, [value], "mlp")
    ]
    table = analysis.ranking_table(frame(tmp_path, rows))
    broken = on_task(table).loc["broken"]
    assert broken[["rank", "imputed", "status", "reason", "num_seeds", "num_failed"]].tolist() == [
        3.0, True, "diverged", "loss is nan", 0, 1,
    ]  # fmt: skip
    assert overall(table).loc["broken", ["mean_rank", "imputed", "num_failed"]].tolist() == [(3 + 1) / 2, True, 1]
    assert not overall(table).loc["a", "imputed"]


def test_a_value_of_a_trial_that_failed_does_not_count(tmp_path):
    rows = [*confirmed("none", [0.5]), row(seed=1, status="timeout", test_value=0.9)]
    table = on_task(analysis.ranking_table(frame(tmp_path, rows)))
    assert table.loc["none", ["mean", "survivors_mean", "num_seeds", "num_failed"]].tolist() == [0.25, 0.5, 1, 1]


def test_a_contestant_that_never_ran_on_a_task_is_missing_there(tmp_path):
    rows = confirmed("none", [0.5]) + confirmed("none", [0.5], "mlp") + confirmed("a", [0.6])
    table = analysis.ranking_table(frame(tmp_path, rows))
    missing = on_task(table, "mlp").loc["a"]
    assert math.isnan(missing["rank"])
    assert missing[["imputed", "status", "reason"]].tolist() == [False, "missing", "no trial ran"]
    # Which tasks a contestant ran on says nothing on how good it is: overall it is compared on the common tasks.
    assert overall(table).loc["a", ["mean_rank", "num_tasks", "wins", "imputed"]].tolist() == [1.0, 1, 0, False]


def test_a_cell_whose_search_failed_altogether_says_how(tmp_path):
    rows = confirmed("none", [0.5]) + [
        row(regularizer="a", role="tune", tune_index=i, hp={"lr": i}, status="timeout", error_message="too slow")
        for i in range(2)
    ]
    failed = on_task(analysis.ranking_table(frame(tmp_path, rows))).loc["a"]
    assert failed[["status", "reason", "imputed"]].tolist() == ["timeout", "too slow", True]


def test_a_skipped_cell_is_shown_with_its_reason_and_has_no_rank(tmp_path):
    rows = confirmed("none", [0.5]) + confirmed("none", [0.5], "mlp") + confirmed("dropblock", [0.6])
    rows.append(row("mlp", "dropblock", "default", status="skipped", reason="DropBlock needs a spatial site."))
    table = analysis.ranking_table(frame(tmp_path, rows))
    skipped = on_task(table, "mlp").loc["dropblock"]
    assert skipped[["status", "reason", "imputed"]].tolist() == ["skipped", "DropBlock needs a spatial site.", False]
    assert np.isnan(skipped["rank"])
    assert overall(table).loc["dropblock", ["mean_rank", "num_tasks"]].tolist() == [1.0, 1]


def test_confirmed_values_are_ranked_and_default_ones_only_where_nothing_was_confirmed(tmp_path):
    untuned = [row(role="default", test=0.1), row(role="default", test=0.2, seed=1)]
    rows = [*confirmed("none", [0.5, 0.6]), *untuned, row(regularizer="a", role="default", test=0.7)]
    trials = frame(tmp_path, rows)
    both = on_task(analysis.ranking_table(trials))
    assert both["mean"].to_dict() == pytest.approx({"a": 0.7, "none": 0.55})
    assert both["role"].to_dict() == {"a": "default", "none": "confirm"}
    assert both.loc["none", "default_mean"] == pytest.approx(0.15)
    assert on_task(analysis.ranking_table(trials, role="default"))["mean"].to_dict() == pytest.approx(
        {"a": 0.7, "none": 0.15}
    )
    assert math.isnan(on_task(analysis.ranking_table(trials, role="confirm")).loc["a", "rank"])


def test_tune_and_timing_rows_are_never_ranked(tmp_path):
    rows = [row(role="tune", tune_index=0, validation=0.99), row(role="timing", test=0.9)]
    trials = frame(tmp_path, rows)
    assert len(analysis.ranking_table(trials)) == 0
    assert "not ranked" in analysis.notes_of(analysis.ranking_table(trials))[0]
    with pytest.raises(ValueError, match="never ranked"):
        analysis.ranking_table(trials, role="tune")


def test_the_test_value_at_the_best_validation_epoch_can_be_ranked_instead(tmp_path):
    rows = [row(test=0.5, test_value_at_best_validation=0.7), row(seed=1, test=0.6, test_value_at_best_validation=0.9)]
    table = analysis.ranking_table(frame(tmp_path, rows), value="test_value_at_best_validation")
    assert on_task(table)["mean"].tolist() == pytest.approx([0.8])


@pytest.mark.parametrize(("higher", "sign"), [(True, 1), (False, -1)], ids=["higher is better", "lower is better"])
def test_selection_optimism_is_positive_where_the_search_promised_too_much(tmp_path, higher, sign):
    best = row(role="tune", tune_index=0, validation=0.5 + 0.2 * sign, higher=higher)
    again = [
        row(seed=seed, test=0.5, validation=value, frozen_from=best["trial_id"], higher=higher)
        for seed, value in enumerate([0.45, 0.55])
    ]
    table = analysis.ranking_table(frame(tmp_path, [best, *again]))
    assert on_task(table)["selection_optimism"].tolist() == pytest.approx([0.2])


def test_an_optimism_of_rounding_errors_is_zero(tmp_path):
    best = row(role="tune", tune_index=0, validation=0.1)
    again = [row(seed=seed, validation=0.1, frozen_from=best["trial_id"]) for seed in range(3)]
    assert sum([0.1] * 3) / 3 != 0.1
    table = analysis.ranking_table(frame(tmp_path, [best, *again]))
    assert on_task(table)["selection_optimism"].tolist() == [0.0]


def test_scales_are_ranked_apart(tmp_path):
    rows = confirmed("none", [0.5], scale="paper") + confirmed("none", [0.1], scale="smoke")
    table = analysis.ranking_table(frame(tmp_path, rows))
    assert table["scale"].tolist() == ["paper", "paper", "smoke", "smoke"]
    assert table["mean"].dropna().tolist() == [0.5, 0.1]


def test_overall_counts_wins_ties_and_losses_and_averages_ranks(tmp_path):
    rows = []
    for task, values in (("t1", BETTER), ("t2", WORSE), ("t3", CLOSE)):
        rows += confirmed("none", NONE, task) + confirmed("a", values, task)
    table = overall(analysis.ranking_table(frame(tmp_path, rows)))
    assert table.loc["a", ["wins", "ties", "losses", "num_tasks"]].tolist() == [1, 1, 1, 3]
    assert table["mean_rank"].to_dict() == pytest.approx({"a": 4 / 3, "none": 5 / 3})
    assert table["rank"].to_dict() == {"a": 1.0, "none": 2.0}


def test_the_order_of_the_rows_changes_nothing(tmp_path):
    trials = four(tmp_path)
    shuffled = analysis.ranking_table(trials.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(shuffled, analysis.ranking_table(trials))


def test_other_names_for_the_contestants_give_the_same_numbers(tmp_path):
    trials = four(tmp_path)
    renamed = trials.assign(regularizer=trials["regularizer"].replace({"better": "zeta", "worse": "alpha"}))
    numbers = ["rank", "mean", "std", "p_value", "p_holm"]
    first, second = on_task(analysis.ranking_table(trials)), on_task(analysis.ranking_table(renamed))
    pd.testing.assert_frame_equal(first[numbers].reset_index(drop=True), second[numbers].reset_index(drop=True))


def test_an_affine_change_of_the_metric_keeps_ranks_p_values_and_outcomes(tmp_path):
    trials = four(tmp_path)
    scaled = trials.assign(test_value=100 * trials["test_value"] - 7)
    first, second = analysis.ranking_table(trials), analysis.ranking_table(scaled)
    assert first["outcome"].dropna().tolist() == second["outcome"].dropna().tolist()
    pd.testing.assert_frame_equal(first[["rank", "p_holm"]], second[["rank", "p_holm"]])


def test_another_contestant_can_be_the_baseline(tmp_path):
    table = on_task(analysis.ranking_table(four(tmp_path), baseline="worse"))
    assert table.loc["none", "outcome"] == "win"
    assert pd.isna(table.loc["worse", "outcome"])


def test_two_metrics_for_one_task_are_refused(tmp_path):
    rows = confirmed("none", [0.5]) + confirmed("a", [0.5], metric="error")
    with pytest.raises(ValueError, match="accuracy, error"):
        analysis.ranking_table(frame(tmp_path, rows))


def test_a_mean_over_several_hyperparameter_settings_is_announced(tmp_path):
    rows = [row(role="default", seed=0, test=0.1 * h, hp={"h": h}) for h in (1, 2)]
    assert "2 hyperparameter settings" in analysis.notes_of(analysis.ranking_table(frame(tmp_path, rows)))[0]


def test_the_columns_stand_in_display_order(tmp_path):
    table = analysis.ranking_table(four(tmp_path))
    assert tuple(table.columns) == RANKING_COLUMNS
    assert table["task"].tolist() == ["digits"] * 4 + ["overall"] * 4


def test_tune_trials_of_two_campaigns_add_up(tmp_path):
    def of_campaign(name, number):
        return [
            row(regularizer=name, role="tune", validation=0.5 - index / 100, tune_index=index, campaign=f"c{number}",
                hp={"lr": 0.1 + index + 10 * number})
            for index in range(3)
        ]  # fmt: skip

    twice, once = [*of_campaign("dropout", 0), *of_campaign("dropout", 1)], of_campaign("none", 0)
    rows = [*twice, *once, *confirmed("dropout", BETTER, frozen_from=twice[0]["trial_id"], campaign="c0")]
    rows += confirmed("none", NONE, frozen_from=once[0]["trial_id"], campaign="c0")
    trials = frame(tmp_path, rows)
    assert on_task(analysis.ranking_table(trials))["num_tune_trials"].to_dict() == {"dropout": 6, "none": 3}
    assert any("unequal budgets, ranked apart" in note for note in analysis.notes_of(analysis.ranking_table(trials)))
    (entry,) = samples_of(trials, [Entry(label="", task="digits", regularizer="dropout")], accuracy_points).values()
    assert entry.budget == "6 tune trials"


def test_trials_of_unknown_time_are_no_trials_of_no_time(tmp_path):
    rows = [*confirmed("none", [0.5], train_seconds=10.0), row(seed=1, status="crashed")]
    assert on_task(analysis.ranking_table(frame(tmp_path / "known", rows))).loc["none", "seconds"] == 10
    unknown = frame(tmp_path / "unknown", confirmed("none", [0.5, 0.6]))
    assert np.isnan(on_task(analysis.ranking_table(unknown)).loc["none", "seconds"])
