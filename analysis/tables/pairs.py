"""All contestants against each other over all tasks: how often one is better, and one strength that explains it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.tables.scores import scores_table

PAIR_COLUMNS = ("scale", "regularizer", "rival", "win_rate", "num_tasks")
STRENGTH_COLUMNS = ("scale", "regularizer", "strength", "strength_low", "strength_high", "num_tasks")
ELO_POINTS = 400.0  # per factor of ten in the odds
_PRIOR_WINS = 0.5  # of each over each whom it met: who won always would have no finite strength
_ROUNDS = 500
Losses = Mapping[str, np.ndarray]  # by contestant: the losses of its seeds on one task


def win_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per ordered pair that met on a task; columns `PAIR_COLUMNS`.

    `win_rate` is the mean over their common tasks of the probability of improvement,
    `P(x < y) = (1 / nm) sum_ij [x_i < y_j] + [x_i = y_j] / 2`, over the losses of all pairs of seeds (Agarwal et al.
    2021, "Deep RL at the edge of the statistical precipice", section 4.3). Seeds that failed lose.
    """
    rows = []
    for scale, tasks in _losses(trials).items():
        names = sorted({name for task in tasks for name in task})
        wins, met = _wins(tasks, names)
        rows += [
            (scale, names[i], names[j], wins[i, j] / met[i, j], int(met[i, j]))
            for i, j in zip(*np.where(met > 0), strict=True)
        ]
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def strengths(trials: pd.DataFrame, num_draws: int = 200, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row per contestant, the strongest first; columns `STRENGTH_COLUMNS`, strengths in Elo points with mean 0.

    The model of Bradley and Terry: i beats j with probability `s_i / (s_i + s_j)`; `strength = 400 log10 s`. Fitted to
    the win rates by the iteration of Hunter 2004 (eq. 3), each pair that met with half a win more to both sides. A pair
    that never met is compared by way of the others. The interval is the percentile bootstrap over tasks, and over seeds
    within each cell.
    """
    rng, rows = np.random.default_rng(seed), []
    for scale, tasks in _losses(trials).items():
        names = sorted({name for task in tasks for name in task})
        fitted = _bradley_terry(*_wins(tasks, names))
        drawn = np.array([_bradley_terry(*_wins(_resampled(tasks, rng), names)) for _ in range(num_draws)])
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        counts = [sum(name in task for task in tasks) for name in names]
        rows += [(scale, *row) for row in zip(names, fitted, low, high, counts, strict=True)]
    table = pd.DataFrame(rows, columns=list(STRENGTH_COLUMNS))
    return table.sort_values(["scale", "strength", "regularizer"], ascending=[True, False, True], ignore_index=True)


def _losses(trials: pd.DataFrame) -> dict[str, list[Losses]]:
    """By scale: for each task the losses of every contestant with a score."""
    found: dict[str, list[Losses]] = {}
    for (scale, _), rows in scores_table(trials).groupby(["scale", "task"], sort=True):
        found.setdefault(str(scale), []).append(
            {str(name): cell.to_numpy() for name, cell in rows.groupby("regularizer")["loss"]}
        )
    return found


def _wins(tasks: list[Losses], names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """[i, j]: in how many tasks i was better than j, counted as probabilities of improvement; on how many they met."""
    wins, met = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    for task in tasks:
        here = [place for place, name in enumerate(names) if name in task]
        for position, i in enumerate(here):
            for j in here[position + 1 :]:
                first, second = task[names[i]][:, None], task[names[j]][None, :]
                better = float((first < second).mean() + (first == second).mean() / 2)
                wins[i, j] += better
                wins[j, i] += 1 - better
                met[i, j] += 1
                met[j, i] += 1
    return wins, met


def _bradley_terry(wins: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Strengths in Elo points around 0, by the minorization-maximization of Hunter 2004."""
    games = met + 2 * _PRIOR_WINS * (met > 0)
    won = (wins + _PRIOR_WINS * (met > 0)).sum(axis=1)
    strength = np.ones(len(won))
    for _ in range(_ROUNDS):
        expected = (games / (strength[:, None] + strength[None, :])).sum(axis=1)
        renewed = np.divide(won, expected, out=np.ones_like(won), where=expected > 0)
        renewed /= np.exp(np.log(renewed).mean())
        if np.abs(np.log(renewed / strength)).max() < 1e-9:
            break
        strength = renewed
    return ELO_POINTS * np.log10(strength)


def _resampled(tasks: list[Losses], rng: np.random.Generator) -> list[Losses]:
    chosen = [tasks[place] for place in rng.integers(len(tasks), size=len(tasks))]
    return [
        {name: losses[rng.integers(len(losses), size=len(losses))] for name, losses in task.items()} for task in chosen
    ]
