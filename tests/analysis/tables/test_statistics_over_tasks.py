import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, row
from scipy import stats

import analysis
from analysis.figures.critical_difference import groups_of
from analysis.tables.aggregates import normalized_scores
from analysis.tables.overall import Friedman
from analysis.tables.pairs import ELO_POINTS

VALUES: dict[str, dict[str, list[float | None]]] = {
    "t1": {"a": [0.9, 0.8], "b": [0.7, 0.85], "none": [0.5, 0.6]},
    "t2": {"a": [0.6, 0.6], "b": [0.5, None], "none": [0.6, 0.4]},
    "t3": {"a": [0.9, 0.9], "b": [0.8, 0.8], "none": [0.7, 0.7]},
}


@pytest.fixture(scope="module")
def trials():
    return pd.DataFrame(
        [each for task, of_task in VALUES.items() for name, values in of_task.items()
         for each in confirmed(name, values, task)]
    )  # fmt: skip


def test_win_rates_are_probabilities_of_improvement_averaged_over_tasks(trials):
    rates = analysis.win_rates(trials).set_index(["regularizer", "rival"])["win_rate"]
    expected = 0.0
    for of_task in VALUES.values():
        first, second = ([0.0 if value is None else value for value in of_task[name]] for name in ("a", "b"))
        expected += stats.mannwhitneyu(first, second).statistic / 4 / 3  # of two seeds each, over three tasks
    assert rates["a", "b"] == pytest.approx(expected)
    assert rates["b", "a"] == pytest.approx(1 - expected)


def test_strengths_fit_the_model_of_bradley_and_terry(trials):
    strengths = analysis.strengths(trials, num_draws=20)
    assert strengths["regularizer"].tolist() == ["a", "b", "none"]
    odds = 10 ** (strengths.set_index("regularizer")["strength"] / ELO_POINTS)
    rates = analysis.win_rates(trials).set_index(["regularizer", "rival"])["win_rate"]
    for name in odds.index:  # at the maximum of the likelihood every contestant wins as often as the model expects
        rivals = [rival for rival in odds.index if rival != name]
        won = sum(3 * rates[name, rival] + 0.5 for rival in rivals)
        assert won == pytest.approx(sum(4 * odds[name] / (odds[name] + odds[rival]) for rival in rivals), rel=1e-6)
    assert strengths["strength"].sum() == pytest.approx(0, abs=1e-6)
    assert (strengths["strength_low"] <= strengths["strength_high"]).all()


@pytest.mark.parametrize("always", ["best", "worst"])
def test_samples_of_tasks_on_which_a_contestant_meets_nobody_say_nothing_about_its_strength(always):
    """It ran on one of five tasks, so that it is missing from a third of the samples."""
    values = {"a": [0.6, 0.7], "b": [0.65, 0.6], "c": [0.9, 0.95] if always == "best" else [0.1, 0.2]}
    rows = [each for task in range(5) for name in "ab" for each in confirmed(name, values[name], f"t{task}")]
    strengths = analysis.strengths(pd.DataFrame(rows + confirmed("c", values["c"], "t0"))).set_index("regularizer")
    ends = strengths.loc["c", ["strength_low", "strength_high"]]
    assert (ends > 0).all() if always == "best" else (ends < 0).all()


def test_rank_intervals_hold_the_mean_ranks_of_the_ranking(trials):
    intervals = analysis.rank_intervals(trials, num_draws=100).set_index("regularizer")
    table = analysis.ranking_table(trials)
    overall = table[table["task"] == "overall"].set_index("regularizer")["mean_rank"]
    assert intervals["mean_rank"].to_dict() == pytest.approx(overall.to_dict())
    assert (intervals["low"] <= intervals["mean_rank"]).all()
    assert (intervals["mean_rank"] <= intervals["high"]).all()


def test_a_task_on_which_all_means_are_equal_is_not_normalized():
    rows = confirmed("a", [0.1, 0.2, 0.3]) + confirmed("b", [0.3, 0.2, 0.1])  # their sums differ by 1e-16
    table = analysis.interquartile_means(pd.DataFrame(rows), num_draws=2)
    assert table.empty
    assert "Scores are not normalized on digits (smoke): all means are equal there." in analysis.notes_of(table)


def test_failed_seeds_never_score_above_finite_ones():
    """Mean losses 1 and 4: the run with loss 8 scores (4 - 8) / 3."""
    losses = {"a": [1, 1, 1], "b": [2, 2, 8], "c": [1, 1, None]}
    rows = [
        each for name, of in losses.items() for each in confirmed(name, of, metric="excess_objective", higher=False)
    ]
    scores = normalized_scores(pd.DataFrame(rows))
    worst = scores.groupby("regularizer")["normalized"].min()
    assert worst.to_dict() == pytest.approx({"a": 1.0, "b": -4 / 3, "c": -4 / 3})


