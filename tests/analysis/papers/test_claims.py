"""Claims: the verdict follows the numbers and the scale, whatever the campaign."""

from __future__ import annotations

import numpy as np
import pytest
from judged import judged
from result_rows import confirmed, frame
from theory_results import load, trial

import analysis
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.claims_table import CLAIMS


def gaps(start, *falls):
    return [
        {"equalization_gap": value, "excess_objective": value / 1000, "objective": 1.0} for value in (start, *falls)
    ]


def sampled(deviations, law="dropblock", regularizer="dropblock_sample", task="structured-fig1"):
    """Readings whose stochastic objective deviates by so many standard errors of 1 % each."""
    readings = [
        {
            f"{law}_deviation": 0.01 * deviation,
            f"{law}_objective": 200.0,
            "sampling_error": 2.0,
            "objective": 200.0 - place / 1000,
            "minimum": 199.0,
            "excess_objective": 0.001,
            "unevenness": 0.01,
            "spectrum_distance": 0.01,
        }
        for place, deviation in enumerate(deviations)
    ]
    return trial(task, regularizer, 0.5, readings)


def test_every_claim_has_a_row_and_says_that_nothing_was_run(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5]))
    table = analysis.claims_table(trials, analysis.load_curves(tmp_path))
    assert len(table) == len(CLAIMS) == table["claim"].nunique() + sum(table["claim"].duplicated())
    assert set(table["verdict"]) == {NOT_RUN}
    assert table["num_trials"].eq(0).all()
    assert set(table["paper"]) == {"structured_dropout", "dropout_theory", "localdrop", "feature_map_distortion"}


@pytest.mark.parametrize(
    ("values", "verdict"), [((9.0, 3.0, 1.0, 0.1), "holds"), ((9.0, 1.0, 3.0, 0.1), "does not hold")]
)
def test_a_gap_must_fall_all_the_way(tmp_path, values, verdict):
    trials, curves = load(tmp_path, [trial("thesis-fig3-3", "dropout", 0.3, gaps(*values))])
    assert judged(trials, curves, "Figure 3-3, monotone")["verdict"] == verdict


def test_seeds_are_averaged_before_a_curve_is_judged(tmp_path):
    runs = [gaps(9.0, 3.0, 4.0, 0.1), gaps(9.0, 5.0, 1.0, 0.1)]
    trials, curves = load(
        tmp_path, [trial("thesis-fig3-3", "dropout", 0.3, readings, seed) for seed, readings in enumerate(runs)]
    )
    claim = judged(trials, curves, "Figure 3-3, monotone")
    assert (claim["verdict"], claim["num_trials"]) == ("holds", 2)


@pytest.mark.parametrize("scale", ["smoke", "short", "paper"])
def test_only_the_whole_training_can_contradict_where_it_ends(tmp_path, scale):
    readings = gaps(9.0, 1.0)
    readings[-1]["excess_objective"] = 0.5
    trials, curves = load(tmp_path, [trial("thesis-fig3-3", "dropout", 0.3, readings, scale=scale)])
    verdict = judged(trials, curves, "Theorem 10 and Corollary 1")["verdict"]
    assert verdict == "does not hold" if scale == "paper" else verdict.startswith(f"not comparable: scale {scale}")


def test_the_fullest_scale_counts(tmp_path):
    shortened = gaps(9.0, 1.0)
    shortened[-1]["excess_objective"] = 0.5
    trials, curves = load(
        tmp_path,
        [
            trial("thesis-fig3-3", "dropout", 0.3, shortened, scale="smoke"),
            trial("thesis-fig3-3", "dropout", 0.3, gaps(9.0, 1.0), scale="paper"),
        ],
    )
    row = judged(trials, curves, "Theorem 10 and Corollary 1")
    assert (row["verdict"], row["scale"], row["num_trials"]) == ("holds", "paper", 1)
    assert row["value"] == pytest.approx(0.001)


