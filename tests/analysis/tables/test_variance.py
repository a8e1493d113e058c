"""Components of variance, against the analysis of variance, and against the model that they are of."""

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed, row

import analysis
from analysis.tables.variance import components


def rows_of(values, **more):
    """values: (campaign, split, seed); seeds of different campaigns are different."""
    return [
        row(role="confirm", seed=100 * campaign + seed, split=split, test=float(value), campaign=str(campaign),
            frozen_from=f"winner{campaign}", hp={"lr": campaign + 1.0}, metric="score", **more)
        for (campaign, split, seed), value in np.ndenumerate(values)
    ]  # fmt: skip


def variances(values, **more):
    table = analysis.variance_table(pd.DataFrame(rows_of(values, **more)))
    return table.set_index("source")["variance"].to_dict()


def test_seeds_and_splits_are_those_of_a_two_way_analysis_of_variance():
    """E(MS_split) = rest + n split, E(MS_seed) = rest + k seed, for k splits and n seeds."""
    k, n = 4, 5
    rng = np.random.default_rng(0)
    values = rng.normal(size=(k, 1)) + 2 * rng.normal(size=(1, n)) + 0.3 * rng.normal(size=(k, n))
    mean = values.mean()
    split_means, seed_means = values.mean(axis=1), values.mean(axis=0)
    ms_split = n * ((split_means - mean) ** 2).sum() / (k - 1)
    ms_seed = k * ((seed_means - mean) ** 2).sum() / (n - 1)
    ms_rest = ((values - split_means[:, None] - seed_means[None, :] + mean) ** 2).sum() / ((k - 1) * (n - 1))
    expected = {"split": (ms_split - ms_rest) / n, "seed": (ms_seed - ms_rest) / k, "rest": ms_rest}
    assert variances(values[None]) == pytest.approx(expected)


def test_the_estimates_are_right_on_average():
    """tuning 1, split 0.5, seed 2, rest 0.25; over 60 draws, five standard errors to each side."""
    rng, scale = np.random.default_rng(1), {"tuning": 1.0, "split": 0.5, "seed": 2.0, "rest": 0.25}
    found = []
    for _ in range(60):
        shape = (4, 4, 4)
        effects = {"tuning": (4, 1, 1), "split": (1, 4, 1), "seed": (4, 1, 4), "rest": shape}
        values = sum(rng.normal(0, scale[name] ** 0.5, part) for name, part in effects.items())
        found.append(_estimates(np.broadcast_to(values, shape)))
    for name in scale:
        drawn = np.array([each[name] for each in found])
        assert abs(drawn.mean() - scale[name]) < 5 * drawn.std() / len(drawn) ** 0.5


def _estimates(values):
    campaign, split, seed = (each.ravel() for each in np.indices(values.shape))
    return components(values.ravel(), campaign, split, 100 * campaign + seed)


def test_with_one_split_the_variance_of_seeds_is_that_of_the_sample():
    values = np.random.default_rng(2).normal(size=(1, 1, 6))
    assert variances(values) == pytest.approx({"seed": values.var(ddof=1)})


def test_each_campaign_has_a_winner_of_its_own():
    table = analysis.variance_table(pd.DataFrame(rows_of(np.array([[[0.0, 0.1]], [[1.0, 1.1]], [[2.0, 2.1]]]))))
    tuning = table.set_index("source").loc["tuning"]
    assert tuning["num_levels"] == 3
    assert tuning["num_trials"] == 6
    # between campaigns half the mean squared difference, less 0.005 between seeds of one
    pairs = [(a - b) ** 2 / 2 for x in range(3) for y in range(3) if x != y
             for a in (x, x + 0.1) for b in (y, y + 0.1)]  # fmt: skip
    assert tuning["variance"] == pytest.approx(np.mean(pairs) - 0.005)


def test_failed_seeds_count_and_infinite_values_have_no_variance():
    table = analysis.variance_table(pd.DataFrame(confirmed("a", [0.5, 0.5, None])))
    assert table["variance"].item() == pytest.approx(np.var([0.5, 0.5, 0.0], ddof=1))
    endless = confirmed("a", [0.5, None], metric="excess_objective", higher=False)
    assert analysis.variance_table(pd.DataFrame(endless)).empty
    assert analysis.variance_table(pd.DataFrame(confirmed("a", [0.5]))).empty


def test_settings_of_a_sweep_are_no_seeds():
    values = np.random.default_rng(3).normal(size=(2, 4)) + np.array([[0.0], [9.0]])
    rows = [
        each for h, of_setting in enumerate(values) for each in confirmed("a", of_setting, role="default", hp={"h": h})
    ]
    table = analysis.variance_table(pd.DataFrame(rows))
    assert table["source"].tolist() == ["seed"]
    assert table["variance"].item() == pytest.approx(values.var(axis=1, ddof=1).mean())


def test_default_trials_are_not_tuned_whichever_campaign_ran_them():
    rows = [
        row(role="default", seed=seed, test=value, campaign=str(seed // 2)) for seed, value in enumerate([1, 2, 5, 9])
    ]
    table = analysis.variance_table(pd.DataFrame(rows))
    assert table.set_index("source")["variance"].to_dict() == pytest.approx({"seed": np.var([1, 2, 5, 9], ddof=1)})


def test_the_notes_are_on_what_this_table_leaves_out():
    searches = []
    for campaign, validation in (("c0", 0.5), ("c1", 0.6)):
        tune = row(role="tune", tune_index=0, validation=validation, hp={"lr": validation}, campaign=campaign)
        frozen = {"frozen_from": tune["trial_id"], "hp": {"lr": validation}, "campaign": campaign}
        seeds = [10 * int(campaign[1]) + seed for seed in range(3)]
        searches += [tune, *(row(seed=seed, test=seed / 100, **frozen) for seed in seeds)]
    trials = pd.DataFrame(searches)
    assert any("3 confirm row(s) left out" in note for note in analysis.notes_of(analysis.current_rows(trials)))
    assert analysis.notes_of(analysis.variance_table(trials)) == []
    former = row(role="tune", tune_index=1, validation=0.4, hp={"lr": 0.4}, campaign="c1")
    stale = row(seed=99, test=0.9, frozen_from=former["trial_id"], hp={"lr": 0.4}, campaign="c1")
    table = analysis.variance_table(pd.DataFrame([*searches, former, stale]))
    (note,) = analysis.notes_of(table)
    assert note == "1 confirm row(s) left out: the search of their campaign has found a better winner since."
    assert set(table["num_trials"]) == {6}
