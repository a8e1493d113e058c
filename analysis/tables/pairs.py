"""All contestants against each other over all tasks: how often one is better, and one strength that explains it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.notes import notes_of, with_notes
from analysis.tables.cubes import Cube, cubes_of
from analysis.tables.scores import scores_table

PAIR_COLUMNS = ("scale", "regularizer", "rival", "win_rate", "num_tasks")
STRENGTH_COLUMNS = ("scale", "regularizer", "strength", "strength_low", "strength_high", "num_tasks")
ELO_POINTS = 400.0  # per factor of ten in the odds
_PRIOR_WINS = 0.5  # of each over each whom it met: who won always would have no finite strength
_ROUNDS = 500


def win_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per ordered pair that met on a task; columns `PAIR_COLUMNS`.

    `win_rate` is the mean over their common tasks of the probability of improvement,
    `P(x < y) = (1 / nm) sum_ij [x_i < y_j] + [x_i = y_j] / 2`, over the losses of all pairs of seeds (Agarwal et al.
    2021, "Deep RL at the edge of the statistical precipice", section 4.3). Seeds that failed lose.
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
    """One row per contestant, the strongest first; columns `STRENGTH_COLUMNS`, strengths in Elo points with mean 0.

    The model of Bradley and Terry: i beats j with probability `s_i / (s_i + s_j)`; `strength = 400 log10 s`. Fitted to
    the win rates by the iteration of Hunter 2004 (eq. 3), each pair that met with half a win more to both sides. A pair
    that never met is compared by way of the others. The interval is the percentile bootstrap over tasks, and over seeds
    within each cell.
    """
    scores, rng, rows = scores_table(trials), np.random.default_rng(seed), []
    for scale, cube in cubes_of(scores).items():
        wins, met = zip(_wins(cube), *(_wins(cube.resampled(rng)) for _ in range(num_draws)), strict=True)
        fitted, *drawn = _bradley_terry(np.array(wins), np.array(met))
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        counts = (cube.counts > 0).sum(axis=0)
        rows += [(scale, *row) for row in zip(cube.names, fitted, low, high, counts, strict=True)]
    table = pd.DataFrame(rows, columns=list(STRENGTH_COLUMNS))
    ordered = table.sort_values(["scale", "strength", "regularizer"], ascending=[True, False, True], ignore_index=True)
    return with_notes(ordered, notes_of(scores))


def _wins(cube: Cube) -> tuple[np.ndarray, np.ndarray]:
    """[i, j]: in how many tasks i was better than j, counted as probabilities of improvement; on how many they met."""
    wins = np.zeros((len(cube.names), len(cube.names)))
    for losses, counts in zip(cube.losses, cube.counts, strict=True):  # task by task: all at once take much memory
        first, second = losses[:, None, :, None], losses[None, :, None, :]  # NaN is neither smaller nor equal
        better = (first < second).sum(axis=(2, 3)) + (first == second).sum(axis=(2, 3)) / 2
        wins += better / np.maximum(counts[:, None] * counts[None, :], 1)
    present = (cube.counts > 0).astype(float)
    np.fill_diagonal(wins, 0.0)
    return wins, present.T @ present * (1 - np.eye(len(cube.names)))


def _bradley_terry(wins: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Strengths in Elo points around 0, by the minorization-maximization of Hunter 2004; draw by draw on axis 0."""
    games = met + 2 * _PRIOR_WINS * (met > 0)
    won = (wins + _PRIOR_WINS * (met > 0)).sum(axis=2)
    strength = np.ones_like(won)
    for _ in range(_ROUNDS):
        expected = (games / (strength[:, :, None] + strength[:, None, :])).sum(axis=2)
        renewed = np.divide(won, expected, out=np.ones_like(won), where=expected > 0)
        renewed /= np.exp(np.log(renewed).mean(axis=1, keepdims=True))
        if np.abs(np.log(renewed / strength)).max(initial=0.0) < 1e-9:
            break
        strength = renewed
    points: np.ndarray = ELO_POINTS * np.log10(strength)
    return points
