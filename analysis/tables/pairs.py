"""Pairwise comparisons over all tasks: win rates, and the strengths of a Bradley-Terry model fitted to them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.notes import notes_of, with_notes
from analysis.shown.column import ALWAYS, interval, number, text
from analysis.shown.drawing import Drawing
from analysis.shown.formats import points, share
from analysis.tables.cubes import Cube, cubes_of
from analysis.tables.scores import scores_table
from analysis.tables.statistic import Statistic

PAIR_COLUMNS = ("scale", "regularizer", "rival", "win_rate", "num_tasks")
STRENGTH_COLUMNS = ("scale", "regularizer", "strength", "strength_low", "strength_high", "num_tasks")
ELO_POINTS = 400.0  # per factor of ten in the odds
_PRIOR_WINS = 0.5  # for both contestants of a pair; without it, one that always wins would have infinite strength
_MOST_ITERATIONS = 500


def win_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """Win rates: one row per ordered pair of contestants with a common task.

    The win rate is the probability of improvement, `P(x < y) = (1 / nm) sum_ij ([x_i < y_j] + [x_i = y_j] / 2)` over
    the losses of all n x m pairs of seeds, as a mean over the common tasks (Agarwal et al. 2021, "Deep RL at the edge
    of the statistical precipice", section 4.3). Failed seeds have the worst value of the metric.

    The columns:

    - `scale`, `regularizer`, `rival`
    - `win_rate`: probability that a run of `regularizer` is better than one of `rival`, in [0, 1]
    - `num_tasks`: number of common tasks

    Args:
        trials: from `load_trials`, or a `scores_table`.
    """
    scores, rows = scores_table(trials), []
    for scale, cube in cubes_of(scores).items():
        wins, met = _wins(cube)
        rows += [
            (scale, cube.names[i], cube.names[j], wins[i, j] / met[i, j], int(met[i, j]))
            for i, j in zip(*np.where(met > 0), strict=True)
        ]
    return with_notes(pd.DataFrame(rows, columns=list(PAIR_COLUMNS)), notes_of(scores))


def strengths(trials: pd.DataFrame, num_draws: int = 200, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Strengths of the Bradley-Terry model: one row per contestant, the strongest first.

    In the model, i is better than j with probability `s_i / (s_i + s_j)`. It is fitted to the win rates by the
    iteration of Hunter 2004 (eq. 3), after adding half a win to both sides of each pair with a common task.
    Contestants without a common task are compared through those that they have both met. The interval is the
    percentile bootstrap over tasks, and over seeds within each task, drawn for all contestants together. A sample of
    tasks on which a contestant meets nobody says nothing about it and is left out of its interval.

    The columns:

    - `scale`, `regularizer`
    - `strength`: `400 log10 s` in Elo points, with mean 0; 400 points more are ten times the odds
    - `strength_low`, `strength_high`: ends of the interval
    - `num_tasks`: number of tasks of the contestant

    Args:
        trials: from `load_trials`, or a `scores_table`.
        num_draws: number of bootstrap samples.
        confidence: of the interval, between 0 and 1.
        seed: of the bootstrap.
    """
    scores, rows = scores_table(trials), []
    for scale, cube in cubes_of(scores).items():
        rng = np.random.default_rng(seed)  # for each scale, so that no scale changes the interval of another
        wins, met = zip(_wins(cube), *(_wins(cube.resampled(rng)) for _ in range(num_draws)), strict=True)
        fitted, *drawn = _bradley_terry(np.array(wins), np.array(met))
        num_met = np.array(met).sum(axis=2)
        told = np.where((num_met[1:] > 0) | (num_met[0] == 0), drawn, np.nan)
        low, high = np.nanquantile(told, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        counts = (cube.counts > 0).sum(axis=0)
        rows += [(scale, *row) for row in zip(cube.names, fitted, low, high, counts, strict=True)]
    table = pd.DataFrame(rows, columns=list(STRENGTH_COLUMNS))
    ordered = table.sort_values(["scale", "strength", "regularizer"], ascending=[True, False, True], ignore_index=True)
    return with_notes(ordered, notes_of(scores))


def _wins(cube: Cube) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays (i, j): the sum over tasks of the probability that i improves on j, and the number of common tasks."""
    wins = np.zeros((len(cube.names), len(cube.names)))
    for losses, counts in zip(cube.losses, cube.counts, strict=True):  # one task at a time to save memory
        first, second = losses[:, None, :, None], losses[None, :, None, :]  # NaN is neither smaller nor equal
        better = (first < second).sum(axis=(2, 3)) + (first == second).sum(axis=(2, 3)) / 2
        wins += better / np.maximum(counts[:, None] * counts[None, :], 1)
    present = (cube.counts > 0).astype(float)
    np.fill_diagonal(wins, 0.0)
    return wins, present.T @ present * (1 - np.eye(len(cube.names)))


def _bradley_terry(wins: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Strengths in Elo points with mean 0, by the MM algorithm of Hunter 2004; axis 0 is the bootstrap sample."""
    games = met + 2 * _PRIOR_WINS * (met > 0)
    won = (wins + _PRIOR_WINS * (met > 0)).sum(axis=2)
    strength = np.ones_like(won)
    for _ in range(_MOST_ITERATIONS):
        expected = (games / (strength[:, :, None] + strength[:, None, :])).sum(axis=2)
        renewed = np.divide(won, expected, out=np.ones_like(won), where=expected > 0)
        renewed /= np.exp(np.log(renewed).mean(axis=1, keepdims=True))
        if np.abs(np.log(renewed / strength)).max(initial=0.0) < 1e-9:
            break
        strength = renewed
    points: np.ndarray = ELO_POINTS * np.log10(strength)
    return points


STRENGTHS = Statistic(
    title="Bradley-Terry strengths",
    source="Model of the win rates (Bradley and Terry 1952), fitted by the algorithm of Hunter (2004), in Elo "
    "points with mean 0.",
    make=strengths,
    columns=(
        text("regularizer", weight=ALWAYS),
        number(
            "strength",
            "strength, Elo points",
            points,
            legend="Of the Bradley-Terry model, with mean 0; a lead of 400 points means odds of 10 to 1.",
            weight=ALWAYS,
        ),
        interval(
            "strength_low",
            "strength_high",
            "95 % interval",
            points,
            legend="Bootstrap over tasks and seeds.",
            weight=80,
        ),
        number("num_tasks", "tasks", weight=40),
    ),
    drawing=Drawing(
        kind="intervals",
        value="strength",
        low="strength_low",
        high="strength_high",
        label="strength, Elo points (higher is better)",
        reference=0.0,
    ),
)


def _better_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per pair, with the better contestant first; sorted by win rate, the largest first."""
    ahead = pairs["win_rate"].gt(0.5) | (pairs["win_rate"].eq(0.5) & (pairs["regularizer"] < pairs["rival"]))
    return pairs[ahead].sort_values(["win_rate", "regularizer", "rival"], ascending=[False, True, True])


PAIRS = Statistic(
    title="win rates of pairs",
    source="Probability of improvement (Agarwal et al. 2021, section 4.3), mean over common tasks.",
    make=win_rates,
    columns=(
        text("regularizer", "better", weight=ALWAYS),
        text("rival", weight=ALWAYS),
        number(
            "win_rate",
            show=share,
            legend="Probability that a run of the first is better than one of the rival, mean over their common tasks.",
            weight=ALWAYS,
        ),
        number("num_tasks", "tasks", weight=40),
    ),
    view=_better_ones,
    drawing=Drawing(
        kind="matrix",
        value="win_rate",
        across="rival",
        caption="Blue: the row is more often better than the column; orange: more often worse.",
    ),
)
