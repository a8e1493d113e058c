"""Thresholding of the small singular values of weight matrices: stage two of LocalDrop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """A thresholded batch of matrices, and what happened to it."""

    weight: Tensor  # of the shape that came in
    next_value: float  # largest sigma_(h+1) before: the first that was shrunk
    num_zeroed: int  # singular values that became zero


def shrink_small_singular_values(weight: Tensor, num_kept: int, threshold: Tensor | float) -> Shrunk:
    """Leave the `num_kept` largest singular values alone and shrink each other one by `threshold`, down to zero.

    It is the proximal operator of the partial nuclear norm: the result minimises
    1/2 ||X - W||_F^2 + threshold sum_{j > num_kept} sigma_j(X) over all matrices X (Lu et al. 2021, eq. 23 with the
    factor 1/2 that the printed threshold C needs, and eq. 24 with the clamp at zero that it lacks). All singular
    vectors stay. `num_kept` at or above the rank, or a threshold of 0, is the identity.

    Args:
        weight: (..., rows, columns); leading dimensions are a batch of matrices.
        num_kept: h >= 0, counted per matrix.
        threshold: C >= 0, a number or a tensor that broadcasts to the leading dimensions.
    """
    if num_kept >= min(weight.shape[-2:]):
        return Shrunk(weight=weight, next_value=0.0, num_zeroed=0)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    tail = values[..., num_kept:]
    limit = torch.as_tensor(threshold, dtype=weight.dtype, device=weight.device)
    # Subtracting what is taken away keeps the leading part free of the rounding errors of U diag(s) V^T.
    removed = torch.minimum(tail, limit[..., None] if limit.dim() else limit)
    update = (left[..., num_kept:] * removed[..., None, :]) @ right[..., num_kept:, :]
    return Shrunk(
        weight=weight - update,
        next_value=float(tail[..., 0].max()),
        num_zeroed=int(((removed >= tail) & (tail > 0)).sum()),
    )


def tail_sums(weight: Tensor, num_kept: int) -> Tensor:
    """Sum of all singular values but the `num_kept` largest, per matrix of a batch (..., rows, columns)."""
    if num_kept >= min(weight.shape[-2:]):
        return torch.zeros(weight.shape[:-2], dtype=weight.dtype, device=weight.device)
    values: Tensor = torch.linalg.svdvals(weight)
    return values[..., num_kept:].sum(-1)
