"""Chapter 6 of the thesis beside our rows: claims with verdicts, figures, and all 80 reported values of its tables."""

import pandas as pd
import pytest
from result_rows import one_file, row
from scipy import stats

import analysis
from analysis.papers.claims.claim import FAILS, HOLDS, NOT_RUN, TOO_FEW, Results
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED
from analysis.papers.thesis.adversarial import ATTACKS, TRAININGS
from analysis.papers.thesis.adversarial_claims import ADVERSARIAL_CLAIMS
from analysis.papers.thesis.adversarial_figures import attack_figures, grid_figures

BY_NAME = {claim.name: claim for claim in ADVERSARIAL_CLAIMS}
STANDARD = {
    "FGSM": 0.236,
    "R-FGSM": 0.236,
    "PGD-inf": 0.033,
    "R-PGD-inf": 0.286,
    "BIM": 0.286,
    "R-BIM": 0.286,
    "PGD-2": 0.003,
    "R-PGD-2": 0.256,
}
FLIPS = {"cross_entropy": (0, 0, 0), "margin": (10, 100, 172), "log_p": (0, 0, 0), "reflected": (0, 0, 0)}


def of_table(training="Standard", seed=0, scale="paper", **errors):
    """One trial of a row of table 6-I, with the errors of the standard row unless others are given."""
    contestant, attack = TRAININGS[training]
    known = STANDARD | errors
    return row(
        "thesis-table6-1",
        contestant,
        "default",
        seed,
        test=0.001,
        validation=0.001,
        scale=scale,
        metric="clean_error",
        higher=False,
        hp={"learning_rate": 1.0, **({"attack": attack, "radius": 0.1} if attack else {})},
        metrics={f"robust_error/{name}": known[label] for label, name in ATTACKS.items()},
    )


def of_grid(**flips):
    counts = {
        f"flips_in_top_{k}/{name}": float(count)
        for name, numbers in (FLIPS | flips).items()
        for k, count in zip((10, 100, 1000), numbers, strict=True)
    }
    value = counts.pop("flips_in_top_100/margin")
    margins = {"smallest_margin/greedy": 0.7, "smallest_margin/other": -1.059}
    return row(
        "thesis-fig6-2", "none", "default", 0, value, value, metric="flips_in_top_100/margin", metrics=counts | margins
    )


def judged(name, folder, rows):
    return BY_NAME[name].judge(Results(trials=one_file(folder, rows), curves=pd.DataFrame()))


def test_equal_columns_are_equal_to_one_image(tmp_path):
    held = judged("Table 6-I, FGSM and BIM", tmp_path / "a", [of_table(), of_table("PGD-2")])
    assert (held.verdict, held.value) == (HOLDS, 0)
    failed = judged("Table 6-I, FGSM and BIM", tmp_path / "b", [of_table(**{"R-BIM": 0.288})])
    assert failed.verdict == FAILS


@pytest.mark.parametrize(
    ("reflected", "scale", "verdict"),
    [
        ((0.28, 0.29, 0.27), "smoke", HOLDS),
        ((0.28,), "paper", ONE_SEED),
        ((0.05, 0.28, 0.10), "paper", UNDECIDED),
        ((0.034, 0.035, 0.033), "paper", FAILS),
        ((0.034, 0.035, 0.033), "short", "not comparable: scale short ends training too early to contradict it"),
    ],
)
def test_reflection_is_stronger_only_where_the_seeds_are_sure(tmp_path, reflected, scale, verdict):
    rows = [
        of_table(seed=seed, scale=scale, **{"R-PGD-inf": error, "R-PGD-2": error - 0.01 * (seed % 2)})
        for seed, error in enumerate(reflected)
    ]
    assert judged("Table 6-I, standard row", tmp_path, rows).verdict == verdict


def of_domination(scale, gain, num_seeds=5):
    return [
        of_table(
            training,
            seed,
            scale,
            **{name: 0.02 + 0.001 * seed - gain * training.startswith("R-") for name in ATTACKS},
        )
        for training in ("PGD-inf", "R-PGD-inf", "PGD-2", "R-PGD-2")
        for seed in range(num_seeds)
    ]


@pytest.mark.parametrize("gain", [0.01, -0.01], ids=["dominates", "is dominated"])
def test_domination_by_three_seeds_is_shown_as_too_few(tmp_path, gain):
    found = judged("Table 6-I, domination", tmp_path, of_domination("paper", gain, num_seeds=3))
    assert found.verdict == f"{TOO_FEW}: 3 of the 5 that a claim on all 16 differences needs"
    assert found.num_trials == 12


