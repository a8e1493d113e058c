"""Figures of the papers on regularizers: they appear where their rows are, and show the numbers of the rows."""

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, row

import analysis
from analysis.figures.sweeps import plot_sweep
from analysis.papers.localdrop.sweeps import plot_paper_sweeps
from analysis.tables.sweeps import sweeps_of


def points(trial, split, metric, values):
    return [
        {"trial_id": trial["trial_id"], "epoch": epoch, "split": split, "metric": metric, "value": value}
        for epoch, value in values.items()
    ]


def drawn(folder, rows, curve=()):
    curves = pd.DataFrame(curve, columns=["trial_id", "epoch", "split", "metric", "value"])
    return {name: figure for name, _, figure in analysis.plot_paper_figures(frame(folder, rows), curves)}


def line_of(axis, label):
    return next(line for line in axis.lines if line.get_label() == label)


def test_nothing_is_drawn_of_what_was_not_run(tmp_path):
    assert drawn(tmp_path, confirmed("none", [0.5])) == {}


def test_the_layers_show_the_means_over_seeds_of_what_was_logged(tmp_path):
    rows = confirmed("localdrop", [0.5, 0.6])
    logged = [
        p for place, each in enumerate(rows) for layer in ("conv1", "dense1")
        for p in points(each, "regularizer", f"localdrop.threshold/{layer}", {2: 1.0 + place, 4: 3.0 + place})
        + points(each, "regularizer", f"localdrop.next_singular_value/{layer}", {2: 0.5, 4: 0.25})
        + points(each, "regularizer", f"localdrop.num_zeroed/{layer}", {2: 10.0, 4: 20.0})
        + points(each, "regularizer", f"localdrop.drop_rate/{layer}", {1: 0.0, 2: 0.1, 3: 0.2, 4: 0.3})
    ]  # fmt: skip
    figure = drawn(tmp_path, rows, logged)["layers-digits-localdrop-smoke"]
    threshold, zeroed, rates = figure.axes
    assert threshold.lines[0].get_ydata().tolist() == [1.5, 3.5]
    assert threshold.lines[2].get_linestyle() == "--"
    assert threshold.lines[2].get_ydata().tolist() == [0.5, 0.25]
    assert zeroed.lines[0].get_ydata().tolist() == [10.0, 20.0]
    assert rates.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["conv1", "dense1"]


def test_layers_of_a_winner_that_never_shrank_are_not_drawn(tmp_path):
    default, winner = (row("digits", "localdrop", role, test=0.5) for role in ("default", "confirm"))
    logged = points(default, "regularizer", "localdrop.num_zeroed/conv1", {2: 10.0, 4: 20.0})
    assert list(drawn(tmp_path / "default", [default], logged)) == ["layers-digits-localdrop-smoke"]
    assert drawn(tmp_path / "both", [default, winner], logged) == {}


def test_layers_that_logged_nothing_are_refused(tmp_path):
    trials = frame(tmp_path, confirmed("localdrop", [0.5]))
    with pytest.raises(ValueError, match="localdrop logged nothing about its layers on 'digits'"):
        analysis.plot_localdrop(trials, analysis.load_curves(tmp_path), "digits")


def test_widths_stand_at_their_places_with_one_line_for_each_contestant(tmp_path):
    rows = [each for task, error in (("cifar10-zhai-width-200", 16.0), ("cifar10-zhai", 18.0))
            for name, more in (("none", 0.0), ("localdrop", -3.0))
            for each in confirmed(name, [1 - (error + more + s) / 100 for s in (-1, 1)], task)]  # fmt: skip
    (axis,) = drawn(tmp_path, rows)["localdrop-fig1a"].axes
    lines = {container.get_label(): container.lines[0] for container in axis.containers}
    assert lines["none"].get_xdata().tolist() == [200, 2048]
    assert lines["none"].get_ydata() == pytest.approx([16.0, 18.0])
    assert lines["localdrop"].get_ydata() == pytest.approx([13.0, 15.0])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["200", "2048"]


