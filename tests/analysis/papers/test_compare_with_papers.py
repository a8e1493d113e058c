import numpy as np
import pytest
from result_rows import confirmed, frame, row, timed
from scipy import stats

import analysis
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.comparison import COMPARISON_COLUMNS
from analysis.papers.reported import TIME_METRIC, reported_values
from tasks.experiments import TASKS

ZHAI = {"dataset": "cifar10", "architecture": "zhai_cnn", "task": "cifar10-zhai"}
TANG = {**ZHAI, "task": "cifar10-zhai-tang"}
LOCALDROP_REPORTS = 18.05  # % error of `none` in table 1


def cell(table, paper="localdrop", experiment="table1", dataset="CIFAR-10", method="none", metric=None):
    chosen = table[(table["paper"] == paper) & (table["experiment"] == experiment) & (table["dataset"] == dataset)]
    chosen = chosen[chosen["method"] == method]
    return (chosen if metric is None else chosen[chosen["metric"] == metric]).iloc[0]


def with_error(errors, method="none", scale="paper", protocol=ZHAI, **more):
    return confirmed(method, [1 - error / 100 for error in errors], scale=scale, **protocol, **more)


def test_all_reported_values_are_there_even_when_nothing_was_run(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, confirmed("none", [0.5])))
    assert len(table) == 356
    assert set(table["verdict"]) == {NOT_RUN}
    assert tuple(table.columns) == COMPARISON_COLUMNS


def test_ours_is_in_the_unit_of_the_paper_with_its_interval_and_the_difference(tmp_path):
    errors = [17.0, 18.0, 20.0]
    ours = cell(analysis.compare_with_papers(frame(tmp_path, with_error(errors))))
    interval = stats.t.interval(0.95, 2, loc=np.mean(errors), scale=stats.sem(errors))
    assert ours["reported"] == LOCALDROP_REPORTS
    assert ours["ours"] == pytest.approx(np.mean(errors))
    assert (ours["interval_low"], ours["interval_high"]) == pytest.approx(interval)
    assert ours["difference"] == pytest.approx(np.mean(errors) - LOCALDROP_REPORTS)
    assert ours["num_seeds"] == 3


def test_accuracies_are_compared_as_accuracies(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, with_error([18.0, 18.2], protocol=TANG)))
    assert cell(table, "feature_map_distortion", "table1")["ours"] == pytest.approx(81.9)


def test_two_papers_with_one_network_are_each_compared_with_the_task_of_their_own_protocol(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, with_error([18.0, 18.2])))
    assert cell(table)["task"] == "cifar10-zhai"
    assert cell(table, "feature_map_distortion", "table1")["verdict"] == NOT_RUN


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [([18.0, 18.1, 18.2], "agrees"), ([16.0, 16.1, 16.2], "differs"), ([19.0, 19.1, 19.2], "differs")],
    ids=["around the reported value", "below", "above"],
)
def test_a_reported_value_agrees_where_one_more_run_of_ours_is_expected(tmp_path, errors, verdict):
    ours = cell(analysis.compare_with_papers(frame(tmp_path, with_error(errors))))
    half = stats.t.ppf(0.975, 2) * np.std(errors, ddof=1) * np.sqrt(1 + 1 / 3)
    assert ours["verdict"] == verdict
    assert ours["expected_high"] - ours["expected_low"] == pytest.approx(2 * half)


def test_the_scatter_that_a_paper_reports_is_that_of_its_run(tmp_path):
    """93.95 +- 0.09 % are reported: within the range of a run that scatters as ours do, and not of one as theirs do."""
    rows = confirmed("none", [0.930, 0.932, 0.934], "cifar10-resnet56", scale="paper")
    ours = cell(analysis.compare_with_papers(frame(tmp_path, rows)), "feature_map_distortion", "table2")
    t, own = stats.t.ppf(0.975, 2), 0.2
    half = t * np.sqrt(0.09**2 + own**2 / 3)
    assert (ours["expected_low"], ours["expected_high"]) == pytest.approx((93.2 - half, 93.2 + half))
    assert 93.2 + half < ours["reported"] < 93.2 + t * own * np.sqrt(4 / 3)
    assert ours["verdict"] == "differs"


def test_seeds_too_far_apart_to_expect_anything_agree_with_nothing(tmp_path):
    """Two at 60 and 64 % expect the next one anywhere from 18 to 106 %, among that the 81.99 % of the paper."""
    table = analysis.compare_with_papers(frame(tmp_path, with_error([40.0, 36.0], protocol=TANG)))
    ours = cell(table, "feature_map_distortion", "table1")
    half = stats.t.ppf(0.975, 1) * np.std([60.0, 64.0], ddof=1) * np.sqrt(1 + 1 / 2)
    assert (ours["expected_low"], ours["expected_high"]) == pytest.approx((62 - half, 62 + half))
    assert ours["expected_low"] < ours["reported"] < ours["expected_high"]
    assert ours["verdict"] == f"too few seeds: any value within {half:.1f} points of ours would agree"


