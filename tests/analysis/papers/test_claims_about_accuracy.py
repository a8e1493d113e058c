"""Claims about accuracies and times: verdicts derived by hand from made-up rows, noise and gaps among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from judged import judged as judged_by
from result_rows import confirmed, one_file, row, timed
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED

TABLE_1 = (
    "none", "weight_decay", "early_stopping", "dropout", "variational_dropout", "sparse_variational_dropout",
    "adaptive_dropout_rc", "localdrop_fc_only", "localdrop_no_dropout", "localdrop",
)  # fmt: skip
NOISE = np.array([-0.2, 0.1, 0.3, -0.1, -0.1])  # % points, by seed; its mean is 0
SEVERAL = NOISE[:3] + 0.1


def runs(method, error, task="cifar10-zhai", noise=NOISE, scale="paper", role="confirm", hp=None, **more):
    """One trial per entry of the noise, with that test error in %."""
    return [
        row(task, method, role, seed, 1 - (error + each) / 100, scale=scale, hp=hp, **more)
        for seed, each in enumerate(noise)
    ]


def judged(folder, rows, name, paper="localdrop", points=()):
    trials = one_file(folder, rows)
    curves = pd.DataFrame(points, columns=["trial_id", "epoch", "split", "metric", "value"])
    return judged_by(trials, curves, name, paper)


def table_1(errors, **more):
    """All ten methods, at 20 % unless said otherwise, each with a pattern over seeds of its own."""
    patterns = np.random.default_rng(0).permuted(np.tile(NOISE, (len(TABLE_1), 1)), axis=1)
    return [
        each
        for method, noise in zip(TABLE_1, patterns, strict=True)
        for each in runs(method, errors.get(method, 20.0), noise=noise, **more)
    ]


def test_best_of_a_column_holds_and_says_how_sure_that_is(tmp_path):
    claim = judged(tmp_path, table_1({"localdrop": 10.0, "dropout": 10.5}), "Table 1, CIFAR-10")
    assert claim["verdict"] == "holds"
    assert claim["value"] == pytest.approx(-0.5)
    assert claim["measured"].startswith("localdrop +0.50 points against dropout (p = ")
    assert "the closest of 9; significant for " in claim["measured"]
    assert claim["num_trials"] == 50


def test_a_rival_that_is_ahead_by_chance_contradicts_nothing(tmp_path):
    # Seeds 0 and 1 of the two are swapped, and the rival is 0.05 ahead on average: t = 0.05 / (0.27 / sqrt 5) or so.
    rows = [each for each in table_1({"localdrop": 10.0}) if each["regularizer"] not in ("dropout", "localdrop")]
    rows += runs("localdrop", 10.0, noise=NOISE) + runs("dropout", 9.95, noise=NOISE[[1, 0, 2, 3, 4]])
    claim = judged(tmp_path, rows, "Table 1, CIFAR-10")
    assert claim["verdict"] == UNDECIDED
    assert claim["value"] == pytest.approx(0.05)


def test_a_rival_that_is_significantly_better_contradicts_it(tmp_path):
    rows = [each for each in table_1({"localdrop": 10.0}) if each["regularizer"] not in ("dropout", "localdrop")]
    ahead = np.array([0.9, 1.0, 1.1, 1.0, 1.0])
    rows += runs("localdrop", 10.0) + runs("dropout", 10.0, noise=NOISE - ahead)
    p_value = 9 * stats.ttest_1samp(ahead, 0).pvalue  # Holm multiplies the smallest of nine by nine, and dropout's is
    assert p_value < 0.05
    claim = judged(tmp_path, rows, "Table 1, CIFAR-10")
    assert claim["verdict"] == "does not hold"
    assert claim["value"] == pytest.approx(1.0)


def test_holms_correction_counts_all_rivals_of_the_column(tmp_path):
    ahead = np.array([0.5, 1.0, 1.8, 0.2, 1.5])
    p_value = stats.ttest_1samp(ahead, 0).pvalue
    assert p_value < 0.05 < 9 * p_value  # significant alone, not as the worst of nine
    equal = [each for method in TABLE_1 if method not in ("dropout", "localdrop") for each in runs(method, 10.0)]
    pair = runs("localdrop", 10.0) + runs("dropout", 10.0, noise=NOISE - ahead)
    assert judged(tmp_path / "many", equal + pair, "Table 1, CIFAR-10")["verdict"] == UNDECIDED
    missing = judged(tmp_path / "one", pair, "Table 1, CIFAR-10")
    assert missing["verdict"] == "does not hold"  # a significant rival is enough, whoever else is missing


def test_best_of_a_part_of_the_column_is_not_best(tmp_path):
    rows = runs("localdrop", 10.0) + runs("none", 20.0) + confirmed("dropout", [None], "cifar10-zhai", scale="paper")
    claim = judged(tmp_path, rows, "Table 1, CIFAR-10")
    assert claim["verdict"] == "not comparable: no value of weight_decay, early_stopping, dropout (diverged) and 5 more"
    assert claim["value"] == pytest.approx(-10.0)


def test_a_single_seed_has_no_spread(tmp_path):
    claim = judged(tmp_path, table_1({"localdrop": 10.0}), "Table 1, CIFAR-10")
    assert claim["verdict"] == "holds"
    alone = [each for each in table_1({"localdrop": 10.0}) if each["seed"] == 0]
    assert judged(tmp_path / "alone", alone, "Table 1, CIFAR-10")["verdict"] == ONE_SEED


@pytest.mark.parametrize("scale", ["smoke", "short"])
def test_a_shortened_training_says_nothing_about_accuracies_but_shows_them(tmp_path, scale):
    claim = judged(tmp_path, table_1({"localdrop": 10.0}, scale=scale), "Table 1, CIFAR-10")
    assert claim["verdict"] == f"not comparable: scale {scale}"
    assert claim["value"] == pytest.approx(-10.0)
    assert claim["scale"] == scale


def test_confirmed_trials_are_compared_where_all_were_confirmed_else_the_default_ones(tmp_path):
    confirmed_rows = table_1({"localdrop": 10.0})
    default = table_1({"localdrop": 30.0}, role="default")
    assert judged(tmp_path / "both", confirmed_rows + default, "Table 1, CIFAR-10")["value"] == pytest.approx(-10.0)
    part = [each for each in confirmed_rows if each["regularizer"] != "dropout"]
    assert judged(tmp_path / "part", part + default, "Table 1, CIFAR-10")["value"] == pytest.approx(10.0)


def test_other_protocols_of_the_same_network_do_not_count(tmp_path):
    assert judged(tmp_path, table_1({}, task="cifar10-zhai-tang"), "Table 1, CIFAR-10")["verdict"] == NOT_RUN


def test_a_part_of_localdrop_lies_between(tmp_path):
    name = "Table 1, localdrop_fc_only, CIFAR-10"
    rows = runs("none", 18.0) + runs("localdrop", 12.0)
    assert judged(tmp_path / "a", rows + runs("localdrop_fc_only", 16.0), name)["verdict"] == "holds"
    above = judged(tmp_path / "b", rows + runs("localdrop_fc_only", 18.5, noise=NOISE * 1.1), name)
    assert above["verdict"] == "does not hold"  # worse than none by 0.5 with hardly any spread
    assert above["value"] == pytest.approx(0.5)


def point(error, lam=0.1, h=2000, m=10, noise=SEVERAL, **more):
    hp = {"lam": lam, "h_dense_fraction": h / 2048, "m": m, "h_conv": more.pop("h_conv", 2), "block_size": 7}
    return runs("localdrop", error, noise=noise, role="default", hp=hp, **more)


def test_the_best_lambda_is_judged_within_its_row_of_the_table(tmp_path):
    rows = [each for lam, error in ((0.01, 13), (0.03, 12.5), (0.1, 12), (0.3, 12.6), (1.0, 14))
            for each in point(error, lam)]  # fmt: skip
    rows += point(9.0, 0.01, h=500, m=30)
    claim = judged(tmp_path, rows, "Table 3, h=2000, m=10")
    assert (claim["verdict"], claim["value"], claim["num_trials"]) == ("holds", pytest.approx(-0.5), 15)
    other = judged(tmp_path / "again", rows, "Table 3, h=500, m=30")
    assert other["verdict"] == NOT_RUN  # one point of five compares with nothing


def test_means_over_h_are_compared_seed_by_seed(tmp_path):
    hs = (0, 200, 500, 700, 1000, 1200, 1500, 1700, 2000)
    rows = [each for place, h in enumerate(hs) for m, error in ((1, 14.0), (10, 12.0), (20, 13.0), (30, 13.5))
            for each in point(error + 0.1 * place, h=h, m=m)]  # fmt: skip
    worse = judged(tmp_path / "a", rows, "Table 4, m = 1")
    assert (worse["verdict"], worse["value"]) == ("holds", pytest.approx(-0.5))
    decline = judged(tmp_path / "b", rows, "Table 4, m > 10")
    assert (decline["verdict"], decline["value"]) == ("holds", pytest.approx(-0.5))
    assert "m=20 +0.50 points against m=30" in decline["measured"]


@pytest.mark.parametrize(
    ("errors", "h_conv", "verdict"),
    [
        ((13.11, 13.11, 13.11, 13.11), 3, "holds"),
        ((13.11, 13.11, 13.11, 14.11), 3, "does not hold"),
        ((13.11, 13.11, 13.11, 13.11), 2, "not comparable: conv kernels are still shrunk (h_conv 2 of 3)"),
    ],
    ids=["equal", "one differs", "kernels are shrunk"],
)
def test_with_the_second_stage_off_m_makes_no_difference(tmp_path, errors, h_conv, verdict):
    rows = [each for m, error in zip((1, 10, 20, 30), errors, strict=True)
            for each in point(error, h=2048, m=m, h_conv=h_conv)]  # fmt: skip
    assert judged(tmp_path, rows, "Table 4, h = 2048")["verdict"] == verdict


def test_equality_within_a_margin_needs_an_interval_as_narrow(tmp_path):
    def at(noise_of_dropout):
        rows = runs("dropout", 6.9, "cifar10-resnet50", noise_of_dropout, role="default", hp={"drop_rate": 0.1})
        hp = {"lam": 0.1, "m": 10, "h_conv": 2, "h_dense_fraction": 2000 / 2048, "block_size": 1}
        return rows + runs("localdrop", 6.9, "cifar10-resnet50", role="default", hp=hp)

    name = "Table 6, block 1, CIFAR-10"
    assert judged(tmp_path / "a", at(NOISE + 0.01), name)["verdict"] == "holds"
    assert judged(tmp_path / "b", at(NOISE[::-1]), name)["verdict"] == UNDECIDED
    assert judged(tmp_path / "c", at(NOISE + 0.5), name)["verdict"] == "does not hold"


def test_widths_are_judged_by_the_slope_of_each_seed(tmp_path):
    widths = {200: "-width-200", 400: "-width-400", 800: "-width-800", 1600: "-width-1600", 2048: ""}

    def line(method, slope):
        slopes = slope + np.array([-0.02, -0.01, 0.0, 0.01, 0.02]) * (1 + abs(slope))  # of the seeds
        return [each for width, suffix in widths.items()
                for each in runs(method, 16, f"cifar10-zhai{suffix}", slopes * np.log2(width / 200))]  # fmt: skip

    rows = line("none", 0.5) + line("adaptive_dropout_rc", -0.3) + line("localdrop", 0.2)
    table = {name: judged(tmp_path / name[-4:], rows, f"Figure 1a, {name}") for name in ("none", "RC", "LocalDrop")}
    assert [claim["verdict"] for claim in table.values()] == ["holds", "holds", "does not hold"]
    assert table["none"]["value"] == pytest.approx(-0.5)  # errors that grow by 0.5 are accuracies that fall by it
    assert table["LocalDrop"]["value"] == pytest.approx(0.2)
    lowest = judged(tmp_path / "lowest", rows, "Figure 1a, lowest")
    assert lowest["verdict"] == "does not hold"  # at width 2048 it is 1.68 above the other, seed for seed
    assert lowest["value"] == pytest.approx(0.5 * np.log2(2048 / 200))


def timings(*ratios, num_trials=5, scale="paper"):
    names = ("dropout", "adaptive_dropout_rc", "localdrop")
    return [timed(name, ratio + seed / 100, task="cifar10-zhai", seed=seed, scale=scale)
            for name, ratio in zip(names, ratios, strict=True) for seed in range(num_trials)]  # fmt: skip


@pytest.mark.parametrize("name", ["order", "over none"])
@pytest.mark.parametrize("ratios", [(1.1, 1.2, 1.3), (1.1, 1.5, 1.3)], ids=["in order", "out of order"])
def test_times_of_smaller_batches_prove_nothing(tmp_path, name, ratios):
    verdict = judged(tmp_path, timings(*ratios, scale="smoke"), f"Table 5, CIFAR-10, {name}")["verdict"]
    assert verdict == "not comparable: scale smoke"


@pytest.mark.parametrize("name", ["order", "over none"])
@pytest.mark.parametrize("ratios", [(1.1, 1.2, 1.3), (1.1, 1.5, 1.3)], ids=["in order", "out of order"])
def test_times_of_one_trial_prove_nothing(tmp_path, name, ratios):
    verdict = judged(tmp_path, timings(*ratios, num_trials=1), f"Table 5, CIFAR-10, {name}")["verdict"]
    assert verdict.startswith("not comparable: timed in one trial only: ")
    assert "localdrop" in verdict


def test_fewer_steps_of_the_same_kind_tell_what_a_step_costs(tmp_path):
    claim = judged(tmp_path, timings(1.1, 1.2, 1.3, scale="short"), "Table 5, CIFAR-10, order")
    assert (claim["verdict"], claim["scale"]) == ("holds", "short")


def test_times_are_judged_as_ratios(tmp_path):
    order, cost = "Table 5, CIFAR-10, order", "Table 5, CIFAR-10, over none"
    assert judged(tmp_path / "a", timings(1.1, 1.2, 1.3), order)["verdict"] == "holds"
    assert judged(tmp_path / "b", timings(1.1, 1.5, 1.3), order)["verdict"] == "does not hold"
    undecided = "too few trials: no significant order of the costs"
    assert judged(tmp_path / "c", timings(1.1, 1.305, 1.3), order)["verdict"] == undecided
    assert judged(tmp_path / "few", timings(1.1, 1.2, 1.3, num_trials=2), order)["verdict"] == undecided
    noise = [timed(name, 1 + place / 10_000, task="cifar10-zhai", seed=seed)
             for place, name in enumerate(("dropout", "adaptive_dropout_rc", "localdrop"), 1)
             for seed in range(5)]  # fmt: skip
    assert judged(tmp_path / "noise", [{**each, "scale": "paper"} for each in noise], order)["verdict"] == undecided
    assert judged(tmp_path / "a", timings(1.1, 1.2, 1.3), cost)["verdict"] == "holds"  # 39.43 / 30.33 = 1.30
    dear = judged(tmp_path / "d", timings(1.1, 1.2, 2.6), cost)
    assert dear["verdict"] == "not comparable: the paper names no hardware, on which such a ratio depends"
    assert dear["value"] == pytest.approx(2.62 / (39.43 / 30.33) - 1)
    assert "on cpu-a (the paper names no hardware)" in dear["measured"]


def test_a_gain_must_be_there_and_reach_the_reported_one(tmp_path):
    def with_gain(gain, noise=NOISE[::-1]):
        task, name = "cifar10-zhai-tang", "Table 1, CIFAR-10, gain"
        rows = runs("feature_map_distortion", 15.0, task, noise) + runs("adaptive_dropout_rc", 15.0 + gain, task)
        return judged(tmp_path / str(gain), rows, name, "feature_map_distortion")["verdict"]

    assert with_gain(2.1) == "holds"  # reported are 2.13, and the interval of ours is some +-0.3 wide
    assert with_gain(3.0) == "holds"
    assert with_gain(1.0) == "does not hold"


RELEASED, PRINTED = "as in the released code", "as eq. 22 is printed"


def swept(method, name, gaps, train=99.0, mode="official"):
    """Trials along a hyperparameter with these gaps between training and test accuracy, but for some scatter."""
    scatter = np.random.default_rng(len(method)).normal(0, 0.02, (len(gaps), len(SEVERAL)))
    scatter -= scatter.mean(axis=1, keepdims=True)
    return [
        each
        for (place, gap), noise in zip(gaps.items(), scatter, strict=True)
        for each in runs(method, 100 - train + gap, "cifar100-resnet56", noise=noise, role="default",
                         hp={"block_size": 6, "other": 5.0, "mode": mode, name: place}, train_value=train / 100)
    ]  # fmt: skip


def test_the_gap_falls_along_a_sweep_at_whatever_points_were_run(tmp_path):
    paper = "feature_map_distortion"
    falling = swept("block_feature_map_distortion", "distortion_rate", {0.01: 25.0, 0.05: 22.0, 0.1: 20.0})
    claim = judged(tmp_path / "a", falling, f"Figure 2b, {RELEASED}", paper)
    slope = np.polyfit([0.01, 0.05, 0.1], [25.0, 22.0, 20.0], 1)[0]
    assert (claim["verdict"], claim["value"]) == ("holds", pytest.approx(slope))
    rising = swept("block_feature_map_distortion", "step_size", {1.0: 20.0, 5.0: 21.0, 30.0: 25.0})
    assert judged(tmp_path / "b", rising, f"Figure 2c, {RELEASED}", paper)["verdict"] == "does not hold"


def test_distortion_and_dropblock_are_compared_over_the_rates_that_both_have(tmp_path):
    ours = swept("block_feature_map_distortion", "distortion_rate", {0.01: 25.0, 0.05: 22.0, 0.1: 20.0})
    theirs = swept("dropblock", "drop_rate", {0.01: 25.5, 0.05: 22.5, 0.2: 10.0})
    claim = judged(tmp_path, ours + theirs, f"Figure 2a, {RELEASED}", "feature_map_distortion")
    assert (claim["verdict"], claim["value"]) == ("holds", pytest.approx(-0.5))
    assert "over 2 rate(s) +0.50 points" in claim["measured"]


def test_a_point_of_one_sweep_is_not_mixed_with_the_other_sweep_that_crosses_it(tmp_path):
    rates = swept("block_feature_map_distortion", "distortion_rate", {0.01: 25.0, 0.05: 22.0, 0.1: 20.0})
    crossing = [
        each
        for size in (1.0, 30.0)
        for each in runs("block_feature_map_distortion", 60.0, "cifar100-resnet56", SEVERAL, role="default",
                         hp={"distortion_rate": 0.05, "block_size": 6, "other": size, "mode": "official"},
                         train_value=0.99)
    ]  # fmt: skip
    claim = judged(tmp_path, rates + crossing, f"Figure 2b, {RELEASED}", "feature_map_distortion")
    assert claim["value"] == pytest.approx(np.polyfit([0.01, 0.05, 0.1], [25.0, 22.0, 20.0], 1)[0])


def test_the_two_modes_of_distortion_are_swept_apart_each_from_a_base_of_its_own(tmp_path):
    def at(rate, step_size, mode, gap):
        return runs("block_feature_map_distortion", 1 + gap, "cifar100-resnet56", SEVERAL, role="default",
                    hp={"distortion_rate": rate, "step_size": step_size, "mode": mode}, train_value=0.99)  # fmt: skip

    rates = (0.01, 0.05, 0.09)
    rows = [each for place, rate in enumerate(rates)
            for mode, size, gap in (("official", 5.0, 25.0 - place), ("paper", 30.0, 25.0 + place))
            for each in at(rate, size, mode, gap)]  # fmt: skip
    rows += [each for mode in ("official", "paper") for size in (1.0, 5.0, 30.0) for each in at(0.09, size, mode, 60.0)
             if (mode, size) not in (("official", 5.0), ("paper", 30.0))]  # fmt: skip
    falls = judged(tmp_path / "a", rows, f"Figure 2b, {RELEASED}", "feature_map_distortion")
    rises = judged(tmp_path / "b", rows, f"Figure 2b, {PRINTED}", "feature_map_distortion")
    assert (falls["value"], rises["value"]) == pytest.approx((-25.0, 25.0))  # a point of gap per 0.04 of p


def curve(trial, split, metric, values, first=1):
    return [(trial["trial_id"], epoch, split, metric, value) for epoch, value in enumerate(values, start=first)]


def test_stable_means_that_the_mean_over_seeds_moves_little_at_the_end(tmp_path):
    rows = runs("localdrop", 12.0)
    epochs = np.arange(1, 801)
    accuracy = 0.88 - 0.5 * np.exp(-epochs / 100)
    still = [p for each in rows for p in curve(each, "test", "accuracy", accuracy)]
    moving = [p for each in rows for p in curve(each, "test", "accuracy", 0.60 + 0.0003 * epochs)]
    claim = judged(tmp_path / "a", rows, "Figure 1b, localdrop", points=still)
    assert claim["verdict"] == "holds"
    assert claim["value"] == pytest.approx(100 * (accuracy[-1] - accuracy[699]))
    assert judged(tmp_path / "b", rows, "Figure 1b, localdrop", points=moving)["verdict"] == "does not hold"


def late_readings(rows, errors):
    """Test errors in % at epochs 100, 720, 760 and 800, one line per trial; the last three are in the window."""
    return [
        (trial["trial_id"], epoch, "test", "accuracy", 1 - error / 100)
        for trial, line in zip(rows, errors, strict=True)
        for epoch, error in zip((100, 720, 760, 800), (50.0, *line), strict=True)
    ]


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([[12.0, 12.1, 12.0], [12.2, 12.2, 12.3], [11.9, 12.0, 12.0]], "holds"),
        ([[12.0, 14.0, 12.0], [12.2, 14.1, 12.3], [11.9, 14.0, 12.0]], "does not hold"),
        ([[12.0, 12.5, 12.0], [12.2, 13.0, 12.3], [11.9, 12.3, 12.0]], UNDECIDED),
        ([[12.0, 12.1, 12.0]], ONE_SEED),
        ([[12.0, 14.0, 12.0]], ONE_SEED),
    ],
    ids=["still", "moving", "unsure", "still by one seed", "moving by one seed"],
)
def test_stability_is_the_equality_of_any_two_readings(tmp_path, errors, verdict):
    rows = runs("localdrop", 12.0)[: len(errors)]
    claim = judged(tmp_path, rows, "Figure 1b, localdrop", points=late_readings(rows, errors))
    assert claim["verdict"] == verdict
    if len(errors) > 1:  # against t-tests of scipy, Holm's correction of statsmodels
        pairs = [stats.ttest_rel(*np.array(errors)[:, [i, j]].T) for i, j in ((0, 1), (0, 2), (1, 2))]
        ends = [abs(end) for each in pairs for end in each.confidence_interval(0.95)]
        assert (max(ends) <= 0.5) == (verdict == "holds")
        beyond = [
            2
            * stats.ttest_1samp(
                np.abs(np.array(errors)[:, i] - np.array(errors)[:, j]), 0.5, alternative="greater"
            ).pvalue
            for i, j in ((0, 1), (0, 2), (1, 2))
        ]
        assert bool(multipletests(np.minimum(beyond, 1), method="holm")[0].any()) == (verdict == "does not hold")


def test_a_failed_seed_leaves_the_course_of_training_open(tmp_path):
    rows = runs("localdrop", 12.0)[:3]
    points = late_readings(rows, [[12.0, 12.1, 12.0], [12.2, 12.2, 12.3], [11.9, 12.0, 12.0]])
    rows.append(row("cifar10-zhai", "localdrop", "confirm", 7, status="diverged", scale="paper"))
    claim = judged(tmp_path, rows, "Figure 1b, localdrop", points=points)
    assert claim["verdict"] == "not comparable: 1 trial(s) failed"


@pytest.mark.parametrize(
    ("bounds", "verdict", "value"),
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0, 0.5], "holds", -1.0),
        ([0.5, 1.0, 2.0, 3.0, 4.0, 5.0], "does not hold", 1.0),
        (
            [0.0, -1.0, -2.0, -3.0, -4.0, -5.0],
            "too few seeds: no significant correlation of the changes",
            -1.0,
        ),
    ],
    ids=["falls like the error", "rises", "minus the epoch"],
)
def test_the_bound_and_the_error_are_compared_over_epochs(tmp_path, bounds, verdict, value):
    rows = runs("localdrop+rademacher_probe", 50.0, "cifar10-fcn")[:2]
    points = [p for each in rows for p in curve(each, "test", "accuracy", [0.1, 0.2, 0.3, 0.4, 0.45, 0.5])]
    points += [p for each in rows for p in curve(each, "regularizer", "rademacher_probe.log10_bound", bounds)]
    claim = judged(tmp_path, rows, "Figure 2", points=points)
    assert (claim["verdict"], claim["value"]) == (verdict, pytest.approx(value))


def test_two_trainings_that_agree_by_chance_do_not_contradict_a_common_trend(tmp_path):
    bounds, errors = [1.0, 5.0, 4.0, 6.0, 2.0, 3.0], [0.5, 0.4, 0.3, 0.6, 0.1, 0.2]
    correlation = stats.spearmanr(bounds, errors).statistic
    assert 0.4 < correlation < 0.5  # the claim is: above 0.5
    rows = runs("localdrop+rademacher_probe", 50.0, "cifar10-fcn")[:2]
    points = [p for each in rows for p in curve(each, "test", "accuracy", [1 - error for error in errors])]
    points += [p for each in rows for p in curve(each, "regularizer", "rademacher_probe.log10_bound", bounds)]
    claim = judged(tmp_path, rows, "Figure 2", points=points)
    assert (claim["value"], claim["verdict"].partition(":")[0]) == (pytest.approx(-correlation), "too few seeds")


@pytest.mark.parametrize(
    ("scale", "why"), [("smoke", "scale smoke"), ("paper", "fewer than 5 readings in which both move")]
)
def test_a_training_with_few_readings_was_run_all_the_same(tmp_path, scale, why):
    rows = runs("localdrop+rademacher_probe", 50.0, "cifar10-fcn", scale=scale)[:2]
    points = [p for each in rows for p in curve(each, "test", "accuracy", [0.1, 0.2])]
    points += [p for each in rows for p in curve(each, "regularizer", "rademacher_probe.log10_bound", [5.0, 4.0])]
    claim = judged(tmp_path, rows, "Figure 2", points=points)
    assert (claim["verdict"], claim["num_trials"]) == (f"not comparable: {why}", 2)
    assert claim["measured"].startswith("at most 2 readings of a trial")


def test_the_top_five_are_judged_by_their_own_metric(tmp_path):
    def trained(method, top5):
        return [row("imagenet-resnet50-tang", method, "default", seed, 0.77, scale="paper",
                    metrics={"top5_accuracy": top5 + seed / 1000}) for seed in (0, 1, 2)]  # fmt: skip

    rows = trained("block_feature_map_distortion", 0.944) + trained("dropblock", 0.940)
    name = "Table 3, top-5, over dropblock"
    claim = judged(tmp_path, rows, name, "feature_map_distortion")
    assert claim["measured"].startswith("block_feature_map_distortion +0.40 points against dropblock")
    assert "(reported +0.31)" in claim["measured"]