def test_error_over_epochs_and_the_part_that_is_claimed_to_be_stable(tmp_path):
    rows = confirmed("localdrop", [0.8, 0.8], "cifar10-zhai", scale="paper")
    curve = [p for each in rows for p in points(each, "test", "accuracy", {e: 0.8 - 0.1 / e for e in range(1, 81)})]
    (axis,) = drawn(tmp_path, rows, curve)["localdrop-fig1bc"].axes
    assert line_of(axis, "localdrop").get_ydata()[-1] == pytest.approx(20.125)
    assert axis.get_title(loc="left") == "CIFAR-10 (figure 1b), scale paper"


def test_the_bound_and_the_error_have_an_axis_each(tmp_path):
    rows = confirmed("none+rademacher_probe", [0.5, 0.5], "cifar10-fcn")
    curve = [p for each in rows for p in points(each, "test", "accuracy", {1: 0.25, 2: 0.5})
             + points(each, "regularizer", "rademacher_probe.log10_bound", {1: 9.0, 2: 8.0})]  # fmt: skip
    left, right = drawn(tmp_path, rows, curve)["localdrop-fig2"].axes
    assert left.lines[0].get_ydata().tolist() == [9.0, 8.0]
    assert right.lines[0].get_ydata().tolist() == [75.0, 50.0]


def test_training_accuracy_at_the_end_stands_beside_the_test_curve(tmp_path):
    rows = [each for name in ("none", "block_feature_map_distortion")
            for each in confirmed(name, [0.7], "cifar100-resnet56", train_value=0.9, epochs_run=3)]  # fmt: skip
    curve = [p for each in rows for p in points(each, "test", "accuracy", {1: 0.5, 2: 0.6, 3: 0.7})]
    (axis,) = drawn(tmp_path, rows, curve)["distortion-fig1"].axes
    assert line_of(axis, "none, test").get_ydata() == pytest.approx([50.0, 60.0, 70.0])
    assert line_of(axis, "none, train").get_ydata() == pytest.approx([90.0])


def test_training_accuracy_over_epochs_is_dotted(tmp_path):
    rows = confirmed("none", [0.7], "cifar100-resnet56", train_value=0.9, epochs_run=2)
    curve = [p for each in rows for split, last in (("test", 0.7), ("train", 0.9))
             for p in points(each, split, "accuracy", {1: 0.5, 2: last})]  # fmt: skip
    (axis,) = drawn(tmp_path, rows, curve)["distortion-fig1"].axes
    train, test = (line_of(axis, f"none, {split}") for split in ("train", "test"))
    assert train.get_ydata() == pytest.approx([50.0, 90.0])
    assert test.get_linestyle() == "-"
    assert train.is_dashed()


def test_sweeps_of_distortion_show_accuracy_and_gap(tmp_path):
    def at(regularizer, seed, accuracy, hp, mode="official"):
        hp = {**hp, "mode": mode} if regularizer != "dropblock" else hp
        return row("cifar100-resnet56", regularizer, "default", seed, accuracy, hp=hp, train_value=0.9, scale="paper")

    rows = [at("block_feature_map_distortion", s, 0.70 + r + s / 100, {"distortion_rate": r, "step_size": 5.0})
            for r in (0.01, 0.05) for s in (0, 1)]  # fmt: skip
    rows += [at("block_feature_map_distortion", s, 0.6, {"distortion_rate": 0.05, "step_size": 30.0}) for s in (0, 1)]
    rows += [at("dropblock", s, 0.69 + r, {"drop_rate": r}) for r in (0.01, 0.05) for s in (0, 1)]
    rows += [at("block_feature_map_distortion", s, 0.5, {"distortion_rate": 0.05, "step_size": g}, "paper")
             for g in (5.0, 30.0) for s in (0, 1)]  # fmt: skip
    figures = drawn(tmp_path, rows)
    figure = figures["distortion-fig2-official"]
    by_method, by_rate, by_step = figure.axes[:3]
    ours, theirs = (container.lines[0] for container in by_method.containers)
    assert ours.get_ydata() == pytest.approx([71.5, 75.5])
    assert theirs.get_ydata() == pytest.approx([70.0, 74.0])
    assert by_rate.containers[0].lines[0].get_xdata().tolist() == [0.01, 0.05]
    assert by_step.containers[0].lines[0].get_ydata() == pytest.approx([75.5, 60.0])
    gaps = [axis for axis in figure.axes if axis.get_ylabel().startswith("training less")]
    assert gaps[0].containers[0].lines[0].get_ydata() == pytest.approx([18.5, 14.5])
    printed = {axis.get_title(loc="left"): axis for axis in figures["distortion-fig2-paper"].axes}
    assert printed["(c) distortion, by step length"].containers[0].lines[0].get_ydata() == pytest.approx([50.0, 50.0])