def test_domination_needs_the_whole_training_and_is_undecided_within_noise(tmp_path):
    rows, name = of_domination, "Table 6-I, domination"
    assert judged(name, tmp_path / "a", rows("short", 0.01)).verdict.startswith("not comparable: scale short")
    assert judged(name, tmp_path / "b", rows("paper", 0.0)).verdict == UNDECIDED
    noisy = rows("paper", 0.01)
    assert judged(name, tmp_path / "c", noisy).value < 0


def test_weak_attacks_serve_where_the_error_is_below_half(tmp_path):
    rows = [of_table(seed=seed) for seed in range(3)]
    rows += [of_table("PGD-2", seed=seed, **{"R-PGD-2": 0.08 + 0.001 * seed}) for seed in range(3)]
    assert judged("Table 6-I, weak attacks", tmp_path, rows).verdict == HOLDS


def diverged(trial):
    """The row of the same trial, had it diverged: without values."""
    lost = {name: None for name in trial if name.startswith("metric.") or name.endswith("_value")}
    return {**trial, **lost, "status": "diverged"}


def test_a_failed_seed_has_error_1_but_not_where_this_would_raise_the_limit(tmp_path):
    standard, trained = ([of_table(name, seed=seed) for seed in range(3)] for name in ("Standard", "PGD-2"))
    trained = [{**each, "metric.robust_error/reflected_pgd_l2": 0.08 + 0.001 * each["seed"]} for each in trained]
    name = "Table 6-I, weak attacks"
    found = judged(name, tmp_path / "a", [*standard, *trained[:2], diverged(trained[2])])
    assert found.verdict == UNDECIDED
    assert f"{0.256 / 2 - (0.08 + 0.081 + 1) / 3:+.3f}" in found.measured
    found = judged(name, tmp_path / "b", [*standard[:2], diverged(standard[2]), *trained])
    assert found.verdict == "not comparable: no value, as 1 trial(s) failed (1 diverged)"


def of_multiclass(contestant, errors, radius=8 / 255, scale="paper"):
    """One trial of table 6-II for each of these robust errors; None is a trial that diverged."""
    rows = [
        row(
            "thesis-table6-2",
            contestant,
            "default",
            seed,
            0.8,
            0.8,
            scale=scale,
            hp={"learning_rate": 0.2, "radius": radius, "num_steps": 16, "attack": "pgd"},
            metrics={"robust_error/pgd": error if error is not None else 0.0, "clean_error": 0.2},
        )
        for seed, error in enumerate(errors)
    ]
    return [each if error is not None else diverged(each) for each, error in zip(rows, errors, strict=True)]


@pytest.mark.parametrize(
    ("reflected", "verdict"),
    [
        ((0.500, 0.501, 0.502, 0.503, 0.499), HOLDS),
        ((0.553, 0.547, 0.556, 0.545, 0.551), FAILS),
        ((0.510, 0.490, 0.520, 0.505, 0.500), UNDECIDED),
        ((0.500,), ONE_SEED),
        ((0.600,), ONE_SEED),
        ((0.500, 0.501, None, 0.503, 0.499), UNDECIDED),
    ],
    ids=["equal", "unequal", "unsure", "equal by one seed", "unequal by one seed", "a seed failed"],
)
def test_accuracies_with_many_classes_are_unchanged_where_intervals_are_within_a_point(tmp_path, reflected, verdict):
    plain = (0.500, 0.502, 0.501, 0.503, 0.499)[: len(reflected)]
    rows = of_multiclass("adversarial_training", plain) + of_multiclass("reflected_adversarial_training", reflected)
    found = judged("Table 6-II", tmp_path, rows)
    assert found.verdict == verdict
    if verdict in (HOLDS, FAILS, UNDECIDED) and None not in reflected:
        ends = stats.ttest_rel([100 * each for each in plain], [100 * each for each in reflected])
        assert found.value == pytest.approx(max(map(abs, ends.confidence_interval(0.95))))


def test_flips_are_told_for_each_form_of_the_reflected_loss(tmp_path):
    trials = [of_grid()]
    assert judged("Figure 6-2, margin", tmp_path / "a", trials).verdict == HOLDS
    assert judged("Figure 6-2, log p", tmp_path / "b", trials).verdict == FAILS
    assert judged("Figure 6-2, negated scores", tmp_path / "c", trials).verdict == FAILS
    assert judged("Section 6.5.3, greedy target", tmp_path / "d", trials).verdict == HOLDS


