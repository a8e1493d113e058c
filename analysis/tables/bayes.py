"""The Bayesian signed-rank test: over tasks, the probability that one contestant is better, or both are equivalent."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.rows.bounds import bounds_of
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.rounding import is_rounding
from analysis.shown.column import ALWAYS, number, text
from analysis.shown.formats import share
from analysis.tables.cubes import cubes_of
from analysis.tables.scores import scores_table
from analysis.tables.statistic import Statistic

BAYES_COLUMNS = ("scale", "regularizer", "rival", "better", "equivalent", "worse", "rope", "num_tasks")
ROPE = 0.01  # one point of accuracy, as in Benavoli et al. 2017
_PRIOR_WEIGHT = 0.5  # of the pseudo-task of the prior, on which there is no difference
_FEWEST = 2  # tasks
_BLOCK = 128  # draws at a time: they fit the cache, and are too few for BLAS to start threads, which would cost more


def signed_rank_probabilities(
    trials: pd.DataFrame, rope: float = ROPE, num_draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """The Bayesian signed-rank test over tasks: one row per pair of contestants with two common tasks or more.

    Let z_1 ... z_n be the differences of the means on the n common tasks, positive if the first contestant is better,
    z_0 = 0, and w ~ Dirichlet(1/2, 1, ..., 1). Then theta_better = sum_ij w_i w_j [z_i + z_j > 2 rope], theta_worse is
    the same sum with [z_i + z_j < -2 rope], and theta_equivalent = 1 - theta_better - theta_worse; ties count one half.
    `better`, `equivalent` and `worse` are the posterior probabilities that this theta is the largest of the three,
    estimated by `num_draws` draws of w (Benavoli et al. 2014, "A Bayesian Wilcoxon signed-rank test based on the
    Dirichlet process"; with a region of practical equivalence, `rope`: Benavoli et al. 2017, "Time for a change", JMLR
    18(77)).

    One `rope` fits only metrics of one unit. The test therefore uses the tasks whose metric is an accuracy, in [0, 1];
    a note names the others.

    The columns:

    - `scale`, `regularizer`, `rival`
    - `better`, `equivalent`, `worse`: posterior probabilities; they sum to 1
    - `rope`: as given
    - `num_tasks`: number of common tasks

    Args:
        trials: from `load_trials`, or a `scores_table`.
        rope: the largest difference of accuracies that does not matter, >= 0.
        num_draws: number of draws of w.
        seed: of the draws.

    Raises:
        ValueError: if `rope` is negative.
    """
    if rope < 0:
        raise ValueError(f"rope must be >= 0, the largest difference that does not matter; got {rope}.")
    scores = scores_table(trials)
    is_share = scores["metric"].map(lambda metric: bounds_of(metric) == (0.0, 1.0)).astype(bool)
    others = sorted(set(scores.loc[~is_share, "task"]))
    rows = []
    for scale, cube in cubes_of(scores[is_share]).items():
        weights_of: dict[int, np.ndarray] = {}  # by number of tasks: all pairs share the draws
        for i, j in combinations(range(len(cube.names)), 2):
            z = (cube.means[:, j] - cube.means[:, i])[(cube.counts[:, i] > 0) & (cube.counts[:, j] > 0)]
            if len(z) < _FEWEST:
                continue
            if len(z) not in weights_of:
                draws = np.random.default_rng([seed, len(z)])  # a stream of their own, whichever pairs there are
                weights_of[len(z)] = draws.dirichlet([_PRIOR_WEIGHT, *[1.0] * len(z)], num_draws)
            rows.append((scale, cube.names[i], cube.names[j], *_largest(z, weights_of[len(z)], rope), rope, len(z)))
    notes = [f"The signed-rank test leaves out tasks whose metric is not an accuracy: {', '.join(others)}."]
    return with_notes(pd.DataFrame(rows, columns=list(BAYES_COLUMNS)), notes_of(scores), notes if others else [])


def _largest(z: np.ndarray, weights: np.ndarray, rope: float) -> tuple[float, float, float]:
    """The shares of draws in which theta of better, equivalent and worse is the largest; ties are split."""
    padded = np.concatenate([[0.0], z])
    sums = padded[:, None] + padded[None, :]
    beyond = [sign * sums - 2 * rope for sign in (1, -1)]
    sizes = np.ones_like(sums)  # accuracies are at most 1
    counted = [np.heaviside(np.where(is_rounding(each, sizes), 0.0, each), 0.5) for each in beyond]
    blocks = [weights[start : start + _BLOCK] for start in range(0, len(weights), _BLOCK)]
    better, worse = (np.concatenate([((block @ each) * block).sum(axis=1) for block in blocks]) for each in counted)
    thetas = np.stack([better, 1 - better - worse, worse])
    is_largest = thetas >= thetas.max(axis=0) - 1e-12
    better, equivalent, worse = (is_largest / is_largest.sum(axis=0)).mean(axis=1)
    return float(better), float(equivalent), float(worse)


def _likelier_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per pair, with the contestant first that is more probably better; sorted by that probability."""
    turned = pairs.rename(
        columns={"regularizer": "rival", "rival": "regularizer", "better": "worse", "worse": "better"}
    )
    ahead = pairs["better"] >= pairs["worse"]
    both = pd.concat([pairs[ahead], turned[~ahead][pairs.columns]])
    return both.sort_values(["better", "regularizer", "rival"], ascending=[False, True, True])


BAYES = Statistic(
    title="Bayesian signed-rank test",
    source="Posterior probabilities that one is better, or that both are within one point of accuracy (Benavoli et "
    "al. 2014 and 2017).",
    make=signed_rank_probabilities,
    columns=(
        text("regularizer", weight=ALWAYS),
        text("rival", weight=ALWAYS),
        number("better", show=share, legend="Probability that the first is better than the rival.", weight=ALWAYS),
        number("equivalent", show=share, legend="Probability that they are within 0.01 of accuracy.", weight=ALWAYS),
        number("worse", show=share, legend="Probability that the first is worse than the rival.", weight=ALWAYS),
        number("num_tasks", "tasks", weight=40),
    ),
    view=_likelier_ones,
    absent="No two contestants ran together on two tasks that measure accuracy.",
)
