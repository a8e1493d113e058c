"""Chapter 4 of the thesis beside our rows: claims with verdicts, figures, and all 34 reported values."""

import re
from statistics import stdev

import numpy as np
import pandas as pd
import pytest
from result_rows import one_file, row

import analysis
from analysis.papers.claims.claim import FAILS, HOLDS, Results
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED
from analysis.papers.thesis.co_adaptation import PLAIN, SYMMETRISED
from analysis.papers.thesis.co_adaptation import RATES as FLOW_RATES
from analysis.papers.thesis.co_adaptation import WIDTHS as FLOW_WIDTHS
from analysis.papers.thesis.co_adaptation_claims import CO_ADAPTATION_CLAIMS
from analysis.papers.thesis.co_adaptation_figures import co_adaptation_figures
from analysis.papers.thesis.completion import RATES, WIDTHS, best_dropout, rows_of
from analysis.papers.thesis.completion_claims import COMPLETION_CLAIMS
from analysis.papers.thesis.completion_figures import completion_curves, completion_tables

BY_NAME = {claim.name: claim for claim in (*COMPLETION_CLAIMS, *CO_ADAPTATION_CLAIMS)}
BEST_ITERATE = "Table 4-I, best iterate"
SEEDS = range(3)


def of_table(width=70, rate=0.0, seed=0, test=1.0, train=0.6, oracle=1.0, scale="paper", dataset="", **metrics):
    """One trial of table 4-I."""
    return row(
        f"thesis-table4-1{dataset}-width-{width}",
        "dropout" if rate else "none",
        "default",
        seed,
        test,
        train,
        scale=scale,
        metric="rmse",
        higher=False,
        hp={"learning_rate": 1.0, **({"drop_rate": rate} if rate else {})},
        train_value=train,
        metrics={"oracle_rmse": oracle, **metrics},
    )


def whole_table(oracle, dropout, seeds=SEEDS, **more):
    """All widths and rates; `oracle` and `dropout` say an error by width, rate and seed."""
    rows = []
    for width in WIDTHS:
        for seed in seeds:
            rows.append(of_table(width, seed=seed, oracle=oracle(width, 0.0, seed), **more))
            rows += [of_table(width, rate, seed, dropout(width, rate, seed), **more) for rate in RATES]
    return rows


def judged(name, folder, rows):
    return BY_NAME[name].judge(Results(trials=one_file(folder, rows), curves=pd.DataFrame()))


@pytest.mark.parametrize(
    ("gain", "seeds", "more", "verdict"),
    [
        (0.05, SEEDS, {"scale": "smoke"}, HOLDS),
        (0.05, range(1), {}, ONE_SEED),
        (0.012, SEEDS, {}, UNDECIDED),
        (-0.05, SEEDS, {}, "not comparable: measured on MovieLens-100K, not on the thesis's MovieLens-10M"),
        (-0.05, SEEDS, {"dataset": "-10m"}, FAILS),
        (
            -0.05,
            SEEDS,
            {"dataset": "-10m", "scale": "short"},
            "not comparable: scale short ends training too early to contradict it",
        ),
    ],
)
def test_dropout_beats_the_best_iterate_where_the_seeds_are_sure(tmp_path, gain, seeds, more, verdict):
    rows = whole_table(
        lambda width, rate, seed: 1.0 + 0.001 * seed,
        lambda width, rate, seed: 1.0 - gain + 0.1 * (rate != 0.3) + 0.001 * (-seed),
        seeds,
        **more,
    )
    assert judged(BEST_ITERATE, tmp_path, rows).verdict == verdict


def test_one_width_that_did_not_run_leaves_the_table_open(tmp_path):
    rows = whole_table(lambda *_: 1.0, lambda width, rate, seed: 0.9 + 0.001 * seed)
    rows = [each for each in rows if each["task"] != "thesis-table4-1-width-110"]
    assert judged(BEST_ITERATE, tmp_path, rows) is None


def test_the_rate_of_a_seed_is_chosen_by_the_others(tmp_path):
    errors = {0.1: (0.5, 1.0, 1.0), 0.2: (0.9, 0.9, 0.95), 0.3: (2.0, 2.0, 2.0), 0.4: (2.0, 2.0, 2.0)}
    rows = [of_table(70, rate, seed, errors[rate][seed]) for rate in RATES for seed in SEEDS]
    table = rows_of(one_file(tmp_path, rows), "MovieLens-100K", 70)
    # seed 0: the others' means are 1.0 and 0.925; seed 1: 0.75 and 0.925; seed 2: 0.75 and 0.9
    assert best_dropout(table) == {0: 0.9, 1: 1.0, 2: 1.0}


