import numpy as np
import pytest
from result_rows import confirmed, frame, row
from scipy import stats

import analysis
from analysis.papers import ARCHITECTURES, COMPARISON_COLUMNS, DATASETS, NOT_RUN, reported_values

ZHAI = {"dataset": "cifar10", "architecture": "zhai_cnn", "task": "cifar10-zhai_cnn"}
LOCALDROP_REPORTS = 18.05  # % error of `none` in table 1


def cell(table, paper="localdrop", experiment="table1", dataset="CIFAR-10", method="none", metric=None):
    chosen = table[(table["paper"] == paper) & (table["experiment"] == experiment) & (table["dataset"] == dataset)]
    chosen = chosen[chosen["method"] == method]
    return (chosen if metric is None else chosen[chosen["metric"] == metric]).iloc[0]


def with_error(errors, method="none", scale="paper", **more):
    return confirmed(method, [1 - error / 100 for error in errors], scale=scale, **ZHAI, **more)


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
    table = analysis.compare_with_papers(frame(tmp_path, with_error([18.0, 18.2])))
    assert cell(table, "feature_map_distortion", "table1")["ours"] == pytest.approx(81.9)


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


def test_minutes_are_never_compared_because_the_hardware_is_unknown(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, with_error([18.0, 18.1])))
    assert cell(table, experiment="table5")["verdict"] == "not comparable: the paper names no hardware"


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


def test_the_methods_own_numbers_carry_no_doubt(tmp_path):
    table = analysis.compare_with_papers(frame(tmp_path, confirmed("none", [0.5])))
    assert cell(table, method="localdrop")["note"] == ""
    assert cell(table, "feature_map_distortion", method="feature_map_distortion")["note"] == ""


def test_every_data_set_and_architecture_of_the_regularizer_papers_has_a_name_of_ours():
    reported = reported_values()
    ours = reported[reported["paper"] != "dropout_theory"]
    assert set(ours["dataset"]) <= set(DATASETS)
    assert set(ours["architecture"]) <= set(ARCHITECTURES)