@pytest.mark.parametrize("scale", ["smoke", "short"])
def test_at_any_other_scale_the_value_is_shown_and_not_compared(tmp_path, scale):
    ours = cell(analysis.compare_with_papers(frame(tmp_path, with_error([18.0, 18.1], scale=scale))))
    assert ours["verdict"] == f"not comparable: scale {scale}"
    assert ours["ours"] == pytest.approx(18.05)
    assert np.isnan(ours["difference"])


def test_paper_scale_is_compared_where_several_scales_were_run(tmp_path):
    rows = with_error([18.0, 18.1]) + with_error([50.0, 51.0], scale="smoke")
    assert cell(analysis.compare_with_papers(frame(tmp_path, rows)))["verdict"] == "agrees"


def test_one_seed_and_failed_cells_are_not_compared(tmp_path):
    rows = with_error([18.0]) + confirmed("dropout", [None], scale="paper", **ZHAI)
    table = analysis.compare_with_papers(frame(tmp_path, rows))
    assert cell(table)["verdict"] == "not comparable: one seed has no spread"
    assert cell(table, method="dropout")["verdict"] == "not comparable: diverged"


def test_minutes_are_never_compared_but_ratios_to_the_plain_network_stand_side_by_side(tmp_path):
    rows = [timed("dropout", ratio, hardware, task="cifar10-zhai", seed=seed)
            for seed, (ratio, hardware) in enumerate([(1.1, "cpu-a"), (1.2, "cpu-a"), (1.5, "gpu-b")])]  # fmt: skip
    table = analysis.compare_with_papers(frame(tmp_path, rows))
    minutes = table[(table["experiment"] == "table5") & (table["dataset"] == "CIFAR-10")].set_index("method")
    ours = minutes.loc["dropout"]
    assert ours["hardware_key"].tolist() == ["cpu-a", "gpu-b"]
    assert ours["our_ratio"].tolist() == pytest.approx([1.15, 1.5])
    assert ours["reported_ratio"].tolist() == pytest.approx([35.57 / 30.33] * 2)
    assert set(ours["verdict"]) == {"not comparable: the paper names no hardware"}
    assert minutes.loc["localdrop", "verdict"] == NOT_RUN
    assert minutes.loc["localdrop", "reported_ratio"] == pytest.approx(39.43 / 30.33)


def test_points_of_a_sweep_are_compared_with_trials_of_the_same_setting_only(tmp_path):
    settings = {"lam": 0.1, "m": 10, "h_dense_fraction": 2000 / 2048}
    rows = [
        row(
            regularizer="localdrop", role="default", seed=seed, test=1 - error / 100, scale="paper", hp=settings, **ZHAI
        )
        for seed, error in enumerate([12.1, 12.2])
    ]
    table = analysis.compare_with_papers(frame(tmp_path, rows), paper="localdrop")
    sweep = table[table["experiment"] == "table4"].set_index("setting")["verdict"]
    assert sweep.loc["lambda=0.1;h=2000;m=10"] == "agrees"
    assert sweep.drop("lambda=0.1;h=2000;m=10").eq(
        [f"not comparable: setting {setting} not run" for setting in sweep.index if setting != "lambda=0.1;h=2000;m=10"]
    ).all()  # fmt: skip


def test_settings_of_the_released_code_make_a_row_of_their_own(tmp_path):
    def trained(accuracy, rate, block, step_size, mode):
        hp = {"distortion_rate": rate, "block_size": block, "step_size": step_size, "mode": mode}
        return [row("imagenet-resnet50-tang", "block_feature_map_distortion", "default", seed, accuracy + seed / 100,
                    scale="paper", hp=hp) for seed in (0, 1)]  # fmt: skip

    rows = trained(0.770, 0.05, 6, 5.0, "paper") + trained(0.780, 0.07, 7, 1.0, "official")
    table = analysis.compare_with_papers(frame(tmp_path, rows), "feature_map_distortion")
    table = table[table["metric"].eq("top1_accuracy") & table["method"].eq("block_feature_map_distortion")]
    assert table["setting"].tolist() == ["block=6;p=0.05;gamma=5", "block=7;p=0.07;gamma=1;mode=official"]
    assert table["ours"].tolist() == pytest.approx([77.5, 78.5])
    assert table["reported"].tolist() == [78.76, 78.76]