@pytest.mark.slow
def test_equal_contestants_seldom_earn_an_order_of_widths(tmp_path):
    rng, holds = np.random.default_rng(0), 0
    rows = whole_table(lambda *_: 1.0, lambda *_: 1.0, range(5))
    trials = one_file(tmp_path, rows)
    for _ in range(40):
        noisy = trials.assign(test_value=rng.normal(1.0, 0.01, len(trials)))
        judgement = BY_NAME["Table 4-I, widths"].judge(Results(trials=noisy, curves=pd.DataFrame()))
        holds += judgement.verdict == HOLDS
    assert holds <= 2


@pytest.mark.parametrize(("step", "verdict"), [(0.1, HOLDS), (0.0, UNDECIDED), (-0.1, FAILS)])
def test_errors_and_gaps_follow_the_rate(tmp_path, step, verdict):
    rows = [
        of_table(70, rate, seed, test=1.0, train=0.5 + step * rate + 0.001 * ((seed * 7 + int(10 * rate)) % 3))
        for rate in (0.0, *RATES)
        for seed in SEEDS
    ]
    for name in ("Figure 4-1, training error", "Figure 4-1, gap"):
        assert judged(name, tmp_path / name.replace(" ", "-"), rows).verdict == verdict


def test_the_law_and_the_bound_are_judged_on_every_trial(tmp_path):
    def rows(deviation, induced):
        return [
            of_table(
                rate=0.2,
                seed=seed,
                dropout_deviation=deviation * (-1) ** seed,
                dropout_objective=1.0,
                sampling_error=0.002,
                induced_regularizer=induced,
                population_regularizer=1.0,
            )
            for seed in range(4)
        ]

    law, bound = "Proposition 3, completion", "Proposition 4"
    assert judged(law, tmp_path / "a", rows(0.002, 0.9)).verdict == HOLDS
    assert judged(law, tmp_path / "b", rows(0.02, 0.9)).verdict == FAILS
    assert judged(bound, tmp_path / "a2", rows(0.002, 1.0)).verdict == HOLDS
    assert judged(bound, tmp_path / "b2", rows(0.002, 1.01)).verdict == FAILS


def test_a_sampling_that_could_not_show_a_deviation_is_too_few(tmp_path):
    rows = [of_table(rate=0.2, dropout_deviation=0.01, dropout_objective=1.0, sampling_error=0.05)]
    assert judged("Proposition 3, completion", tmp_path, rows).verdict.startswith("too few seeds")


def test_the_best_rate_is_a_claim_about_the_papers_data_alone(tmp_path):
    def rows(dataset):
        return [
            of_table(70, rate, seed, abs(rate - 0.3) + 0.001 * (seed * int(10 * rate) % 3), dataset=dataset)
            for rate in RATES
            for seed in SEEDS
        ]

    assert judged("Table 4-I, best rate", tmp_path / "a", rows("-10m")).verdict == HOLDS
    others = [{**each, "test_value": 2 - each["test_value"]} for each in rows("")]
    assert "measured on MovieLens-100K" in judged("Table 4-I, best rate", tmp_path / "b", others).verdict


def test_all_reported_values_stand_beside_ours_and_other_data_is_not_compared(tmp_path):
    paper = [
        of_table(width, rate, seed, 0.78 + 0.001 * seed, oracle=0.77, dataset="-10m")
        for width in WIDTHS
        for rate in (0.0, *RATES)
        for seed in SEEDS
    ]
    table = analysis.compare_with_papers(one_file(tmp_path / "a", paper), "dropout_theory")
    table = table[table["experiment"] == "table4-1"]
    assert len(table) == 30
    assert set(table["num_seeds"]) == {3}
    assert set(table[table["method"] == "early_stopping"]["ours"].round(6)) == {0.77}
    assert set(table[table["method"] == "dropout"]["ours"].round(6)) == {0.781}
    assert set(table["verdict"]) <= {"agrees", "differs"}
    other = [of_table(70, 0.2, seed, 0.96) for seed in SEEDS]
    table = analysis.compare_with_papers(one_file(tmp_path / "b", other), "dropout_theory")
    (found,) = table[(table["task"] == "thesis-table4-1-width-70") & table["num_seeds"].gt(0)].to_dict("records")
    assert (found["verdict"], round(found["ours"], 6)) == ("not comparable: measured on MovieLens-100K", 0.96)