def test_what_did_not_run_has_no_judgement(tmp_path):
    rows = [row("digits", "none", "default", 0, 0.9, 0.9)]
    for name in BY_NAME:
        assert judged(name, tmp_path / name.replace("/", "-"), rows) is None


def test_every_reported_value_of_table_6_1_stands_beside_ours(tmp_path):
    rows = [of_table(training, seed) for training in TRAININGS for seed in (0, 1)]
    table = analysis.compare_with_papers(one_file(tmp_path, rows))
    chapter = table[(table["paper"] == "dropout_theory") & (table["experiment"] == "table6-1")]
    assert len(chapter) == 40
    assert set(chapter["task"]) == {"thesis-table6-1"}
    standard = chapter[chapter["method"] == "train=Standard"]
    assert standard["ours"].tolist() == pytest.approx(standard["reported"].tolist())
    assert set(chapter[chapter["method"] == "train=PGD-2"]["num_seeds"]) == {2}


def of_standard_fgsm(folder, errors):
    rows = [of_table(seed=seed, FGSM=error) for seed, error in enumerate(errors)]
    table = analysis.compare_with_papers(one_file(folder, rows), "dropout_theory")
    (found,) = table[table["setting"].str.startswith("attack=FGSM;") & table["ours"].notna()].to_dict("records")
    return found


def test_errors_as_fractions_are_compared_within_0_and_1_and_agree_with_nothing_if_they_scatter(tmp_path):
    found = of_standard_fgsm(tmp_path / "near", [0.216, 0.256])
    half = stats.t.ppf(0.975, 1) * 0.04 / 2**0.5 * (1 + 1 / 2) ** 0.5
    assert found["verdict"] == f"too few seeds: any value within {half:.2f} of ours would agree"
    assert of_standard_fgsm(tmp_path / "sure", [0.236, 0.237, 0.235])["verdict"] == "agrees"
    assert of_standard_fgsm(tmp_path / "end", [0.9, 0.99])["interval_high"] < 1


@pytest.mark.parametrize(("wrong", "verdict"), [(1, "agrees"), (2, "differs")])
def test_a_reported_value_stands_for_all_that_are_rounded_to_it(tmp_path, wrong, verdict):
    """The table says .000: 1 of 2,115 images is .00047, 2 are .00095."""
    rows = [of_table("R-PGD-2", seed, **{"PGD-2": wrong / 2115}) for seed in range(2)]
    table = analysis.compare_with_papers(one_file(tmp_path, rows), "dropout_theory")
    found = table[(table["method"] == "train=R-PGD-2") & table["setting"].str.startswith("attack=PGD-2;")]
    assert found["reported"].tolist() == [0]
    assert found["verdict"].tolist() == [verdict]


def test_a_training_that_is_missing_is_told_by_its_attack(tmp_path):
    """The setting of the reported value is the attack in evaluation, which every trial has."""
    table = analysis.compare_with_papers(one_file(tmp_path, [of_table("PGD-inf")]), "dropout_theory")
    missing = table[table["method"] == "train=PGD-2"]
    assert set(missing["verdict"]) == {"not comparable: setting attack=pgd_l2 not run"}


def test_table_6_2_is_compared_as_accuracies_in_percent(tmp_path):
    rows = [
        row(
            "thesis-table6-2",
            "reflected_adversarial_training",
            "default",
            seed,
            0.9,
            0.9,
            scale="paper",
            hp={"learning_rate": 0.2, "radius": 8 / 255, "num_steps": 16, "attack": "pgd"},
            metrics={"robust_error/pgd": 0.51, "clean_error": 0.22},
        )
        for seed in (0, 1)
    ]
    table = analysis.compare_with_papers(one_file(tmp_path, rows))
    found = table[(table["experiment"] == "table6-2") & table["ours"].notna()]
    assert found["setting"].tolist() == ["nu_train=8/255;steps=16;eval=PGD-50x10", "nu_train=8/255;steps=16"]
    assert found["ours"].tolist() == pytest.approx([49.0, 78.0])
    assert set(table[(table["experiment"] == "table6-1")]["verdict"]) == {NOT_RUN}


def test_figures_are_drawn_of_what_ran(tmp_path):
    trials = one_file(tmp_path, [of_grid(), of_table()])
    assert [name for name, *_ in grid_figures(trials, pd.DataFrame(), {})] == ["thesis-fig6-2"]
    assert [name for name, *_ in attack_figures(trials, pd.DataFrame(), {})] == ["thesis-table6-1"]
    nothing = trials[trials["task"] == "nothing"]
    assert grid_figures(nothing, pd.DataFrame(), {}) == attack_figures(nothing, pd.DataFrame(), {}) == []