@pytest.mark.slow
def test_a_papers_sweep_is_laid_out_as_in_the_paper_beside_what_it_reports(tmp_path):
    rows = [
        row("cifar10-zhai", "localdrop", "default", seed, 1 - error / 100,
            hp={"lam": 0.1, "m": m, "h_dense_fraction": h / 2048, "h_conv": 2})
        for (h, m), error in {(2000, 10): 13.0, (2048, 10): 14.0, (0, 1): 15.0}.items() for seed in (0, 1)
    ]  # fmt: skip
    figures = {
        name: figure for name, _, figure in plot_paper_sweeps(analysis.compare_with_papers(frame(tmp_path, rows)))
    }
    assert set(figures) == {"localdrop-table3", "localdrop-table4"}  # the point (2000, 10) stands in both
    reported, ours = figures["localdrop-table4"].axes[:2]
    assert [label.get_text() for label in ours.get_yticklabels()] == ["m=1", "m=10", "m=20", "m=30"]
    assert len(reported.texts) == 40
    assert sorted(text.get_text() for text in ours.texts) == ["13.00", "14.00", "15.00"]


def test_every_sweep_has_a_table_and_a_picture_with_its_best_place_framed(tmp_path):
    rows = [row(regularizer="dropout", role="default", seed=s, test=0.5 + r * k, hp={"drop_rate": r, "kind": k})
            for r in (0.1, 0.2, 0.3) for k in (1, -1) for s in (0, 1)]  # fmt: skip
    rows += confirmed("none", [0.5, 0.6])
    (sweep,) = sweeps_of(frame(tmp_path, rows))
    assert (sweep.regularizer, sweep.names) == ("dropout", ("hp.kind", "hp.drop_rate"))
    laid = sweep.laid_out()
    assert laid.index.tolist() == ["kind=-1", "kind=1"]
    np.testing.assert_allclose(laid.to_numpy(), [[40, 30, 20], [60, 70, 80]])
    frames = [patch for patch in plot_sweep(sweep).axes[0].patches if patch.get_linewidth() == 2.5]
    assert [patch.get_xy() for patch in frames] == [(2, 1)]  # type: ignore[attr-defined]  # of this kind of plot


def test_one_hyperparameter_makes_a_line(tmp_path):
    rows = [row(regularizer="dropout", role="default", seed=s, test=0.5 + r, hp={"drop_rate": r})
            for r in (0.1, 0.2) for s in (0, 1)]  # fmt: skip
    (sweep,) = sweeps_of(frame(tmp_path, rows))
    line = plot_sweep(sweep).axes[0].containers[0].lines[0]  # type: ignore[attr-defined]  # of this kind of plot
    assert line.get_xdata().tolist() == [0.1, 0.2]
    assert line.get_ydata() == pytest.approx([60.0, 70.0])


def test_the_scale_of_training_curves_is_told_whoever_ran(tmp_path):
    rows = confirmed("block_feature_map_distortion", [0.7], "cifar100-resnet56", scale="short")
    curve = [p for each in rows for p in points(each, "test", "accuracy", {1: 0.5, 2: 0.7})]
    trials = frame(tmp_path, rows)
    columns = ["trial_id", "epoch", "split", "metric", "value"]
    titles = [title for _, title, _ in analysis.plot_paper_figures(trials, pd.DataFrame(curve, columns=columns))]
    assert titles == ["Tang et al. 2020, figure 1: training on CIFAR-100 (scale short)"]
