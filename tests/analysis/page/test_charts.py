"""The data of the charts."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.page.charts import MOST_POINTS, chart_of, curves_chart, numbers
from analysis.shown.drawing import Drawing
from analysis.tables.over_tasks import STATISTICS

STEPS = Drawing(kind="lines", value="v", across="x", is_step=True)


def lines(values, drawing=STEPS):
    table = pd.DataFrame({"scale": "smoke", "regularizer": "none", "x": range(len(values)), "v": values})
    ((line,),) = [panel["series"] for panel in chart_of(table, drawing)["panels"]]
    return np.array(line["x"], dtype=float), np.array(line["y"], dtype=float)


def test_numbers_keep_five_significant_digits_and_say_none_where_there_is_no_number():
    values = [0.0, -1.23456789e-7, 9.87654321, 123456.789, 1e300, float("nan"), float("-inf")]
    shown = numbers(values)
    assert shown[5:] == [None, None]
    assert np.allclose(shown[:5], values[:5], rtol=5e-5, atol=0)
    assert all(len(repr(each)) <= 12 for each in shown[:4])
    json.dumps(shown, allow_nan=False)


def test_the_kept_points_of_a_step_function_give_all_of_its_values():
    values = np.maximum.accumulate(np.random.default_rng(0).uniform(size=200).round(3))
    across, kept = lines(values)
    assert len(across) < 30
    places = np.searchsorted(across, np.arange(200), side="right") - 1
    assert np.allclose(kept[places], values)


def test_a_long_line_keeps_its_ends_and_a_hundred_points():
    across, _ = lines(np.arange(1000.0), Drawing(kind="lines", value="v", across="x"))
    assert (len(across), across[0], across[-1]) == (MOST_POINTS, 0, 999)


def test_of_many_lines_the_best_and_the_baseline_are_shown_at_first():
    names = [*"abcdefghijkl", "none"]
    points = pd.DataFrame(
        {"regularizer": names, "split": "test", "metric": "accuracy", "epoch": 1, "mean": 0.5, "std": 0.1}
    )
    chart = curves_chart({("task", "smoke"): points}, names[::-1])
    assert chart["initial"] == [*"lkjihgf", "none"]


@pytest.mark.parametrize("name", [name for name in STATISTICS if STATISTICS[name].drawing])
def test_what_is_drawn_of_a_statistic_are_columns_of_its_table(name):
    drawing = STATISTICS[name].drawing
    table = STATISTICS[name].make
    documented = (table.__doc__ or "").split("Args:")[0]
    for column in filter(None, (drawing.value, drawing.across, drawing.low, drawing.high, drawing.front)):
        assert f"`{column}`" in documented


def test_points_without_a_cost_are_left_out_because_the_drawing_says_so():
    table = pd.DataFrame({
        "scale": "smoke", "task": "t", "regularizer": ["a", "b"], "score": [0.5, 0.6], "cost": [1.0, np.nan],
        "interval_low": 0.4, "interval_high": 0.7, "is_on_front": [True, False],
    })  # fmt: skip
    (panel,) = chart_of(table, STATISTICS["score-cost"].drawing)["panels"]
    assert panel["rows"]["name"] == ["a"]


@pytest.mark.parametrize(("low", "high"), [(0.45, 0.65), (0.0, 1.0)], ids=["whole", "cut"])
def test_intervals_are_whole_unless_they_would_press_the_values_together(low, high):
    table = pd.DataFrame({
        "scale": "smoke", "task": "t", "regularizer": ["a", "b"], "score": [0.5, 0.6], "cost": [1.0, 2.0],
        "interval_low": [low, 0.58], "interval_high": [0.55, high], "is_on_front": [True, True],
    })  # fmt: skip
    (panel,) = chart_of(table, STATISTICS["score-cost"].drawing)["panels"]
    bottom, top = panel["range"]
    assert bottom < max(low, 0.4)
    assert top > min(high, 0.7)
    assert top - bottom < 4 * (0.6 - 0.5)


def test_without_a_row_that_has_a_place_there_is_no_chart():
    table = pd.DataFrame({
        "scale": "smoke", "task": "t", "regularizer": ["a"], "score": [0.5], "cost": [np.nan],
        "interval_low": 0.4, "interval_high": 0.7, "is_on_front": [False],
    })  # fmt: skip
    assert chart_of(table, STATISTICS["score-cost"].drawing) is None
    assert chart_of(table, None) is None