def test_a_law_holds_where_deviations_are_what_sampling_makes_them(tmp_path):
    generator = np.random.default_rng(0)
    trials, curves = load(tmp_path, [sampled(generator.normal(size=200))])
    row = judged(trials, curves, "Lemma 1, figure 1 top")
    assert row["verdict"] == "holds"
    assert row["value"] == pytest.approx(1, abs=0.15)


def test_a_law_fails_where_they_are_larger_or_lean_to_one_side(tmp_path):
    for place, deviations in enumerate(([4.0, -4.0, 4.0, -4.0], [3.0, 3.0, 3.0])):
        trials, curves = load(tmp_path / str(place), [sampled(deviations)])
        assert judged(trials, curves, "Lemma 1, figure 1 top")["verdict"] == "does not hold"


def test_an_iterate_below_the_bound_contradicts_it_at_every_scale(tmp_path):
    readings = gaps(9.0, 3.0, 1.0)
    readings[1]["excess_objective"] = -0.01
    values = {f"{name}/1": 1.0 for name in ("singular_value", "target_singular_value")}
    spectrum = [{"excess_objective": 0.1, "objective": 1.0, **values}]
    trials, curves = load(
        tmp_path,
        [
            trial("thesis-fig3-3", "dropout", 0.3, readings, scale="smoke"),
            trial("thesis-fig3-2", "dropout", 0.3, spectrum, scale="smoke"),
        ],
    )
    assert judged(trials, curves, "Theorem 9")["verdict"] == "does not hold"


def test_ranks_by_drop_rate_are_counted(tmp_path):
    def spectrum(*values):
        named = {f"singular_value/{place}": value for place, value in enumerate(values, start=1)}
        targets = {f"target_singular_value/{place}": 1.0 for place in range(1, len(values) + 1)}
        before = {"excess_objective": 1.0, "objective": 2.0}
        return [before, {"excess_objective": 0.1, "objective": 1.0, **named, **targets}]

    made = [(0.0, (1.0, 1.0, 1.0)), (0.3, (0.9, 0.7, 0.001)), (0.6, (0.5, 0.0, 0.0))]
    trials, curves = load(tmp_path, [trial("thesis-fig3-2", "dropout", rate, spectrum(*s)) for rate, s in made])
    table = analysis.claims_table(trials, curves, "dropout_theory").set_index("claim")
    assert table.loc["Figure 3-2, thresholding", "verdict"] == "holds"
    assert "0.0: 3, 0.3: 2, 0.6: 1" in table.loc["Figure 3-2, thresholding", "measured"]
    assert table.loc["Figure 3-2, shrinkage", "verdict"] == "holds"
    assert table.loc["Figure 3-2, not uniform", "value"] == pytest.approx(-1.0)  # 0.1 and 0.3, their mean 0.2
    assert table.loc["Theorem 10 and Corollary 1", "verdict"] == NOT_RUN


def test_a_paper_can_be_chosen(tmp_path):
    trials = frame(tmp_path, confirmed("dropout", [0.5]))
    curves = analysis.load_curves(tmp_path)
    assert set(analysis.claims_table(trials, curves, "dropout_theory")["paper"]) == {"dropout_theory"}
    assert analysis.claims_table(trials, curves, "vgg").empty


def test_a_large_sampling_error_leaves_a_law_open(tmp_path):
    made, points = sampled([1.0, 1.0, -1.0, 1.0])
    wide = [
        {**point, "value": 30 * point["value"]}
        if point["metric"]
        in ("sampling_error", "dropblock_deviation")  # 30 % of the objective, and as little surprising
        else point
        for point in points
    ]
    trials, curves = load(tmp_path, [(made, wide)])
    verdict = judged(trials, curves, "Lemma 1, figure 1 top")["verdict"]
    assert verdict.startswith("too few seeds: the samples leave room for a deviation of ")