@pytest.mark.parametrize("metric", ["accuracy", "excess_objective"])
@pytest.mark.parametrize("name", ["best", "worst", "between"])
def test_a_failed_seed_improves_no_normalized_score_and_changes_no_other_contestant(name, metric):
    """Neither the best mean nor the worst moves: the contestant's other seeds would gain."""
    values = {"best": [0.8, 0.6], "between": [0.5, 0.5], "worst": [0.3, 0.5]}
    measured = {"metric": metric, "higher": metric == "accuracy"}
    rows = [
        each
        for of, (first, second) in values.items()
        for task, value in (("t1", first), ("t2", second))
        for each in confirmed(of, [value if measured["higher"] else 1 - value] * 4, task, **measured)
    ]
    failed = row("t1", name, "confirm", 77, status="diverged")
    before, after = (
        analysis.interquartile_means(pd.DataFrame(each), num_draws=2).set_index("regularizer")["iqm"]
        for each in (rows, [*rows, failed])
    )
    assert after[name] <= before[name]
    pd.testing.assert_series_equal(after.drop(name).sort_index(), before.drop(name).sort_index())
    scores = normalized_scores(pd.DataFrame([*rows, failed]))
    assert scores.set_index("seed").loc[77, "normalized"] == pytest.approx(
        0.0
    )  # the lowest on the task, as is the worst


@pytest.mark.parametrize("table", [analysis.rank_intervals, analysis.strengths, analysis.interquartile_means])
def test_another_scale_changes_no_interval(table):
    rng = np.random.default_rng(0)

    def rows_at(scale):
        return [
            each
            for task in VALUES
            for name in ("a", "b", "none")
            for each in confirmed(name, rng.random(4), task, scale=scale)
        ]

    rows, others = rows_at("smoke"), rows_at("paper")  # in the table, paper comes first
    alone, beside = (table(pd.DataFrame(each), num_draws=20) for each in (rows, rows + others))
    beside = beside[beside["scale"] == "smoke"].reset_index(drop=True)
    pd.testing.assert_frame_equal(beside, alone)


def test_a_contestant_without_a_common_task_does_not_lead_the_normalized_scores():
    rows = confirmed("a", [0.9, 0.9], "t1") + confirmed("none", [0.5, 0.6], "t1") + confirmed("b", [0.95, 0.95], "t1")
    for task in ("t2", "t3"):
        rows += confirmed("a", [0.9, 0.8], task) + confirmed("none", [0.5, 0.6], task)
    for table in (analysis.interquartile_means, analysis.performance_profiles, analysis.rank_intervals):
        made = table(pd.DataFrame(rows))
        assert set(made["regularizer"]) == {"a", "none"}, table.__name__
        (note,) = analysis.notes_of(made)
        assert note.endswith("are of the 2 contestants with a value on every task; left out: b.")
    iqm = analysis.interquartile_means(pd.DataFrame(rows)).set_index("regularizer")["iqm"]
    runs = sorted([1.0, 1.0, *[(0.9 - 0.55) / 0.3, (0.8 - 0.55) / 0.3] * 2])
    assert iqm["a"] == pytest.approx(np.mean(runs[1:-1]))


def test_the_interquartile_mean_is_that_of_the_middle_half_of_the_normalized_runs(trials):
    table = analysis.interquartile_means(trials, num_draws=50).set_index("regularizer")
    # means of the seeds with a value: t1 .85 .775 .55, t2 .6 .5 .5, t3 .9 .8 .7
    runs = sorted([(0.9 - 0.55) / 0.3, (0.8 - 0.55) / 0.3, 1.0, 1.0, 1.0, 1.0])
    assert table.loc["a", "iqm"] == pytest.approx(np.mean(runs[1:-1]))
    assert table.loc["a", "low"] <= table.loc["a", "iqm"] <= table.loc["a", "high"]


def test_performance_profiles_are_shares_of_runs_above_each_threshold(trials):
    profile = analysis.performance_profiles(trials).set_index(["regularizer", "threshold"])["share"]
    assert profile["a", 0.95] == pytest.approx((0.5 + 1 + 1) / 3)
    for _, shares in profile.groupby(level=0):
        assert shares.is_monotonic_decreasing


def test_the_best_so_far_never_falls_and_counts_failed_trials_as_cost():
    rows = [
        row("t", "a", "tune", tune_index=index, validation=value, hp={"lr": 1.0 + index}, train_seconds=2.0,
            status="completed" if value else "diverged")
        for index, value in enumerate([None, 0.5, 0.4, None, 0.7])
    ]  # fmt: skip
    table = analysis.best_so_far(pd.DataFrame(rows).sample(frac=1, random_state=0))
    assert table["best_validation"].tolist()[1:] == [0.5, 0.5, 0.5, 0.7]
    assert np.isnan(table["best_validation"].iloc[0])
    assert table["seconds"].tolist() == [2.0, 4.0, 6.0, 8.0, 10.0]
    costs = analysis.tuning_costs(pd.DataFrame(rows)).iloc[0]
    assert costs[["num_trials", "num_failed", "seconds", "seconds_per_trial"]].tolist() == [5, 2, 10.0, 2.0]
    crashed = row("t", "a", "tune", tune_index=5, hp={"lr": 9.0}, status="crashed")
    assert analysis.tuning_costs(pd.DataFrame([*rows, crashed])).iloc[0]["seconds_per_trial"] == 2.0


def test_the_bars_of_the_diagram_join_whom_the_test_does_not_tell_apart():
    means = pd.Series({"a": 1.0, "b": 1.8, "c": 2.5, "d": 4.7})
    result = Friedman(mean_ranks=means, num_tasks=9, statistic=9.0, p_value=0.01, critical_difference=1.0)
    assert groups_of(result) == [(0, 1), (1, 2)]
    assert result.different_pairs == [("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")]
    assert analysis.plot_critical_difference(result).axes[0].get_xlabel() == "mean rank over 9 tasks (1 is best)"
