"""The theory's figures: each is drawn from rows of one's choice, and shows their numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from theory_results import EXCESS, load, over_epochs, trial

import analysis


def drawn(tmp_path, trials):
    return {name: figure for name, _, figure in analysis.plot_theory(*load(tmp_path, trials))}


def line(axis, label):
    return next(each for each in axis.lines if each.get_label() == label)


def points(axis, label):
    return list(zip(*(map(float, values) for values in line(axis, label).get_data()), strict=True))


def bowl(weights):
    """A landscape on a grid, measured before training, and two weights over the epochs."""
    axis = (-1.0, 0.0, 1.0)
    heights = {f"landscape/{x:g}/{y:g}": 10 * x**2 + y**2 for x, y in itertools.product(axis, axis)}
    ways = [{**EXCESS, "weight_1": u, "weight_2": v, "optimal_squared_norm": 8.0} for u, v in weights]
    return [ways[0] | heights, *ways[1:]]


def objectives(*values, minimum=0.5, **more):
    constants = {name: [value] * len(values) for name, value in {"minimum": minimum, **more}.items()}
    return over_epochs(objective=values, **constants)


def test_figure_1_shows_means_over_seeds_beside_the_minimum(tmp_path):
    made = [
        trial("structured-fig1", "dropblock_sample", 0.5, objectives(*values, stochastic_objective=7.0), seed)
        for seed, values in enumerate([(8.0, 4.0), (6.0, 2.0)])
    ]
    top, bottom = drawn(tmp_path, made)["structured-fig1"].axes
    assert points(bottom, "DropBlock deterministic") == [(0.0, 7.0), (10.0, 3.0)]
    assert points(top, "DropBlock stochastic") == [(0.0, 7.0), (10.0, 7.0)]
    assert line(bottom, "global minimum").get_ydata() == [0.5, 0.5]


def test_figure_1_shows_the_ends_and_the_middle_of_a_sweep(tmp_path):
    rates = [0.1, 0.2, 0.3, 0.4, 0.5]
    made = [
        trial("structured-fig1", "dropblock_sample", rate, objectives(1.0, rate, stochastic_objective=1.0))
        for rate in rates
    ]
    axes = drawn(tmp_path, made)["structured-fig1"].axes
    ends = [points(axis, "DropBlock deterministic")[-1][1] for axis in axes[3:]]
    assert ends == [0.1, 0.3, 0.5]


def test_figure_2_has_a_column_for_each_design(tmp_path):
    designs = ("structured-fig2", "structured-fig2-correlated", "structured-fig2-orthogonal")
    made = []
    for place, (design, name) in enumerate(itertools.product(designs, ("dropconnect", "dropout"))):
        laws = {"dropconnect_objective": [3.0, 3.0], "dropout_objective": [4.0, 4.0]}
        made.append(trial(design, name, 0.5, over_epochs(stochastic_objective=[9.0, float(place)], **laws)))
    axes = drawn(tmp_path, made)["structured-fig2"].axes
    titles = [axis.get_title(loc="left") for axis in axes[:3]]
    assert titles == ["gaussian, as in the paper", "correlated", "orthogonal"]
    ends = [(points(axis, "DropConnect")[-1][1], points(axis, "dropout")[-1][1]) for axis in axes[3:]]
    assert ends == [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)]
    assert points(axes[0], "all of XX' (eq. 22)") == [(0.0, 4.0), (10.0, 4.0)]


@pytest.mark.parametrize("images", ["mnist", "cifar10"])
def test_figure_3_shows_measured_and_predicted_singular_values(tmp_path, images):
    spectrum = {"singular_value/1": 3.0, "singular_value/2": 1.0, "bound_singular_value/1": 2.5}
    readings = objectives(8.0, 2.0, **spectrum, **{"bound_singular_value/2": 1.5})
    left, right = drawn(tmp_path, [trial(f"structured-fig3-{images}", "dropblock_sample", 0.5, readings)])[
        f"structured-fig3-{images}"
    ].axes
    assert points(left, "objective") == [(0.0, 8.0), (10.0, 2.0)]
    assert points(right, "measured") == [(1.0, 3.0), (2.0, 1.0)]
    assert points(right, "predicted") == [(1.0, 2.5), (2.0, 1.5)]


def test_figure_4_names_what_each_setting_keeps(tmp_path):
    settings = [("dropblock_sample", 0.5, 0.5), ("dropblock", 0.5, 0.59), ("dropblock", 0.61, 0.5)]
    made = [
        trial("structured-fig4", name, rate, objectives(1.0, 1.0, stochastic_objective=10 * kept, kept_fraction=kept))
        for name, rate, kept in settings
    ]
    (axis,) = drawn(tmp_path, made)["structured-fig4"].axes
    assert points(axis, "overlapping, setting 0.50, keeps 0.59") == [
        (0.0, pytest.approx(5.9)),
        (10.0, pytest.approx(5.9)),
    ]
    assert points(axis, "fixed grid, setting 0.50, keeps 0.50") == [(0.0, 5.0), (10.0, 5.0)]


def test_figure_2_1_shows_the_objective_and_where_training_ends(tmp_path):
    made = [
        trial("thesis-fig2-1", "dropout", 0.375, bowl([(0.1, 0.2), end]), seed)
        for seed, end in enumerate([(0.9, -0.9), (-0.8, 0.8)])
    ]
    contour, surface = sorted(drawn(tmp_path, made)["thesis-fig2-1"].axes, key=lambda axis: axis.name == "3d")
    assert points(contour, "end of training") == [(0.9, -0.9), (-0.8, 0.8)]
    assert surface.get_title() == "objective, λ = 0.6"
    np.testing.assert_allclose(surface.get_zlim(), (0, 11), atol=0.5)  # 10 + 1 in the corners


def test_figure_2_2_shows_the_way_from_start_to_end(tmp_path):
    way = [(0.1, 0.2), (0.5, 0.6), (0.9, 1.1)]
    (axis,) = drawn(tmp_path, [trial("thesis-fig2-2", "dropout", 0.5, bowl(way))])["thesis-fig2-2"].axes
    trajectory, start, optima = axis.lines
    assert list(zip(*trajectory.get_data(), strict=True)) == way
    assert list(zip(*start.get_data(), strict=True)) == way[:1]
    assert {abs(float(value)) for value in np.ravel(optima.get_data())} == {2.0}  # 8 = 2^2 + 2^2


def equalizing(width, rate, *variances):
    readings = over_epochs(importance_variance=variances, minimum=[0.5] * len(variances))
    return trial(f"thesis-fig2-3-width-{width}", "dropout", rate, readings)


def test_figure_2_3_shows_the_variance_of_each_lambda(tmp_path):
    made = [equalizing(width, rate, 4.0, width * rate) for width in (20, 80) for rate in (0.25, 0.5)]
    axes = drawn(tmp_path, made)["thesis-fig2-3"].axes
    assert [axis.get_title(loc="left") for axis in axes][:3] == [
        "r = 20, λ = 0.33",
        "r = 20, λ = 1",
        "r = 20, variance",
    ]
    assert points(axes[2], "λ = 1") == [(0.0, 4.0), (10.0, 10.0)]
    assert points(axes[5], "λ = 0.33") == [(0.0, 4.0), (10.0, 20.0)]


def test_figure_2_3_is_drawn_while_rates_of_one_width_are_missing(tmp_path):
    made = [equalizing(20, rate, 4.0, rate) for rate in (0.25, 0.5)] + [equalizing(80, 0.5, 4.0, 2.0)]
    axes = drawn(tmp_path, made)["thesis-fig2-3"].axes
    missing = axes[3]
    assert missing.get_title(loc="left") == "r = 80, λ = 0.33"
    assert [text.get_text() for text in missing.texts] == ["no readings"]
    assert [each.get_label() for each in axes[5].lines] == ["λ = 1"]
    assert points(axes[0], "dropout") == [(0.0, 1.0), (10.0, 1.0)]


def test_figure_3_2_has_a_line_for_each_singular_value(tmp_path):
    made = [
        trial(
            "thesis-fig3-2", "dropout", rate, [{**EXCESS, "singular_value/1": 2 - rate, "singular_value/2": 1 - rate}]
        )
        for rate in (0.0, 0.5)
    ]
    (axis,) = drawn(tmp_path, made)["thesis-fig3-2"].axes
    assert [each.get_ydata().tolist() for each in axis.lines] == [[2.0, 1.5], [1.0, 0.5]]


def test_figure_3_3_shows_the_gap_of_each_order_and_in_total(tmp_path):
    gaps = over_epochs(equalization_gap=[9.0, 3.0], equalization_gap_1=[4.0, 1.0], equalization_gap_2=[8.0, 2.0])
    trials, curves = load(tmp_path, [trial("thesis-fig3-3", "dropout", 0.3, gaps)])
    ((name, title, figure),) = analysis.plot_theory(trials, curves)
    (axis,) = figure.axes
    assert name == "thesis-fig3-3"  # of all figures only that whose task was run
    assert title.endswith("(scale paper, 1 run)")
    assert points(axis, "total") == [(0.0, 9.0), (10.0, 3.0)]
    assert points(axis, "order 2") == [(0.0, 8.0), (10.0, 2.0)]


@pytest.mark.slow
def test_a_figure_whose_curves_are_missing_is_left_out(tmp_path):
    trials, curves = load(tmp_path, [trial("thesis-fig3-3", "dropout", 0.3, over_epochs(equalization_gap=[9.0]))])
    assert [name for name, _, _ in analysis.plot_theory(trials, curves)] == ["thesis-fig3-3"]
    assert analysis.plot_theory(trials, curves.iloc[:0]) == []
    assert analysis.plot_theory(trials, curves[curves["metric"] != "equalization_gap"]) == []
