import io
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, one_file, row, timed

import analysis
from analysis.figures.canvas import styles_by_regularizer
from analysis.figures.critical_difference import plot_critical_difference
from analysis.figures.learning_curves import curve_means
from analysis.tables.overall import Friedman

NINE = [
    "none",
    "weight_decay",
    "early_stopping",
    "dropout",
    "dropblock",
    "label_smoothing",
    "cutout",
    "max_norm",
    "localdrop",
]


def curves_of(trials, values=lambda epoch, place: 0.5 + 0.01 * epoch + 0.001 * place):
    points = [
        {"trial_id": row.trial_id, "epoch": epoch, "split": split, "metric": "accuracy", "value": values(epoch, place)}
        for place, row in enumerate(trials.itertuples()) for epoch in range(4) for split in ("train", "test")
    ]  # fmt: skip
    return pd.DataFrame(points)


def boxes_overlap(figure):
    """Whether the legend stands on any of the axes."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    legend = figure.legends[0].get_window_extent(renderer)
    return any(axis.get_tightbbox(renderer).overlaps(legend) for axis in figure.axes)


def names_of_rows(axis):
    """The names to the left of the rows of an axis, from top to bottom."""
    beside = [text for text in axis.texts if text.get_position()[0] < 0]
    return [text.get_text() for text in sorted(beside, key=lambda text: text.get_position()[1])]


def test_each_regularizer_has_one_look_that_no_other_has():
    looks = styles_by_regularizer(f"contestant{number}" for number in range(30))
    assert len({(look.colour, str(look.dash)) for look in looks.values()}) == 31  # lines
    assert len({(look.colour, look.marker) for look in looks.values()}) == 31  # points


def test_the_look_depends_on_the_set_of_names_and_not_on_their_order():
    assert styles_by_regularizer(NINE) == styles_by_regularizer(reversed(NINE))


def test_learning_curves_show_the_mean_over_seeds_with_a_legend_beside_the_axes(tmp_path):
    rows = [each for name in NINE for each in confirmed(name, [0.5, 0.6])]
    trials = frame(tmp_path, rows)
    figure = analysis.plot_learning_curves(trials, curves_of(trials), "digits")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["digits: train", "digits: test"]
    assert sorted(text.get_text() for text in figure.legends[0].get_texts()) == sorted(NINE)
    assert not boxes_overlap(figure)
    first = next(line for line in figure.axes[0].lines if line.get_label() == "none")
    places = [place for place, name in enumerate(trials["regularizer"]) if name == "none"]
    np.testing.assert_allclose(first.get_ydata(), [0.5 + 0.01 * e + 0.001 * np.mean(places) for e in range(4)])


def test_figures_of_many_contestants_with_long_names_are_not_cut(tmp_path):
    names = ["none", *(f"block_feature_map_distortion+regularizer_{number}" for number in range(40))]
    rows = [each for place, name in enumerate(names) for each in confirmed(name, [0.5 + place / 100, 0.6])]
    rows += [timed(name, 9 - place / 10) for place, name in enumerate(names)]
    trials = frame(tmp_path, rows)
    curves = analysis.plot_learning_curves(trials, curves_of(trials), "digits")
    costs = analysis.plot_score_against_cost(analysis.score_against_cost(trials))
    assert {text.get_text() for text in curves.legends[0].get_texts()} == {"none", *names[-8:]}
    assert "not on the front" in {text.get_text() for text in costs.legends[0].get_texts()}
    ranking, overhead = (
        analysis.plot_ranking(analysis.ranking_table(trials)),
        analysis.plot_overhead(analysis.timing_table(trials)),
    )
    for figure in (curves, costs, ranking, overhead):
        figure.canvas.draw()
        boxes = [each.get_tightbbox() for each in (*figure.axes, *figure.legends)]
        assert min(box.x0 for box in boxes) >= 0
        assert max(box.x1 for box in boxes) <= figure.bbox.width


def test_learning_curves_of_a_task_without_any_are_refused(tmp_path):
    trials = frame(tmp_path, confirmed("none", [0.5]))
    with pytest.raises(ValueError, match="no learning curves of 'mlp'"):
        analysis.plot_learning_curves(trials, curves_of(trials), "mlp")


def test_learning_curves_over_many_decades_have_a_logarithmic_axis(tmp_path):
    trials = frame(tmp_path, confirmed("none", [0.5], higher=False))
    curves = curves_of(trials, lambda epoch, _: 10.0**-epoch)
    assert analysis.plot_learning_curves(trials, curves, "digits").axes[0].get_yscale() == "log"
    assert analysis.plot_learning_curves(trials, curves_of(trials), "digits").axes[0].get_yscale() == "linear"


def test_the_ranking_has_one_panel_per_task_with_the_best_on_top(tmp_path):
    rows = confirmed("none", [0.5, 0.6]) + confirmed("good", [0.7, 0.8]) + confirmed("broken", [None])
    rows += confirmed("none", [0.5, 0.6], "mlp")
    figure = analysis.plot_ranking(analysis.ranking_table(frame(tmp_path, rows)))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["digits (smoke scale)", "mlp (smoke scale)"]
    assert names_of_rows(figure.axes[0]) == ["good", "none", "broken *"]
    assert figure.axes[0].yaxis_inverted()
    assert "higher is better" in figure.axes[0].get_xlabel()


def test_overhead_has_one_panel_per_machine_and_one_bar_per_regularizer(tmp_path):
    rows = [timed("a", 1.1), timed("b", 1.4), timed("a", 2.0, "gpu", seed=1)]
    figure = analysis.plot_overhead(analysis.timing_table(frame(tmp_path, rows)))
    assert [len(axis.patches) for axis in figure.axes] == [2, 1]
    assert [round(patch.get_width(), 6) for patch in figure.axes[0].patches] == [1.1, 1.4]  # type: ignore[attr-defined]  # of this kind of plot


def test_nothing_to_draw_is_said_in_a_sentence(tmp_path):
    trials = frame(tmp_path, [row(role="tune", tune_index=0, validation=0.5)])
    with pytest.raises(ValueError, match="no task to rank"):
        analysis.plot_ranking(analysis.ranking_table(trials))
    with pytest.raises(ValueError, match="no comparable timing trials"):
        analysis.plot_overhead(analysis.timing_table(trials))


def test_figures_are_drawn_without_a_screen_and_leave_no_open_windows(tmp_path):
    import matplotlib.pyplot as plt

    figure = analysis.plot_ranking(analysis.ranking_table(frame(tmp_path, confirmed("none", [0.5, 0.6]))))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def curve_of(trial, values):
    return [
        {"trial_id": trial["trial_id"], "epoch": epoch, "split": "test", "metric": "accuracy", "value": value}
        for epoch, value in enumerate(values)
    ]


def test_a_seed_that_failed_on_the_way_stays_in_the_mean_as_the_worst_value(tmp_path):
    good, bad, early = (
        row(seed=0, test=0.8),
        row(seed=1, status="diverged", metric="accuracy"),
        row(seed=2, test=0.5, status="stopped_early"),
    )
    points = [*curve_of(good, [0.5, 0.6, 0.8]), *curve_of(bad, [0.5, 0.3]), *curve_of(early, [0.5, 0.4])]
    means = curve_means(frame(tmp_path, [good, bad, early]), pd.DataFrame(points), "digits")
    assert means["mean"].tolist() == pytest.approx([0.5, (0.6 + 0.3 + 0.4) / 3, (0.8 + 0.0 + 0.4) / 3])
    assert means["num_seeds"].tolist() == [3, 3, 3]


CROWD = {f"contestant{place:02}": [0.9 + 0.002 * place + 0.001 * seed for seed in range(5)] for place in range(16)}


def crowd(tmp_path, **others):
    rows = [each for name, values in (CROWD | others).items() for each in confirmed(name, values)]
    return analysis.ranking_table(frame(tmp_path, [*rows, row(regularizer="idle", role="confirm", status="skipped")]))


def test_an_outlying_mean_is_an_arrow_at_the_edge_and_does_not_press_the_others_together(tmp_path):
    table = crowd(tmp_path, none=[0.915, 0.917, 0.916], broken=[0.1, 0.9, 0.5])
    (axis,) = analysis.plot_ranking(table).axes
    low, high = axis.get_xlim()
    assert 0.89 < low < 0.9
    assert 0.93 < high < 0.95
    (arrow,) = [line for line in axis.lines if line.get_marker() == "<"]
    assert arrow.get_xdata()[0] == low
    assert "0.5" in [text.get_text() for text in axis.texts]


def test_many_contestants_without_a_value_are_counted_and_few_are_drawn(tmp_path):
    (axis,) = analysis.plot_ranking(crowd(tmp_path, none=[0.9, 0.91])).axes
    assert "idle" not in names_of_rows(axis)
    assert axis.get_xlabel().endswith("not drawn: 1 skipped")
    rows = [*confirmed("none", [0.9, 0.91]), row(regularizer="idle", role="confirm", status="skipped")]
    (axis,) = analysis.plot_ranking(analysis.ranking_table(frame(tmp_path / "few", rows))).axes
    assert "idle" in names_of_rows(axis)


def test_a_task_that_all_of_many_contestants_skip_is_drawn_and_does_not_end_the_report(tmp_path):
    rows = [each for name, values in (CROWD | {"none": [0.9, 0.91]}).items() for each in confirmed(name, values)]
    rows += [row("two", name, "default", status="skipped", reason="It needs a site.") for name in CROWD]
    table = analysis.ranking_table(one_file(tmp_path / "results", rows))
    (axis,) = analysis.plot_ranking(table[table["task"] == "two"]).axes
    assert set(CROWD) <= set(names_of_rows(axis))
    assert analysis.write_report(tmp_path / "results", out=tmp_path / "page")


def test_no_line_of_a_critical_difference_diagram_crosses_a_name():
    ranks = pd.Series({f"contestant{place}": 1.0 + place for place in range(9)})
    result = Friedman(mean_ranks=ranks, num_tasks=5, statistic=1.0, p_value=0.5, critical_difference=4.0)
    figure = plot_critical_difference(result)
    (axis,) = figure.axes
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    figure.draw(renderer)
    texts = [text.get_window_extent(renderer) for text in axis.texts]
    assert len(texts) == 10
    for one in texts:
        assert sum(one.overlaps(other) for other in texts) == 1
        for line in axis.lines:
            points = axis.transData.transform(line.get_xydata())
            inside = [one.x0 < x < one.x1 and one.y0 < y < one.y1 for first, last in pairwise(points)
                      for x, y in np.linspace(first, last, 200)]  # fmt: skip
            assert not any(inside)
