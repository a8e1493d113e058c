"""Thresholding of the small singular values of weight matrices: stage two of LocalDrop."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tasks.regularizers.spectra import large as large_spectra
from tasks.regularizers.spectra import small as small_spectra
from tasks.regularizers.spectra.small import Shrunk

__all__ = ["Shrunk", "shrink_small_singular_values", "tail_sums"]


def shrink_small_singular_values(weight: Tensor, num_kept: int, threshold: Tensor | float) -> Shrunk:
    """Keep the `num_kept` largest singular values, and replace each other one by max(sigma - threshold, 0).

    It is the proximal operator of the partial nuclear norm: the result minimises
    1/2 ||X - W||_F^2 + threshold sum_{j > num_kept} sigma_j(X) over all matrices X (Lu et al. 2021, eq. 23 with the
    factor 1/2 that the printed threshold C needs, and eq. 24 with the clamp at zero that it lacks). The singular
    vectors do not change. `num_kept` at or above the rank, or a threshold of 0, is the identity.

    Thousands of small kernels and large matrices have faster methods, whose update agrees with that of the full
    decomposition to a relative error of 1e-3 or less.

    Args:
        weight: (..., rows, columns); leading dimensions are a batch of matrices.
        num_kept: h >= 0, counted per matrix.
        threshold: C >= 0, a number or a tensor that broadcasts to the leading dimensions.
    """
    if num_kept >= min(weight.shape[-2:]):
        return Shrunk(weight=weight, next_value=0.0, num_zeroed=0)
    limit = torch.as_tensor(threshold, dtype=weight.dtype, device=weight.device)
    rows, columns = weight.shape[-2:]
    num_matrices = weight.shape[:-2].numel()
    if small_spectra.worth_it(num_matrices, rows, columns):
        limits = limit.expand(weight.shape[:-2]).reshape(-1)
        shrunk = small_spectra.shrink_many(weight.reshape(-1, rows, columns), num_kept, limits)
        return shrunk._replace(weight=shrunk.weight.reshape(weight.shape))
    if num_matrices == 1 and float(limit) > 0:
        large = large_spectra.shrink_one(weight.reshape(rows, columns), num_kept, float(limit))
        if large is not None:
            return large._replace(weight=large.weight.reshape(weight.shape))
    return _shrink_plainly(weight, num_kept, limit)


def tail_sums(weight: Tensor, num_kept: int) -> Tensor:
    """Sum of all singular values but the `num_kept` largest, per matrix of a batch (..., rows, columns)."""
    rows, columns = weight.shape[-2:]
    if num_kept >= min(rows, columns):
        return torch.zeros(weight.shape[:-2], dtype=weight.dtype, device=weight.device)
    num_matrices = weight.shape[:-2].numel()
    if small_spectra.worth_it(num_matrices, rows, columns):
        return small_spectra.tail_sums_of_many(weight.reshape(-1, rows, columns), num_kept).view(weight.shape[:-2])
    few = large_spectra.few_smallest(weight.reshape(rows, columns), num_kept, math.inf) if num_matrices == 1 else None
    if few is not None:
        return few.values.sum().to(weight.dtype).view(weight.shape[:-2])
    all_values: Tensor = torch.linalg.svdvals(weight)
    return all_values[..., num_kept:].sum(-1)


def _shrink_plainly(weight: Tensor, num_kept: int, limit: Tensor) -> Shrunk:
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    tail = values[..., num_kept:]
    # Subtracting the update keeps the leading part free of the rounding errors of U diag(s) V^T.
    removed = torch.minimum(tail, limit[..., None] if limit.dim() else limit)
    update = (left[..., num_kept:] * removed[..., None, :]) @ right[..., num_kept:, :]
    return Shrunk(
        weight=weight - update,
        next_value=float(tail[..., 0].max()),
        num_zeroed=int(((removed >= tail) & (tail > 0)).sum()),
    )
