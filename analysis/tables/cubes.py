"""Scores as arrays (task, contestant, seed), and bootstrap samples of them, for the statistics over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.tables.ties import without_rounding


@dataclass(frozen=True, kw_only=True)
class Cube:
    """The losses of one scale; smaller is better, infinite for failed seeds of an unbounded metric.

    Attributes:
        tasks: labels of the first axis.
        names: labels of the second axis, the contestants.
        losses: shape (task, contestant, seed), with the seeds of a task in order; NaN where the contestant has none.
        counts: shape (task, contestant); number of seeds of each cell, 0 if the contestant has no score.
    """

    tasks: tuple[str, ...]
    names: tuple[str, ...]
    losses: np.ndarray
    counts: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean losses, shape (task, contestant), equal if they tie; NaN if the contestant has no score on the task."""
        losses = np.where(np.isnan(self.losses), 0.0, self.losses)
        means, sizes = (each.sum(axis=2) / np.maximum(self.counts, 1) for each in (losses, np.abs(losses)))
        return without_rounding(np.where(self.counts > 0, means, np.nan), sizes)

    def with_resampled_seeds(self, rng: np.random.Generator) -> Cube:
        """A bootstrap sample of the seeds of each cell, of the same size.

        Runs of one seed share initial weights and the order of the data. The seeds of a task are therefore drawn for
        all contestants together: each draw is a random order of the seeds, of which a contestant gets the first that it
        has. Contestants with the same seeds get the same ones, and each cell is a bootstrap sample of its own seeds.
        """
        return self._of_tasks(np.arange(len(self.tasks)), rng)

    def resampled(self, rng: np.random.Generator) -> Cube:
        """A bootstrap sample of the tasks, of the same size, and of the seeds within them (`with_resampled_seeds`)."""
        return self._of_tasks(rng.integers(len(self.tasks), size=len(self.tasks)), rng)

    def _of_tasks(self, places: np.ndarray, rng: np.random.Generator) -> Cube:
        groups, has_seed = (each[places] for each in self._seed_groups)
        losses, counts = self.losses[places], self.counts[places]
        orders = rng.random((len(places), 1, losses.shape[2], losses.shape[2]))  # task, -, draw, seed
        drawn = np.where(has_seed[:, :, None, :], orders, np.inf).argmin(axis=3)  # task, group, draw
        values = np.take_along_axis(losses, np.take_along_axis(drawn, groups[:, :, None], axis=1), axis=2)
        is_draw = np.arange(losses.shape[2]) < counts[:, :, None]
        tasks = tuple(self.tasks[place] for place in places)
        return Cube(tasks=tasks, names=self.names, losses=np.where(is_draw, values, np.nan), counts=counts)

    @cached_property
    def _seed_groups(self) -> tuple[np.ndarray, np.ndarray]:
        """Contestants with equal seeds are a group: that of each cell (task, contestant), and (task, group, seed)."""
        found = [np.unique(~np.isnan(of_task), axis=0, return_inverse=True) for of_task in self.losses]
        has_seed = np.ones((len(found), max(len(seeds) for seeds, _ in found), self.losses.shape[2]), dtype=bool)
        for place, (seeds, _) in enumerate(found):
            has_seed[place, : len(seeds)] = seeds
        return np.stack([group.ravel() for _, group in found]), has_seed


def cubes_of(scores: pd.DataFrame, column: str = "loss") -> Mapping[str, Cube]:
    """One cube for each scale, from a column of a `scores_table`; tasks and contestants are sorted by name."""
    return {str(scale): _cube(rows, column) for scale, rows in scores.groupby("scale", sort=True)}


def _cube(rows: pd.DataFrame, column: str) -> Cube:
    ordered = rows.sort_values(["task", "regularizer", "seed"], kind="stable")
    tasks, names = (sorted(set(ordered[key])) for key in ("task", "regularizer"))
    task = ordered["task"].map({name: place for place, name in enumerate(tasks)}).to_numpy()
    name = ordered["regularizer"].map({name: place for place, name in enumerate(names)}).to_numpy()
    seed = ordered.groupby("task")["seed"].rank(method="dense").to_numpy(dtype=int) - 1
    losses = np.full((len(tasks), len(names), int(seed.max()) + 1), np.nan)
    losses[task, name, seed] = ordered[column].to_numpy(dtype=float)
    counts = np.zeros((len(tasks), len(names)), dtype=int)
    np.add.at(counts, (task, name), 1)
    return Cube(tasks=tuple(tasks), names=tuple(names), losses=losses, counts=counts)