def test_errors_of_ratings_that_scatter_agree_with_nothing(tmp_path):
    rows = [of_table(70, 0.2, seed, error, dataset="-10m") for seed, error in enumerate([0.76, 0.80])]
    table = analysis.compare_with_papers(one_file(tmp_path, rows), "dropout_theory")
    half = 12.7062 * stdev([0.76, 0.80]) * (1 + 1 / 2) ** 0.5  # 97.5 % of Student's t with 1 degree of freedom
    assert table.loc[table["ours"].notna(), "verdict"].tolist() == [
        f"too few seeds: any value within {half:.3f} of ours would agree"
    ]


def test_the_table_and_the_curves_are_drawn(tmp_path):
    rows = [of_table(width, rate, seed) for width in WIDTHS for rate in (0.0, *RATES) for seed in (0, 1)]
    trials = one_file(tmp_path, rows)
    curves = pd.DataFrame(
        [
            (trial, epoch, split, "rmse", 1.0 + 1 / (1 + epoch))
            for trial in trials[trials["task"] == "thesis-table4-1-width-70"]["trial_id"]
            for epoch in range(6)
            for split in ("validation", "test")
        ],
        columns=["trial_id", "epoch", "split", "metric", "value"],
    )
    assert [name for name, *_ in completion_tables(trials, curves, {})] == ["thesis-table4-1"]
    ((name, title, figure),) = completion_curves(trials, curves, {})
    assert (name, len(figure.axes)) == ("thesis-fig4-1", 3)
    assert "MovieLens-100K" in title
    assert completion_curves(trials, curves.iloc[:0], {}) == []


def of_flow(kind, width, rate, seed, **readings):
    """One trial of figure 4-2, by default as the thesis claims: every quantity moves with width and rate."""
    noise = 0.001 * ((seed * 5 + width + int(100 * rate)) % 3)
    size = np.log2(width)
    claimed = {
        "co_adaptation": 0.8 + 0.1 * rate - 0.02 * size + noise / 10,
        "generalization_gap": 0.02 * size - 0.05 * rate + noise,
        "alpha_over_sqrt_n": 0.01 * size - 0.03 * rate + noise,
        "accuracy": 0.99,
        "train_accuracy": 1.0,
        "flow_excess": -0.1,
    }
    return row(
        f"{kind}-width-{width}",
        "dropout" if rate else "none",
        "default",
        seed,
        0.02,
        0.01,
        scale="paper",
        metric="squared_error",
        higher=False,
        hp={"learning_rate": 1e-3, **({"drop_rate": rate} if rate else {})},
        metrics=claimed | readings,
    )


def all_flows(**readings):
    return [
        of_flow(kind, width, rate, seed, **readings)
        for kind in (PLAIN, SYMMETRISED)
        for width in FLOW_WIDTHS
        for rate in FLOW_RATES
        for seed in range(5)
    ]


def test_what_moves_as_claimed_bears_figure_4_2_out(tmp_path):
    results = Results(trials=one_file(tmp_path, all_flows()), curves=pd.DataFrame())
    assert {claim.judge(results).verdict for claim in CO_ADAPTATION_CLAIMS} == {HOLDS}
    ((name, _, figure),) = co_adaptation_figures(results.trials, results.curves, {})
    assert (name, len(figure.axes)) == ("thesis-fig4-2", 6)


def test_the_bands_of_figure_4_2_are_one_sample_standard_deviation_wide(tmp_path):
    trials = one_file(tmp_path, all_flows())
    ((_, _, figure),) = co_adaptation_figures(trials, pd.DataFrame(), {})
    band = figure.axes[0].collections[0].get_paths()[0].vertices  # symmetrised, drop rate 0
    for width in FLOW_WIDTHS:
        cell = (trials["task"] == f"{SYMMETRISED}-width-{width}") & (trials["regularizer"] == "none")
        ends = band[band[:, 0] == width, 1]
        assert np.ptp(ends) == pytest.approx(2 * stdev(trials.loc[cell, "metric.co_adaptation"]))


def test_what_stands_still_does_not(tmp_path):
    still = {"co_adaptation": 0.9, "generalization_gap": 0.01, "alpha_over_sqrt_n": 0.02, "flow_excess": 0.1}
    rows = all_flows(**still)
    for place, each in enumerate(rows):
        each["metric.accuracy"] = 0.99 - 0.02 * (SYMMETRISED in each["task"]) + 1e-5 * (place % 3)
    results = Results(trials=one_file(tmp_path, rows), curves=pd.DataFrame())
    verdicts = {claim.name: claim.judge(results).verdict for claim in CO_ADAPTATION_CLAIMS}
    assert HOLDS not in verdicts.values()
    assert verdicts["Figure 4-2, bound of the flow"] == FAILS
    assert verdicts["Figure 4-2, symmetrised, accuracy"] == FAILS


