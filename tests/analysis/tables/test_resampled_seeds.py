"""Bootstrap samples of seeds, which contestants of one task have in common."""

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed
from scipy import stats

import analysis
from analysis.tables.cubes import cubes_of


def test_seeds_are_drawn_together_for_contestants_that_share_them():
    """`a` is better than all others with every seed, and `twin` is `b` once more: no draw can tell otherwise."""
    rng = np.random.default_rng(0)
    rows = []
    for task in ("t1", "t2", "t3", "t4"):
        hard = rng.uniform(0.3, 0.6, 5)  # how hard a seed is: more than the contestants differ
        others = {name: hard + rng.normal(0, 0.02, 5) for name in ("b", "c")}
        values = others | {"a": np.max(list(others.values()), axis=0) + 0.01, "twin": others["b"]}
        rows += [each for name in values for each in confirmed(name, values[name], task)]
    ranks = analysis.rank_intervals(pd.DataFrame(rows), num_draws=100).set_index("regularizer")
    assert ranks.loc["a", ["mean_rank", "low", "high"]].tolist() == [1, 1, 1]
    assert ranks.loc["b"].equals(ranks.loc["twin"])
    strengths = analysis.strengths(pd.DataFrame(rows), num_draws=20).set_index("regularizer")
    assert strengths.loc["b"].drop("num_tasks").tolist() == pytest.approx(
        strengths.loc["twin"].drop("num_tasks").tolist()
    )


def test_each_cell_is_a_bootstrap_sample_of_its_own_seeds_whichever_the_others_have():
    seeds = {"a": [0, 1, 2], "b": [0, 1, 2], "c": [2, 3], "d": [7, 8, 9]}
    scores = pd.DataFrame(
        [("smoke", "t", name, seed, float(seed)) for name, own in seeds.items() for seed in own],
        columns=["scale", "task", "regularizer", "seed", "loss"],
    )
    (cube,) = cubes_of(scores).values()
    rng = np.random.default_rng(0)
    drawn = np.array([cube.with_resampled_seeds(rng).losses[0] for _ in range(3000)])  # (draw, contestant, seed)
    for place, own in enumerate(seeds.values()):
        values = drawn[:, place]
        assert np.isnan(values[:, len(own) :]).all()
        counts = [np.count_nonzero(values == seed) for seed in own]
        assert sum(counts) == 3000 * len(own)
        assert stats.chisquare(counts).pvalue > 1e-3
    a, b, c, d = (drawn[:, place, 0] for place in range(4))
    assert (a == b).all()
    assert np.mean(a == c) == pytest.approx(1 / 4, abs=0.04)  # one of the four seeds that either has is common
    assert stats.chi2_contingency(pd.crosstab(a, d)).pvalue > 1e-3, "other seeds are drawn independently"
