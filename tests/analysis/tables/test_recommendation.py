"""Recommendations on constructed rows whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, frame, timed
from scipy import stats

import analysis
from harness.cli import app
from harness.command.parameters import NetworkKind
from harness.records import NETWORK_KINDS
from tasks.experiments import TASKS
from tasks.sites import kind_of

CONV_1K: dict[str, Any] = {"network_kind": "conv", "num_train_samples": 1000, "label_noise": 0.0}
BASE = [0.80, 0.82, 0.81, 0.83]
BETTER = [0.90, 0.93, 0.91, 0.92]  # differences 0.10, 0.11, 0.10, 0.09
NOISY = [0.70, 0.95, 0.78, 0.91]


def task(name: str, facts: dict[str, Any] = CONV_1K, **contestants: list[float | None]) -> list[dict[str, Any]]:
    """Confirm rows of one task."""
    return [row for each, values in contestants.items() for row in confirmed(each, values, name, **facts)]


def verdicts(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["regularizer"], table["verdict"], strict=True))


def test_on_one_task_the_gain_is_the_paired_difference_with_students_interval(tmp_path: Path) -> None:
    table = analysis.recommend(frame(tmp_path, task("digits", none=BASE, good=BETTER)))
    differences = np.subtract(BETTER, BASE)
    low, high = stats.t.interval(0.95, 3, differences.mean(), stats.sem(differences))
    row = table.iloc[0]
    assert (row["gain"], row["gain_low"], row["gain_high"]) == pytest.approx((differences.mean(), low, high))
    assert (row["verdict"], row["num_tasks"], row["num_seeds"], row["tasks"]) == ("better", 1, 4, "digits (smoke)")


def test_over_tasks_the_interval_is_that_of_each_seeds_mean_since_tasks_share_what_a_seed_draws(tmp_path: Path) -> None:
    others = [0.85, 0.84, 0.88, 0.86]
    rows = task("one", CONV_1K | {"dataset": "first"}, none=BASE, good=BETTER)
    rows += task("other", CONV_1K | {"dataset": "second"}, none=BASE, good=others)
    row = analysis.recommend(frame(tmp_path, rows)).iloc[0]
    parts = [np.subtract(values, BASE) for values in (BETTER, others)]
    by_seed = np.mean(parts, axis=0)
    low, high = stats.t.interval(0.95, 3, by_seed.mean(), stats.sem(by_seed))
    assert (row["gain"], row["gain_low"], row["gain_high"]) == pytest.approx((by_seed.mean(), low, high))
    assert row["p_holm"] == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue)
    assert (row["smallest_gain"], row["largest_gain"]) == pytest.approx(tuple(sorted(part.mean() for part in parts)))
    assert (row["num_tasks"], row["num_seeds"]) == (2, 8)


def test_tasks_without_common_seeds_are_independent_so_their_errors_add_up(tmp_path: Path) -> None:
    parts = np.subtract(BETTER, BASE), np.subtract(BASE, NOISY)
    rows = task("one", none=BASE, good=BETTER)
    later = [row | {"seed": row["seed"] + 100} for row in task("other", none=NOISY, good=BASE)]
    row = analysis.recommend(frame(tmp_path, rows + later)).iloc[0]
    mean, half = np.mean(parts), stats.t.ppf(0.975, 3) * math.hypot(*map(stats.sem, parts)) / 2
    assert (row["gain"], row["gain_low"], row["gain_high"]) == pytest.approx((mean, mean - half, mean + half))


def test_a_contestant_equal_to_the_baseline_gains_nothing(tmp_path: Path) -> None:
    rows = task("one", none=BASE, same=BASE) + task("other", none=BASE, same=BASE)
    row = analysis.recommend(frame(tmp_path, rows)).iloc[0]
    assert (row["gain"], row["p_holm"], row["verdict"], row["num_seeds"]) == (0.0, 1.0, "unclear", 8)


def test_gains_that_cancel_are_0_and_no_rounding_error(tmp_path: Path) -> None:
    swapped = [0.7, 0.8, 0.9]
    table = analysis.recommend(frame(tmp_path, task("digits", none=[0.8, 0.9, 0.7], other=swapped)))
    assert table["smallest_gain"].tolist() == table["largest_gain"].tolist() == [0.0]


def test_verdicts_follow_from_the_significance_of_the_gain(tmp_path: Path) -> None:
    worse = [value - 0.1 for value in BETTER[:2]] + [0.70, 0.71]
    rows = task("digits", none=BASE, good=BETTER, unsure=NOISY, bad=[0.70, 0.72, 0.70, 0.72], mixed=worse)
    table = analysis.recommend(frame(tmp_path, rows))
    assert verdicts(table) == {"good": "better", "unsure": "unclear", "mixed": "unclear", "bad": "worse"}
    assert list(table["verdict"]) == ["better", "unclear", "unclear", "worse"]


def test_p_values_are_corrected_for_the_number_of_contestants(tmp_path: Path) -> None:
    slight = [0.83, 0.84, 0.84, 0.84]  # p = 0.04 alone
    alone = analysis.recommend(frame(tmp_path / "alone", task("digits", none=BASE, slight=slight)))
    others = {f"other{number}": NOISY for number in range(4)}
    among = analysis.recommend(frame(tmp_path / "among", task("digits", none=BASE, slight=slight, **others)))
    assert verdicts(alone)["slight"] == "better"
    assert verdicts(among)["slight"] == "unclear"
    assert among.set_index("regularizer").loc["slight", "p_holm"] == pytest.approx(5 * alone["p_holm"][0])


def test_a_failed_seed_counts_as_accuracy_0(tmp_path: Path) -> None:
    table = analysis.recommend(frame(tmp_path, task("digits", none=BASE, fails=[0.90, None, 0.91, 0.92])))
    assert table["gain"][0] == pytest.approx(np.mean(np.subtract([0.90, 0.0, 0.91, 0.92], BASE)))
    assert table["verdict"][0] == "unclear"


def test_only_the_longest_scale_with_evidence_counts(tmp_path: Path) -> None:
    slightly_worse = [0.79, 0.815, 0.80, 0.825]
    rows = task("digits", CONV_1K | {"scale": "smoke"}, none=BASE, good=BETTER, brief=BETTER)
    rows += task("digits", CONV_1K | {"scale": "short"}, none=BASE, good=slightly_worse)
    rows += task("digits", CONV_1K | {"scale": "paper"}, none=BASE)  # without a contestant: no evidence
    table = analysis.recommend(frame(tmp_path, rows))
    assert list(table["regularizer"]) == ["good"]
    assert table["gain"][0] == pytest.approx(np.mean(np.subtract(slightly_worse, BASE)))
    assert (table["num_tasks"][0], table["tasks"][0]) == (1, "digits (short)")
    assert analysis.notes_of(table)[0] == (
        "Only tasks at scale short count, the longest with evidence; left out: digits (smoke). "
        "Contestants with evidence only there: brief."
    )


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"kind": "conv"}, True),
        ({"kind": "dense"}, False),
        ({"num_images": 1000}, True),
        ({"num_images": 400}, True),
        ({"num_images": 300}, False),  # a factor of 3.3
        ({"num_images": 3000}, True),
        ({"num_images": 3300}, False),
        ({"label_noise": 0.1}, True),
        ({"label_noise": 0.2}, False),
        ({"kind": "conv", "num_images": 1000, "label_noise": 0.0}, True),
    ],
    ids=str,
)
def test_only_tasks_like_the_one_described_count(asked: dict[str, Any], fits: bool, tmp_path: Path) -> None:
    table = analysis.recommend(frame(tmp_path, task("digits", none=BASE, good=BETTER)), **asked)
    assert list(table["regularizer"]) == (["good"] if fits else [])


def test_tasks_with_wrong_labels_are_named_where_they_count_beside_others(tmp_path: Path) -> None:
    rows = task("clean", none=BASE, good=BETTER)
    rows += task("wrong", CONV_1K | {"label_noise": 0.2}, none=BASE, good=BETTER)
    both = analysis.recommend(frame(tmp_path, rows))
    assert analysis.notes_of(both)[0] == (
        "Wrong training labels: 20 % on wrong (smoke). If a label noise is given, only tasks within 0.1 of it count."
    )
    for noise, name in ((0.0, "clean (smoke)"), (0.2, "wrong (smoke)")):
        alone = analysis.recommend(frame(tmp_path, rows), label_noise=noise)
        assert list(alone["tasks"]) == [name]
        assert not any("labels" in note for note in analysis.notes_of(alone)), "nothing is mixed"
    between = analysis.recommend(frame(tmp_path, rows), label_noise=0.1)
    assert analysis.notes_of(between) == analysis.notes_of(both)


def test_no_evidence_is_an_answer_that_says_what_there_is_instead(tmp_path: Path) -> None:
    rows = frame(tmp_path, task("digits", none=BASE, good=BETTER))
    table = analysis.recommend(rows, "attention", 50_000, 0.4)
    assert table.empty
    (note, *_) = analysis.notes_of(table)
    assert note == (
        "No evidence: no contestant was tuned and confirmed beside the baseline on attention networks with 15,811 to "
        "158,114 training images and 40 % of wrong labels. The rows have conv (1,000 images; 0 % wrong labels)."
    )


def test_untuned_trials_are_no_evidence(tmp_path: Path) -> None:
    rows = [row | {"role": "default"} for row in task("digits", none=BASE, good=BETTER)]
    table = analysis.recommend(frame(tmp_path, rows))
    assert table.empty
    assert "No task of the rows has a tuned contestant and baseline." in analysis.notes_of(table)[0]


@pytest.mark.parametrize("num_left_out", [1, 2])
def test_a_large_gain_on_some_of_three_tasks_does_not_come_before_gains_on_all(
    tmp_path: Path, num_left_out: int
) -> None:
    hard, more = [value - 0.2 for value in BASE], [value + 0.02 for value in BETTER]
    rows = task("hard", none=hard, good=[value + 0.2 for value in hard], there=[value + 0.25 for value in hard])
    rows += task("one", none=BASE, good=BETTER) + task("other", none=BASE, good=BETTER)
    rows += task("one", there=more) if num_left_out == 1 else []
    table = analysis.recommend(frame(tmp_path, rows))
    assert list(zip(table["regularizer"], table["verdict"], strict=True)) == [("good", "better"), ("there", "better")]
    assert table["gain"].is_monotonic_increasing
    assert any("fewer than 3 tasks: there." in note for note in analysis.notes_of(table))


def test_a_ceiling_below_all_costs_is_answered_with_the_cheapest_contestant(tmp_path: Path) -> None:
    rows = task("digits", none=BASE, good=BETTER, other=BETTER)
    rows += [timed("none", 1.0), timed("good", 1.3), timed("other", 1.2)]
    table = analysis.recommend(frame(tmp_path, rows), max_overhead=1.1)
    said = "No contestant costs at most 1.1 times the baseline; the cheapest is other (1.200)."
    assert (table.empty, said in analysis.notes_of(table)) == (True, True)


def test_a_ceiling_on_the_cost_changes_no_verdict(tmp_path: Path) -> None:
    names = {f"weak{place}": [value + gain for value, gain in zip(BASE, (0.01, 0.03, 0.02, 0.01), strict=True)]
             for place in range(4)}  # fmt: skip
    rows = task("digits", none=BASE, **names)
    rows += [timed(name, 1.0 + place, task="digits") for place, name in enumerate(("none", *names))]
    trials = frame(tmp_path, rows)
    everyone, cheap = verdicts(analysis.recommend(trials)), verdicts(analysis.recommend(trials, max_overhead=2.0))
    assert cheap == {"weak0": everyone["weak0"]}
    assert everyone["weak0"] == "unclear"


def test_a_ceiling_leaves_out_what_costs_more_and_what_nobody_timed(tmp_path: Path) -> None:
    rows = task("digits", none=BASE, cheap=BETTER, dear=BETTER, untimed=BETTER)
    rows += [timed("cheap", 1.1, task="digits", **CONV_1K), timed("dear", 1.3, task="digits", **CONV_1K)]
    trials = frame(tmp_path, rows)
    assert set(analysis.recommend(trials)["regularizer"]) == {"cheap", "dear", "untimed"}
    table = analysis.recommend(trials, max_overhead=1.2)
    assert table.set_index("regularizer")["overhead"].to_dict() == pytest.approx({"cheap": 1.1})
    assert analysis.notes_of(table)[0] == (
        "Left out, since they cost more than 1.2 times the baseline, or were not timed: "
        "dear (1.300), untimed (not timed)."
    )


def test_the_overhead_is_that_of_the_tasks_that_count_if_they_were_timed(tmp_path: Path) -> None:
    large = {"network_kind": "conv", "num_train_samples": 50_000, "label_noise": 0.0}
    rows = task("small", none=BASE, both=BETTER, only_large=BETTER) + task("large", large, none=BASE)
    rows += [timed("both", 1.2, task="small", **CONV_1K), timed("both", 1.8, task="large", **large)]
    rows += [timed("only_large", 1.5, task="large", **large)]
    table = analysis.recommend(frame(tmp_path, rows), "conv", 1000).set_index("regularizer")
    assert table["overhead"].to_dict() == pytest.approx({"both": 1.2, "only_large": 1.5})


@pytest.mark.parametrize(
    "wrong", [{"kind": "deep"}, {"num_images": 0}, {"label_noise": 20.0}, {"max_overhead": 0.0}], ids=str
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must"):
        analysis.recommend(frame(tmp_path, task("digits", none=BASE, good=BETTER)), **wrong)


def test_the_command_shows_candidates_or_says_that_there_is_no_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame(tmp_path, task("digits", none=BASE, good=BETTER))
    ask = ["recommend", "--from", str(tmp_path), "--images", "1000", "--kind"]
    app([*ask, "conv"], standalone_mode=False)
    assert "good" in (shown := capsys.readouterr().out)
    assert "+0.1" in shown
    app([*ask, "attention"], standalone_mode=False)
    assert "No evidence: no contestant was tuned" in capsys.readouterr().out


def test_the_kinds_of_the_option_are_those_of_the_rows() -> None:
    assert tuple(NetworkKind) == NETWORK_KINDS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("digits-200-mlp", "dense"),
        ("digits-200-convnet", "conv"),  # one branch alone does not make it residual
        ("mnist-1k-lenet", "conv"),
        ("cifar10-1k-resnet8", "residual"),
        ("cifar10-densenet_bc_100_12", "conv"),
    ],
)
def test_the_kind_of_a_network_is_read_from_its_layers_and_sites(name: str, kind: str) -> None:
    assert kind_of(TASKS[name].example_network()) == kind