def test_the_reported_training_accuracies_stand_beside_the_widest_network(tmp_path):
    table = analysis.compare_with_papers(one_file(tmp_path, all_flows()), "dropout_theory")
    table = table[table["experiment"] == "fig4-2-text"]
    assert set(table["task"]) == {"thesis-fig4-2-width-256"}
    assert (len(table), set(table["ours"])) == (4, {100.0})


def diverged(trial):
    """The row of the same trial, had it diverged: without values."""
    lost = {name: None for name in trial if name.startswith("metric.") or name.endswith("_value")}
    return {**trial, **lost, "status": "diverged"}


@pytest.mark.parametrize(
    ("name", "rate", "is_read"),
    [
        (BEST_ITERATE, 0.0, True),
        (BEST_ITERATE, 0.3, True),
        ("Table 4-I, widths", 0.0, False),
        ("Table 4-I, best rate", 0.3, True),
        ("Figure 4-1, training error", 0.4, True),
    ],
)
def test_an_entry_with_a_failed_seed_has_no_value(tmp_path, name, rate, is_read):
    rows = whole_table(
        lambda width, rate, seed: 1.0 + 0.001 * seed,
        lambda width, rate, seed: 0.9 + 0.1 * abs(rate - 0.3) - 0.0001 * width + 0.001 * seed,
        dataset="-10m",
    )
    before = judged(name, tmp_path / "before", rows).verdict
    lost = [each["task"].endswith("-70") and each["seed"] == 1 and _rate(each) == rate for each in rows]
    assert sum(lost) == 1
    rows = [diverged(each) if is_lost else each for each, is_lost in zip(rows, lost, strict=True)]
    found = judged(name, tmp_path / "after", rows)
    if not is_read:
        assert found.verdict == before
    elif name == BEST_ITERATE and rate:
        assert found.verdict == before == HOLDS  # another rate is better than none without the one that diverges
    else:
        assert found.verdict == "not comparable: no value, as 1 trial(s) failed (1 diverged)"


def _rate(trial):
    return trial.get("hp.drop_rate") or 0.0


@pytest.mark.parametrize("name", ["Figure 4-2, phi by rate", "Figure 4-2, flow orders the gap"])
def test_a_cell_of_figure_4_2_with_a_failed_seed_has_no_value(tmp_path, name):
    rows = all_flows()
    place = next(place for place, each in enumerate(rows) if _rate(each) == 0.5)
    rows[place] = diverged(rows[place])
    assert judged(name, tmp_path, rows).verdict == "not comparable: no value, as 1 trial(s) failed (1 diverged)"


def test_the_interval_of_a_rank_correlation_is_within_1(tmp_path):
    rows = all_flows()
    places = [place for place, each in enumerate(rows) if _rate(each) == 0.5]
    name = "metric.generalization_gap"
    rows[places[0]] = rows[places[0]] | {name: rows[places[0]][name] + 0.02}  # out of order in one seed
    found = judged("Figure 4-2, flow orders the gap", tmp_path, rows)
    mean, low, high = map(float, re.search(r": (\S+), 95 % interval (\S+) to (\S+)", found.measured).groups())
    assert 0 < low < mean < high <= 1


def test_a_failed_seed_has_accuracy_0_in_figure_4_2(tmp_path):
    rows = all_flows()
    place = next(place for place, each in enumerate(rows) if SYMMETRISED in each["task"])
    rows[place] = diverged(rows[place])
    found = judged("Figure 4-2, symmetrised, accuracy", tmp_path, rows)
    assert found.verdict == UNDECIDED
    assert "+0.1980" in found.measured  # 0.99 / 5


def test_what_did_not_run_has_no_judgement_and_no_figure(tmp_path):
    trials = one_file(tmp_path, [row("digits", "none", "default", 0, 0.9, 0.9)])
    results = Results(trials=trials, curves=pd.DataFrame({"trial_id": [], "metric": [], "split": []}))
    assert {claim.judge(results) for claim in BY_NAME.values()} == {None}
    for make in (completion_tables, completion_curves, co_adaptation_figures):
        assert make(trials, results.curves, {}) == []
