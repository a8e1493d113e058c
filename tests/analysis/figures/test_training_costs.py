"""Figures of the costs of training: what is drawn for censored trials, and on the front."""

import math

import pandas as pd
import pytest
from result_rows import confirmed, frame, timed

import analysis


def times(**columns):
    """A `time_to_target` of one task: `fast` is always there, `half` twice of three times, `never` not at all."""
    table = {
        "scale": "smoke",
        "task": "digits",
        "regularizer": ["fast", "half", "never"],
        "target": 0.9,
        "epochs": [3.0, 8.0, math.nan],
        "epochs_low": [2.0, 4.0, math.nan],
        "epochs_high": [5.0, math.nan, math.nan],
        "num_reached": [3, 2, 0],
        "num_trials": 3,
        "epochs_planned": 20.0,
        "metric": "accuracy",
        "higher_is_better": True,
    }
    return pd.DataFrame(table | columns)


@pytest.mark.parametrize("planned", [20.0, math.nan], ids=["planned", "unknown"])
def test_a_median_is_a_point_and_censored_trials_are_counted_at_the_end(planned):
    (axis,) = analysis.plot_time_to_target(times(epochs_planned=planned)).axes
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() != ">"]
    assert points[:2] == [(3.0, 0), (8.0, 1)]
    assert [line.get_ydata()[0] for line in axis.lines if line.get_marker() == ">"] == [1, 2]
    texts = [text.get_text() for text in axis.texts]
    assert [text for text in texts if " of " in text] == ["2 of 3", "0 of 3"]
    assert "at least 0.9" in axis.get_title(loc="left")


def test_the_front_is_named_and_every_contestant_is_in_the_legend(tmp_path):
    rows = confirmed("none", [0.5, 0.6]) + confirmed("good", [0.8, 0.9]) + confirmed("dear", [0.5, 0.55])
    rows += [timed("good", 1.2), timed("dear", 2.0)]
    figure = analysis.plot_score_against_cost(analysis.score_against_cost(frame(tmp_path, rows)))
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["good", "none"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dear", "good", "none"]


def test_nothing_to_draw_is_said_in_a_sentence(tmp_path):
    trials = frame(tmp_path, confirmed("none", [0.5]))
    with pytest.raises(ValueError, match="time_to_target is empty"):
        analysis.plot_time_to_target(analysis.time_to_target(trials, analysis.load_curves(tmp_path)))
    with pytest.raises(ValueError, match="no contestant has a score and a cost"):
        analysis.plot_score_against_cost(analysis.score_against_cost(trials).iloc[:0])
