"""Scores as arrays (task, contestant, seed), and bootstrap samples of them, for the statistics over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Cube:
    """The losses of one scale; smaller is better, infinite for failed seeds of an unbounded metric.

    Attributes:
        tasks: labels of the first axis.
        names: labels of the second axis, the contestants.
        losses: shape (task, contestant, seed); NaN after the last seed of a cell.
        counts: shape (task, contestant); number of seeds of each cell, 0 if the contestant has no score.
    """

    tasks: tuple[str, ...]
    names: tuple[str, ...]
    losses: np.ndarray
    counts: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean losses, shape (task, contestant); NaN if the contestant has no score on the task."""
        total = np.where(np.isnan(self.losses), 0.0, self.losses).sum(axis=2)
        return np.where(self.counts > 0, total / np.maximum(self.counts, 1), np.nan)

    def with_resampled_seeds(self, rng: np.random.Generator) -> Cube:
        """A bootstrap sample of the seeds of each cell, of the same size."""
        places = (rng.random(self.losses.shape) * self.counts[:, :, None]).astype(int)
        drawn = np.take_along_axis(self.losses, places, axis=2)
        is_seed = np.arange(self.losses.shape[2]) < self.counts[:, :, None]
        return self._with(self.tasks, np.where(is_seed, drawn, np.nan), self.counts)

    def resampled(self, rng: np.random.Generator) -> Cube:
        """A bootstrap sample of the tasks, of the same size, and of the seeds within each of their cells."""
        chosen = rng.integers(len(self.tasks), size=len(self.tasks))
        tasks = tuple(self.tasks[place] for place in chosen)
        return self._with(tasks, self.losses[chosen], self.counts[chosen]).with_resampled_seeds(rng)

    def _with(self, tasks: tuple[str, ...], losses: np.ndarray, counts: np.ndarray) -> Cube:
        return Cube(tasks=tasks, names=self.names, losses=losses, counts=counts)


def cubes_of(scores: pd.DataFrame, column: str = "loss") -> Mapping[str, Cube]:
    """One cube for each scale, from a column of a `scores_table`; tasks and contestants are sorted by name."""
    return {str(scale): _cube(rows, column) for scale, rows in scores.groupby("scale", sort=True)}


def _cube(rows: pd.DataFrame, column: str) -> Cube:
    ordered = rows.sort_values(["task", "regularizer", "seed"], kind="stable")
    tasks, names = (sorted(set(ordered[key])) for key in ("task", "regularizer"))
    task = ordered["task"].map({name: place for place, name in enumerate(tasks)}).to_numpy()
    name = ordered["regularizer"].map({name: place for place, name in enumerate(names)}).to_numpy()
    seed = ordered.groupby(["task", "regularizer"]).cumcount().to_numpy()
    losses = np.full((len(tasks), len(names), int(seed.max()) + 1), np.nan)
    losses[task, name, seed] = ordered[column].to_numpy(dtype=float)
    counts = np.zeros((len(tasks), len(names)), dtype=int)
    np.add.at(counts, (task, name), 1)
    return Cube(tasks=tuple(tasks), names=tuple(names), losses=losses, counts=counts)