def test_a_reported_value_is_compared_with_its_own_setting_where_a_sweep_ran_in_the_same_cell(tmp_path):
    rows = [
        row(regularizer="localdrop", role="default", seed=seed, test=1 - (error + seed) / 100, scale="paper",
            hp={"lam": lam, "m": 10, "h_dense_fraction": 2000 / 2048}, validation=1 - error / 100, **ZHAI)
        for lam, error in ((0.1, 14.0), (1.0, 12.0)) for seed in (0, 1)
    ]  # fmt: skip
    table = analysis.compare_with_papers(frame(tmp_path, rows))
    assert cell(table, method="localdrop")["ours"] == pytest.approx(14.5)
    assert cell(table, method="localdrop")["role"] == "default"


def test_without_a_stated_setting_the_winner_counts_and_of_a_sweep_the_best_on_the_validation_split(tmp_path):
    def swept(rate, error, validation):
        return [row(regularizer="dropout", role="default", seed=seed, test=1 - error / 100, scale="paper",
                    hp={"drop_rate": rate}, validation=validation, **ZHAI) for seed in (0, 1)]  # fmt: skip

    rows = swept(0.1, 15.0, 0.84) + swept(0.5, 16.0, 0.86)  # the test split prefers the other one
    ours = cell(analysis.compare_with_papers(frame(tmp_path / "sweep", rows)), method="dropout")
    assert (ours["ours"], ours["role"], ours["num_seeds"]) == (pytest.approx(16.0), "default", 2)
    rows += with_error([17.0, 17.0], "dropout", hp={"drop_rate": 0.3})
    ours = cell(analysis.compare_with_papers(frame(tmp_path / "tuned", rows)), method="dropout")
    assert (ours["ours"], ours["role"]) == (pytest.approx(17.0), "confirm")


def test_one_paper_can_be_chosen_and_an_unknown_one_is_refused(tmp_path):
    trials = frame(tmp_path, confirmed("none", [0.5]))
    assert set(analysis.compare_with_papers(trials, paper="feature_map_distortion")["paper"]) == {
        "feature_map_distortion"
    }
    known = "dropout_theory, feature_map_distortion, localdrop, structured_dropout"
    with pytest.raises(ValueError, match=f"must be one of {known}; got 'locldrop'"):
        analysis.compare_with_papers(trials, paper="locldrop")


@pytest.mark.parametrize(
    ("paper", "experiment", "method", "words"),
    [
        ("localdrop", "table1", "adaptive_dropout_rc", "norms (p, q)"),
        ("localdrop", "table2", "none", "augmentation"),
        ("feature_map_distortion", "table1", "dropout", "Zhai and Wang"),
    ],
    ids=lambda value: value,
)
def test_doubtful_reported_values_carry_their_provenance(tmp_path, paper, experiment, method, words):
    table = analysis.compare_with_papers(frame(tmp_path, confirmed("none", [0.5])))
    assert words in cell(table, paper, experiment, method=method)["note"]


@pytest.mark.parametrize(
    ("experiment", "dataset", "words"),
    [("table2", "ILSVRC-2012", "224 x 224"), ("table6", "CIFAR-10", "no augmentation"), ("table7", "CIFAR-10", "")],
)
def test_doubts_about_the_data_are_noted_where_they_apply(tmp_path, experiment, dataset, words):
    table = analysis.compare_with_papers(frame(tmp_path, confirmed("none", [0.5])))
    note = cell(table, "localdrop", experiment, dataset, method="localdrop")["note"]
    assert words in note
    assert ("224 x 224" in note) == (dataset == "ILSVRC-2012")


def test_the_methods_own_numbers_carry_no_doubt(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, confirmed("none", [0.5])))
    assert cell(table, method="localdrop")["note"] == ""
    assert cell(table, "feature_map_distortion", method="feature_map_distortion")["note"] == ""


def test_every_value_has_tasks_that_repeat_it():
    reported = reported_values()
    assert reported["paper"].value_counts().to_dict() == {
        "localdrop": 180, "feature_map_distortion": 38, "dropout_theory": 138,
    }  # fmt: skip
    assert reported["task"].notna().all()
    assert {task for tasks in reported["tasks"] for task in tasks} <= set(TASKS.own)


def test_every_reported_value_is_of_a_unit_that_can_be_compared():
    reported = reported_values()
    assert set(reported.loc[reported["metric"] != TIME_METRIC, "unit"]) == {"%", "fraction", "rating"}


def test_values_are_given_to_the_last_digit_of_their_table():
    table = reported_values().groupby(["paper", "experiment"])["reported_rounding"].unique()
    assert [table.loc["dropout_theory", name].tolist() for name in ("table4-1", "table6-1", "table6-2")] == [
        pytest.approx([half]) for half in (5e-5, 5e-4, 5e-4)
    ]
