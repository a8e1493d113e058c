"""Time to a target: medians of times of which some are censored, against times that are written down by hand."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, row

import analysis

NEVER = math.inf


def curves_that_reach(trials, epochs, *, target=0.5, last=20, seconds_per_epoch=2.0):
    """Validation accuracy below the target before the given epoch of each trial, and above it from then on."""
    return pd.DataFrame(
        {
            "trial_id": trial_id,
            "epoch": epoch,
            "split": "validation",
            "metric": "accuracy",
            "value": target + (0.1 if epoch >= reached else -0.1),
            "train_seconds": seconds_per_epoch * epoch,
        }
        for trial_id, reached in zip(trials["trial_id"], epochs, strict=True)
        for epoch in range(last + 1)
    )


def line(table, regularizer="dropout", task="digits"):
    return table[(table["regularizer"] == regularizer) & (table["task"] == task)].iloc[0]


@pytest.mark.parametrize("epochs", [[3], [7, 3, 5], [9, 1, NEVER], [4, 8, NEVER, 2, NEVER]], ids=str)
def test_the_time_is_the_median_with_infinity_for_trials_that_never_reach_the_target(tmp_path, epochs):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * len(epochs)))
    found = line(analysis.time_to_target(trials, curves_that_reach(trials, epochs), target=0.5))
    assert found["epochs"] == statistics.median(epochs)
    assert found["train_seconds"] == 2.0 * statistics.median(epochs)
    assert (found["num_reached"], found["num_trials"]) == (np.isfinite(epochs).sum(), len(epochs))
    assert found["epochs_low"] == min(epochs)


@pytest.mark.parametrize("epochs", [[NEVER], [4, NEVER], [4, 8, NEVER, NEVER], [4, NEVER, NEVER]], ids=str)
def test_there_is_no_time_where_half_of_the_trials_or_more_are_censored(tmp_path, epochs):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * len(epochs)))
    found = line(analysis.time_to_target(trials, curves_that_reach(trials, epochs), target=0.5))
    assert math.isnan(found["epochs"])
    assert math.isnan(found["train_seconds"])
    assert math.isnan(found["epochs_high"])


def test_the_time_does_not_depend_on_how_long_censored_trials_trained(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * 3))
    curves = curves_that_reach(trials, [6, 2, NEVER])
    shorter = curves[(curves["epoch"] <= 6) | (curves["trial_id"] != trials["trial_id"].iloc[2])]
    pd.testing.assert_frame_equal(
        analysis.time_to_target(trials, curves, target=0.5), analysis.time_to_target(trials, shorter, target=0.5)
    )


def test_a_trial_that_failed_counts_as_one_that_never_reaches_the_target(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5, 0.5, None]))
    curves = curves_that_reach(trials[:2], [3, 8])
    found = line(analysis.time_to_target(trials, curves, target=0.5))
    assert (found["epochs"], found["num_reached"], found["num_trials"]) == (8, 2, 3)


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("higher", [True, False], ids=["higher", "lower"])
def test_without_a_target_it_is_the_best_final_value_that_most_trials_of_the_baseline_reach(
    tmp_path, num_seeds, higher
):
    values = np.random.default_rng(num_seeds).uniform(0.2, 0.8, num_seeds)
    rows = [
        row(regularizer="none", seed=seed, test=0.5, validation=value, metric="loss", higher=higher)
        for seed, value in enumerate(values)
    ]
    trials = frame(tmp_path, rows)
    finals = dict(zip(trials["trial_id"], trials["validation_value"], strict=True))
    curves = pd.DataFrame(
        {"trial_id": each, "epoch": 5, "split": "validation", "metric": "loss", "value": final, "train_seconds": 1.0}
        for each, final in finals.items()
    )
    found = line(analysis.time_to_target(trials, curves), "none")

    def share(target):
        return np.mean([value >= target if higher else value <= target for value in values])

    harder = [value for value in values if (value > found["target"] if higher else value < found["target"])]
    assert share(found["target"]) > 0.5
    assert all(share(value) <= 0.5 for value in harder)
    assert (found["epochs"], found["epochs_ratio"]) == (5, 1.0)


def test_times_are_relative_to_the_baseline_and_sorted_by_the_fastest(tmp_path):
    rows = [*confirmed("none", [0.5] * 3), *confirmed("fast", [0.5] * 3), *confirmed("slow", [0.5] * 3)]
    trials = frame(tmp_path, rows)
    epochs = trials["regularizer"].map({"none": 8, "fast": 4, "slow": NEVER})
    table = analysis.time_to_target(trials, curves_that_reach(trials, epochs), target=0.5)
    assert table["regularizer"].tolist() == ["fast", "none", "slow"]
    assert table["epochs_ratio"].tolist()[:2] == [0.5, 1.0]


def test_a_target_of_each_task_leaves_the_others_out(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * 2) + confirmed("dropout", [0.5] * 2, "mlp"))
    curves = curves_that_reach(trials, [3] * 4)
    assert analysis.time_to_target(trials, curves, target={"mlp": 0.5})["task"].tolist() == ["mlp"]


def test_a_task_whose_baseline_has_no_target_is_named(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * 3))
    table = analysis.time_to_target(trials, curves_that_reach(trials, [3] * 3))
    assert len(table) == 0
    assert any("digits (smoke)" in note and "no target" in note for note in analysis.notes_of(table))


def test_curves_of_an_older_version_give_epochs_and_no_seconds(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5] * 3))
    curves = curves_that_reach(trials, [3, 4, 5])
    for older in (curves.drop(columns="train_seconds"), curves.assign(train_seconds=math.nan)):
        found = line(analysis.time_to_target(trials, older, target=0.5))
        assert found["epochs"] == 4
        assert math.isnan(found["train_seconds"])


def test_seconds_of_several_machines_are_not_mixed(tmp_path):
    rows = [
        row(regularizer="dropout", seed=seed, test=0.5, hardware_key=key)
        for seed, key in enumerate(("cpu", "gpu", "gpu"))
    ]
    trials = frame(tmp_path, rows)
    found = line(analysis.time_to_target(trials, curves_that_reach(trials, [3, 4, 5]), target=0.5))
    assert found["epochs"] == 4
    assert math.isnan(found["train_seconds"])


def test_without_curves_the_table_is_empty(tmp_path):
    trials = frame(tmp_path, confirmed("none", [0.5]))
    assert len(analysis.time_to_target(trials, analysis.load_curves(tmp_path))) == 0


@pytest.mark.parametrize("machines", [("cpu-a", "cpu-b"), ("cpu-a", None)], ids=["two machines", "one is unknown"])
def test_a_machine_that_is_unknown_is_another_one(tmp_path, machines):
    rows = [row(regularizer="dropout", seed=seed, test=0.5, hardware_key=key) for seed, key in enumerate(machines)]
    crashed = row(regularizer="dropout", seed=9, status="crashed")
    trials = frame(tmp_path / "two", [*rows, crashed])
    found = line(analysis.time_to_target(trials, curves_that_reach(trials, [3, 5, NEVER]), target=0.5))
    assert (found["epochs"], found["hardware_key"]) == (5, None)
    assert math.isnan(found["train_seconds"])
    trials = frame(tmp_path / "one", [each | {"hardware_key": "cpu-a"} for each in rows] + [crashed])
    found = line(analysis.time_to_target(trials, curves_that_reach(trials, [3, 5, NEVER]), target=0.5))
    assert (found["train_seconds"], found["hardware_key"]) == (10.0, "cpu-a"), "a crashed trial names no machine"
