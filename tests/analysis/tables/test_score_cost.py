"""Score against cost: the factors of the cost, and the Pareto front against its definition."""

import math

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, timed

import analysis
from analysis.tables.score_cost import on_front, timed_costs


def costs(table):
    return table.set_index("regularizer")["cost"].to_dict()


def is_dominated(point, others):
    return any(loss <= point[0] and cost <= point[1] and (loss < point[0] or cost < point[1]) for loss, cost in others)


@pytest.mark.parametrize("seed", range(5))
def test_a_point_is_on_the_front_if_no_other_dominates_it(seed):
    points = np.random.default_rng(seed).integers(0, 6, (12, 2)).astype(float)  # with ties
    expected = [not is_dominated(point, points) for point in points]
    assert on_front(*points.T).tolist() == expected


def test_the_cost_is_the_time_per_step_times_the_epochs_relative_to_the_baseline(tmp_path):
    rows = confirmed("none", [0.5, 0.6], epochs_run=40) + confirmed("dropout", [0.7, 0.8], epochs_run=40)
    rows += confirmed("early_stopping", [0.6, 0.7], epochs_run=10)
    rows += [timed("dropout", 1.5), timed("early_stopping", 1.1)]
    table = analysis.score_against_cost(frame(tmp_path, rows))
    assert costs(table) == pytest.approx({"none": 1.0, "dropout": 1.5, "early_stopping": 1.1 * 10 / 40})
    assert set(table["cost_from"]) == {"timing trials"}
    assert table.set_index("regularizer")["is_on_front"].to_dict() == {
        "early_stopping": True,
        "none": False,
        "dropout": True,
    }


def test_without_timing_trials_the_cost_is_the_ratio_of_the_training_times(tmp_path):
    kind = {"hardware_key": "cpu"}
    rows = confirmed("none", [0.5, 0.6], train_seconds=4.0, **kind)
    rows += confirmed("dropout", [0.7, 0.8], train_seconds=6.0, **kind)
    rows += confirmed("elsewhere", [0.7, 0.8], train_seconds=6.0, hardware_key="gpu")
    table = analysis.score_against_cost(frame(tmp_path, rows))
    found = costs(table)
    assert (found["none"], found["dropout"]) == (1.0, 1.5)
    assert math.isnan(found["elsewhere"])
    assert not table.set_index("regularizer").loc["elsewhere", "is_on_front"]
    assert any("elsewhere" in note and "not known" in note for note in analysis.notes_of(table))
    assert set(table.loc[table["cost"].notna(), "cost_from"]) == {"ranked trials"}


def test_a_task_that_was_not_timed_has_the_steps_of_one_with_the_same_network(tmp_path):
    lenet, wider = ({"architecture": "lenet", "num_parameters": number} for number in (100, 200))
    times = {"none": 4.0, "a": 40.0, "b": 40.0}  # of ranked trials, beside other work
    rows = [
        row
        for task, network in (("timed", lenet), ("too", lenet), ("untimed", lenet), ("wider", wider), ("own", {}))
        for name, seconds in times.items()
        for row in confirmed(name, [0.5, 0.6], task, train_seconds=seconds, hardware_key="cpu", **network)
    ]
    rows += [timed("a", 1.5, task="timed"), timed("b", 1.2, task="timed"), timed("b", 7.0, task="too")]
    table = analysis.score_against_cost(frame(tmp_path, rows))
    found = {task: of_task.set_index("regularizer") for task, of_task in table.groupby("task")}
    assert found["untimed"]["cost"].to_dict() == pytest.approx({"none": 1.0, "a": 1.5, "b": 1.2})
    assert set(found["untimed"]["cost_from"]) == {"timing trials of timed"}, "it has more contestants than the other"
    assert set(found["timed"]["cost_from"]) == {"timing trials"}
    for task in ("wider", "own"):
        assert found[task]["cost"].to_dict() == pytest.approx({"none": 1.0, "a": 10.0, "b": 10.0})
        assert set(found[task]["cost_from"]) == {"ranked trials"}
    assert set(timed_costs(table)["task"]) == {"timed", "too", "untimed"}


def test_lower_scores_are_better_where_the_metric_says_so(tmp_path):
    loss = {"metric": "loss", "higher": False}
    rows = confirmed("none", [0.5, 0.6], **loss) + confirmed("better", [0.3, 0.4], **loss)
    rows += [*confirmed("worse", [0.8, 0.9], **loss), timed("better", 1.5), timed("worse", 1.5)]
    table = analysis.score_against_cost(frame(tmp_path, rows)).set_index("regularizer")
    assert table["is_on_front"].to_dict() == {"none": True, "better": True, "worse": False}


def test_only_the_machine_with_the_most_contestants_counts(tmp_path):
    rows = confirmed("none", [0.5]) + confirmed("a", [0.6]) + confirmed("b", [0.7])
    rows += [timed("a", 1.2, "cpu"), timed("b", 1.3, "cpu"), timed("b", 9.0, "gpu", seed=1)]
    table = analysis.score_against_cost(frame(tmp_path, rows))
    assert costs(table) == pytest.approx({"none": 1.0, "a": 1.2, "b": 1.3})
    assert set(table["hardware_key"]) == {"cpu"}


def test_without_rows_that_can_be_ranked_the_table_is_empty(tmp_path):
    table = analysis.score_against_cost(frame(tmp_path, [timed("a", 1.2)]))
    assert len(table) == 0
    assert isinstance(table, pd.DataFrame)
