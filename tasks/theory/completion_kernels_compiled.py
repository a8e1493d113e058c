"""A step of matrix completion as a compiled loop; import it only where `tasks.runtime.compiled.is_available()`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.runtime.compiled import compiled

Floats = NDArray[Any]
Places = NDArray[np.int64]

LANES = 8  # independent partial sums: a single sum would wait for the result of each addition


def step(
    U: Tensor, V: Tensor, rows: Tensor, columns: Tensor, values: Tensor, scales: Tensor, learning_rate: float
) -> Tensor:
    """As `tasks.theory.completion_kernels.completion_step`; scales are the mask over the keep rate, (1, d) or (n, d).

    Raises:
        IndexError: if a row or a column lies outside its factor; the factors are then unchanged.
    """
    left, right, where = U.detach().numpy(), V.detach().numpy(), (rows.numpy(), columns.numpy())
    for name, places, size in (("rows", where[0], left.shape[0]), ("columns", where[1], right.shape[0])):
        if not _all_within(places, size):
            raise IndexError(f"{name} must lie in 0..{size - 1}, got values from {places.min()} to {places.max()}.")
    number = left.dtype.type
    masked = np.empty((rows.numel(), U.shape[1]), dtype=number)
    errors = np.empty(rows.numel(), dtype=number)
    factor = number(2 * learning_rate / rows.numel())
    total = _step(left, right, *where, values.numpy(), scales.numpy(), factor, masked, errors)
    return torch.from_numpy(np.array(total / rows.numel(), dtype=number))


@compiled
def _all_within(places: Places, size: int) -> bool:
    within = True  # without an early exit, so that the loop is vectorised
    for j in range(len(places)):
        within &= (places[j] >= 0) & (places[j] < size)
    return within


@compiled
def _step(
    U: Floats,
    V: Floats,
    rows: Places,
    columns: Places,
    values: Floats,
    scales: Floats,
    factor: Any,
    masked: Floats,
    errors: Floats,
) -> float:
    """Make the step; returns the sum of squared errors. `masked` (n, d) stores the old, scaled rows of U for V."""
    width = U.shape[1]
    in_lanes = width - width % LANES
    sums = np.empty(LANES, U.dtype)
    shared = len(scales) == 1
    total = 0.0
    for j in range(len(rows)):
        row, column, mine = rows[j], columns[j], 0 if shared else j
        for i in range(width):
            masked[j, i] = U[row, i] * scales[mine, i]
        sums[:] = 0
        for i in range(0, in_lanes, LANES):
            for lane in range(LANES):
                sums[lane] += masked[j, i + lane] * V[column, i + lane]
        for i in range(in_lanes, width):
            sums[i - in_lanes] += masked[j, i] * V[column, i]
        error = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) - values[j]
        total += error * error
        errors[j] = factor * error
    for j in range(len(rows)):
        row, column, mine = rows[j], columns[j], 0 if shared else j
        for i in range(width):
            U[row, i] -= errors[j] * scales[mine, i] * V[column, i]
    for j in range(len(rows)):
        column = columns[j]
        for i in range(width):
            V[column, i] -= errors[j] * masked[j, i]
    return total
