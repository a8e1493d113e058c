"""Shrinkage of the small singular values of a large matrix, without a full decomposition where possible.

A singular value decomposition of a 2048 x 2048 matrix computes all 2048 values and both sets of vectors, though often
few values change. The right singular vectors v_j, eigenvectors of the Gram matrix G = W^T W, are enough: the update
that is subtracted from W is sum_j removed_j u_j v_j^T = (W V) diag(removed_j / sigma_j) V^T.

* Few values to shrink: inverse iteration in a block Krylov space, in float64.
* Many: all eigenvectors of G in float32, where that is accurate enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.regularizers.spectra.small import Shrunk

MIN_SIDE = 384  # below, LAPACK's decomposition is as fast
MAX_FEW = 1 / 32  # largest fraction of the spectrum for which the Krylov method is used
EXTRA_COLUMNS = 16  # of the Krylov blocks, beyond the number of values to compute
MAX_BLOCKS = 12
TOLERANCE = 1e-3  # relative error of the update
# In float32 G has an error of about 1e-7 sigma_max^2. If threshold and largest shrunk value are at least these
# fractions of sigma_max, the update has a relative error of about 1e-4.
LEAST_LIMIT, LEAST_CUT = 0.01, 0.05


class Tail(NamedTuple):
    """The smallest singular values and their right singular vectors."""

    values: Tensor  # (t,), ascending, float64
    right: Tensor  # (columns, t), float64


def shrink_one(weight: Tensor, num_kept: int, limit: float) -> Shrunk | None:
    """Shrink all singular values of one matrix but the `num_kept` largest by `limit`.

    None if no method here is both faster than a full decomposition and has a relative error of the update below 1e-3.
    """
    if weight.shape[0] < weight.shape[1]:
        shrunk = shrink_one(weight.mT, num_kept, limit)
        return None if shrunk is None else shrunk._replace(weight=shrunk.weight.mT)
    tail = few_smallest(weight, num_kept, limit) or _many_smallest(weight, num_kept, limit)
    if tail is None:
        return None
    shares = _shares(tail.values, limit).to(weight.dtype)
    vectors = tail.right.to(weight.dtype)
    return Shrunk(
        weight=weight - (weight @ vectors * shares) @ vectors.mT,
        next_value=float(tail.values[-1]),
        num_zeroed=int(((tail.values <= limit) & (tail.values > 0)).sum()),
    )


def few_smallest(weight: Tensor, num_kept: int, limit: float) -> Tail | None:
    """All singular values but the `num_kept` largest, if the matrix is large and these are few; else None.

    The relative error of the update that shrinks them by `limit` is below 1e-3.
    """
    weight = weight.mT if weight.shape[0] < weight.shape[1] else weight
    num_columns = weight.shape[1]
    num_tail = num_columns - num_kept
    if num_columns < MIN_SIDE or num_tail > MAX_FEW * num_columns:
        return None
    solve = _solver(weight.double())
    return None if solve is None else _smallest(solve, num_columns, num_tail, limit, weight.device)


def _many_smallest(weight: Tensor, num_kept: int, limit: float) -> Tail | None:
    if weight.shape[1] < MIN_SIDE or weight.dtype != torch.float32:
        return None
    try:
        eigenvalues, vectors = torch.linalg.eigh(weight.mT @ weight)
    except RuntimeError:  # it did not converge
        return None
    values = eigenvalues.clamp(min=0).sqrt()
    num_tail = len(values) - num_kept
    largest, cut = float(values[-1]), float(values[num_tail - 1])
    if not (limit >= LEAST_LIMIT * largest and cut >= LEAST_CUT * largest):
        return None
    return Tail(values[:num_tail], vectors[:, :num_tail])


def _shares(values: Tensor, limit: float) -> Tensor:
    """The fraction of each value that is removed: 1 for values below the limit, and for those that are 0."""
    return (limit / values.clamp(min=torch.finfo(values.dtype).tiny)).clamp(max=1)


def _solver(weight: Tensor) -> Callable[[Tensor], Tensor] | None:
    """X -> (W^T W)^-1 X, or None for a singular matrix. For a square W, the Gram matrix is never formed."""
    if weight.shape[0] == weight.shape[1]:
        factors, pivots, info = torch.linalg.lu_factor_ex(weight)
        if int(info):
            return None

        def solve(x: Tensor) -> Tensor:
            half = torch.linalg.lu_solve(factors, pivots, x, adjoint=True)
            whole: Tensor = torch.linalg.lu_solve(factors, pivots, half)
            return whole

        return solve
    factor, info = torch.linalg.cholesky_ex(weight.mT @ weight)
    return None if int(info) else lambda x: torch.cholesky_solve(x, factor)


def _smallest(
    solve: Callable[[Tensor], Tensor], num_columns: int, num_tail: int, limit: float, device: torch.device
) -> Tail | None:
    """The `num_tail` smallest by inverse iteration in a growing block Krylov space (Golub and Van Loan, section 10.3).

    The space grows until the update of shrinking by `limit` converges; its error decreases at least as fast as its
    changes. None if it does not converge within MAX_BLOCKS blocks.
    """
    generator = torch.Generator().manual_seed(0)  # any start converges; a fixed one makes the result reproducible
    block = torch.randn(num_columns, num_tail + EXTRA_COLUMNS, generator=generator, dtype=torch.float64).to(device)
    basis, image = block.new_empty(num_columns, 0), block.new_empty(num_columns, 0)  # Q and G Q
    previous: _Ritz | None = None
    last_change = math.nan  # compares as false
    for num_blocks in range(1, MAX_BLOCKS + 1):
        block, new_image = _orthogonal(solve(block), block, basis, image)
        basis, image = torch.cat([basis, block], 1), torch.cat([image, new_image], 1)
        if not bool(torch.isfinite(block).all()):
            return None
        if num_blocks < 2:
            continue
        ritz = _Ritz.of(basis.mT @ image, num_tail, limit)
        change = math.nan if previous is None else ritz.change_since(previous)
        if change < TOLERANCE or change * change < TOLERANCE * last_change:
            return Tail(ritz.values, basis @ ritz.vectors)
        previous, last_change = ritz, change
    return None


def _orthogonal(x: Tensor, image_of_x: Tensor, basis: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal basis of x orthogonal to `basis`, and its image under G, computed from the given images."""
    for _ in range(2):  # one pass leaves rounding errors of the large components
        overlap = basis.mT @ x
        x, triangle = torch.linalg.qr(x - basis @ overlap)
        image_of_x = torch.linalg.solve_triangular(triangle, image_of_x - image @ overlap, upper=True, left=False)
    return x, image_of_x


class _Ritz(NamedTuple):
    """The smallest Ritz pairs of G in a subspace, in its coordinates."""

    values: Tensor  # singular values, ascending
    vectors: Tensor
    images: Tensor  # G in these coordinates times the vectors
    shares: Tensor  # removed / value

    @classmethod
    def of(cls, gram: Tensor, num_tail: int, limit: float) -> _Ritz:
        gram = (gram + gram.mT) / 2
        eigenvalues, vectors = torch.linalg.eigh(gram)
        values, vectors = eigenvalues[:num_tail].clamp(min=0).sqrt(), vectors[:, :num_tail]
        return cls(values, vectors, gram @ vectors, _shares(values, limit))

    def change_since(self, other: _Ritz) -> float:
        """||U - U'||_F / ||U||_F for the updates U = W V diag(shares) V^T of this subspace and a smaller one (U')."""
        size = (self.values * self.shares).square().sum()
        other_size = (other.values * other.shares).square().sum()
        num_old = len(other.vectors)
        left = self.images[:num_old].mT @ other.vectors
        right = self.vectors[:num_old].mT @ other.vectors
        inner = (self.shares[:, None] * left * right * other.shares).sum()
        return math.sqrt(max(float((size + other_size - 2 * inner) / size), 0.0))
