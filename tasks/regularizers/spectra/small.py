"""Singular values of very many small matrices at once, by one-sided Jacobi rotations of their columns.

LAPACK needs microseconds of function calls per 3x3 matrix. Here each entry of the matrix is one long tensor over all
matrices, and each rotation is a few operations on such tensors. (One-sided Jacobi computes small singular values to
high relative accuracy: Demmel and Veselic 1992.) A rotation makes two columns orthogonal; after a few sweeps over all
pairs the columns are the left singular vectors times the singular values.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.runtime import compiled

MAX_SIDE = 5  # beyond, LAPACK is as fast
CHUNK_SIZE = 65536  # matrices at a time: fewer make function calls dominate, more exceed the caches
MAX_SWEEPS = 30
MIN_COMPILED = 65536  # matrices: with fewer, a usual training does not make up for numba's import, half a second


class Shrunk(NamedTuple):
    """A batch of matrices after thresholding, and values for the log."""

    weight: Tensor  # of the shape of the given matrices
    next_value: float  # largest sigma_(h+1) over the matrices, before thresholding
    num_zeroed: int  # singular values that were positive and became zero


def worth_it(num_matrices: int, rows: int, columns: int) -> bool:
    """Whether rotations are faster than LAPACK: the matrices are small and many."""
    return max(rows, columns) <= MAX_SIDE and num_matrices >= 512 * min(rows, columns)


def shrink_many(matrices: Tensor, num_kept: int, limits: Tensor) -> Shrunk:
    """Shrink all singular values but the `num_kept` largest of each matrix (N, rows, columns) by its limit (N,)."""
    loops = _compiled_for(matrices)
    if loops is None:
        return shrink_portably(matrices, num_kept, limits)
    matrices = matrices.contiguous()
    return Shrunk(*loops.shrink(matrices, num_kept, limits, float(_scale_of(matrices))))


def tail_sums_of_many(matrices: Tensor, num_kept: int) -> Tensor:
    """Sum (N,) of all singular values but the `num_kept` largest of each matrix (N, rows, columns)."""
    loops = _compiled_for(matrices)
    if loops is None:
        return tail_sums_portably(matrices, num_kept)
    matrices = matrices.contiguous()
    sums: Tensor = loops.tail_sums(matrices, num_kept, float(_scale_of(matrices)))
    return sums


def shrink_portably(matrices: Tensor, num_kept: int, limits: Tensor) -> Shrunk:
    """`shrink_many` by tensor operations alone, on any device."""
    if matrices.shape[1] > matrices.shape[2]:  # rotations act on the rows, so let them be fewer
        shrunk = shrink_portably(matrices.mT, num_kept, limits)
        return shrunk._replace(weight=shrunk.weight.mT)
    matrices = matrices.contiguous()
    result = torch.empty_like(matrices)
    next_value = num_zeroed = 0.0
    for chunk in _chunks(matrices):
        spectrum = _Spectrum(matrices[chunk], num_kept)
        next_value = max(next_value, spectrum.next_value())
        num_zeroed += spectrum.shrink(limits[chunk], result[chunk])
    return Shrunk(result, next_value, round(num_zeroed))


def tail_sums_portably(matrices: Tensor, num_kept: int) -> Tensor:
    """`tail_sums_of_many` by tensor operations alone, on any device."""
    matrices = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    return torch.cat([_Spectrum(matrices[chunk], num_kept).tail_sums() for chunk in _chunks(matrices)])


def _compiled_for(matrices: Tensor) -> ModuleType | None:
    """The module of compiled loops if it applies (numba installed, very many 3x3 matrices on a CPU); else None."""
    on_cpu = matrices.device.type == "cpu" and matrices.dtype in (torch.float32, torch.float64)
    if not (on_cpu and matrices.shape[1:] == (3, 3) and len(matrices) >= MIN_COMPILED and compiled.is_available()):
        return None
    from tasks.regularizers.spectra import small_compiled as small_spectra_compiled

    return small_spectra_compiled


def _scale_of(matrices: Tensor) -> Tensor:
    """A power of two near the largest entry. Dividing by it avoids underflow of squares and is exact."""
    return torch.exp2(matrices.abs().amax().log2().round().clamp(min=-100))


def _chunks(matrices: Tensor) -> list[slice]:
    size = CHUNK_SIZE if matrices.device.type == "cpu" else len(matrices)
    return [slice(start, start + size) for start in range(0, len(matrices), size)]


class _Spectrum:
    """Orthogonal columns b_j = sigma_j u_j of every matrix, and which of them are beyond the `num_kept` largest."""

    def __init__(self, matrices: Tensor, num_kept: int) -> None:
        self.scale = _scale_of(matrices)
        self.entries = matrices.new_empty(*matrices.shape[1:], len(matrices))  # the rows of W are rotated
        for entry, values in zip(self.entries.flatten(0, 1), matrices.flatten(1).unbind(1), strict=True):
            torch.mul(values, 1 / self.scale, out=entry)  # one by one: faster than a transposed copy
        copies = [column.clone() for column in self.entries]
        self.columns = _orthogonal(copies, num_unchecked=2 if len(copies) <= 3 else 3)
        self.squares = [_dot(column, column) for column in self.columns]
        ranks = [torch.zeros_like(square) for square in self.squares]  # in descending order, ties by position
        for i in range(len(ranks)):
            for j in range(i + 1, len(ranks)):
                ahead = self.squares[i].clone().ge_(self.squares[j])  # 1 or 0, as floats: torch is slow with booleans
                ranks[j] += ahead
                ranks[i] += ahead.neg_().add_(1)
        self.firsts = [rank.clone().eq_(num_kept) for rank in ranks]
        self.in_tail = [rank.ge_(num_kept) for rank in ranks]

    def next_value(self) -> float:
        """The largest sigma_(num_kept + 1) over the matrices."""
        firsts = [(square * first).amax() for square, first in zip(self.squares, self.firsts, strict=True)]
        return float(torch.stack(firsts).amax().sqrt() * self.scale)

    def tail_sums(self) -> Tensor:
        """The sum, for each matrix, of all values but the `num_kept` largest."""
        tails = [square.sqrt() * inside for square, inside in zip(self.squares, self.in_tail, strict=True)]
        return torch.stack(tails).sum(0) * self.scale

    def shrink(self, limits: Tensor, out: Tensor) -> float:
        """Write W - sum_(j in tail) min(sigma_j, limit) u_j v_j^T into `out`; returns how many values become 0."""
        limits = limits / self.scale
        num_zeroed, shares = 0.0, []
        # Values as small as the rounding errors of the largest have no accurate vectors and are not shrunk.
        least = torch.stack(self.squares).amax(0).mul_((32 * torch.finfo(limits.dtype).eps) ** 2)
        for square, inside in zip(self.squares, self.in_tail, strict=True):
            value = square.sqrt()
            num_zeroed += float(value.clone().le_(limits).dot(value.sign().mul_(inside)))
            removed = torch.minimum(value, limits).mul_(inside).mul_(square.clone().gt_(least))
            shares.append(removed.div_((square * value).clamp_(min=torch.finfo(value.dtype).tiny)))
        self._remove(shares)
        for entry, values in zip(self.entries.flatten(0, 1), out.flatten(1).unbind(1), strict=True):
            torch.mul(entry, self.scale, out=values)
        return num_zeroed

    def _remove(self, shares: list[Tensor]) -> None:
        """Subtract (sum_j share_j b_j b_j^T) W from the entries.

        b_j^T W = sigma_j^2 v_j^T, so that a share of removed_j / sigma_j^3 takes removed_j u_j v_j^T away.
        """
        num_rows = self.entries.shape[1]
        left = self.entries.new_empty(num_rows, *self.entries.shape[1:])
        for index, (column, share) in enumerate(zip(self.columns, shares, strict=True)):
            weighted = share * column
            for row in range(num_rows):
                part = left[row, : row + 1]
                if index == 0:
                    torch.mul(weighted[: row + 1], column[row], out=part)
                else:
                    part.addcmul_(weighted[: row + 1], column[row])
        for row in range(num_rows):
            left[:row, row] = left[row, :row]
        for entry in self.entries:
            product = left[:, 0] * entry[0]
            for row in range(1, num_rows):
                product.addcmul_(left[:, row], entry[row])
            entry.sub_(product)


def _orthogonal(columns: list[Tensor], num_unchecked: int, max_sweeps: int = MAX_SWEEPS) -> list[Tensor]:
    """Sweep over all pairs of columns (rows, N): `num_unchecked` times, then until all are orthogonal."""
    squares = [_dot(column, column) for column in columns]
    for _ in range(num_unchecked):
        _sweep(columns, squares, None, squares[0])
    if num_unchecked:  # rotations update the squares with rounding errors as large as those of the largest
        squares = [_dot(column, column) for column in columns]
    epsilon = torch.finfo(columns[0].dtype).eps
    worst, noise = torch.zeros_like(squares[0]), torch.stack(squares).sum(0).mul_(epsilon).square_()
    _sweep(columns, squares, worst, noise)
    # `worst` is the largest (a.b)^2 / min(a.a, b.b)^2 that this sweep found: the squared error of the small singular
    # vectors before it. Convergence is quadratic, so an error below 30 sqrt(epsilon) before a sweep is one of rounding
    # after it.
    left = (worst > 900 * epsilon).nonzero().squeeze(1)
    if len(left) and max_sweeps:
        again = _orthogonal([column.index_select(1, left) for column in columns], 0, max_sweeps - 1)
        for column, part in zip(columns, again, strict=True):
            column.index_copy_(1, left, part)
    return columns


def _sweep(columns: list[Tensor], squares: list[Tensor], worst: Tensor | None, noise: Tensor) -> None:
    for i in range(len(columns) - 1):
        for j in range(i + 1, len(columns)):
            columns[i] = _rotated(columns[i], columns[j], squares[i], squares[j], worst, noise)


def _rotated(a: Tensor, b: Tensor, p: Tensor, q: Tensor, worst: Tensor | None, noise: Tensor) -> Tensor:
    """Rotate columns a and b with squared norms p and q until a.b = 0. Returns the new a; b, p, q change in place."""
    tiny = torch.full((), 10 * torch.finfo(a.dtype).tiny, dtype=a.dtype, device=a.device)
    dot = _dot(a, b)
    if worst is not None:
        smaller = torch.minimum(p, q)
        torch.maximum(worst, (dot * dot).div_(torch.addcmul(noise, smaller, smaller)), out=worst)
    gap = q - p
    # tan of the smaller angle with that property: t = 2 dot / (gap + sign(gap) sqrt(gap^2 + 4 dot^2))
    denominator = torch.addcmul(tiny, gap, gap).addcmul_(dot, dot, value=4).sqrt_().copysign_(gap).add_(gap)
    tangent = torch.addcdiv(tiny, dot, denominator, value=2)
    cosine = torch.addcmul(torch.ones_like(tiny), tangent, tangent).rsqrt_()
    sine = tangent * cosine
    p.addcmul_(tangent, dot, value=-1)
    q.addcmul_(tangent, dot)
    rotated = (cosine * a).addcmul_(sine, b, value=-1)
    b.mul_(cosine).addcmul_(sine, a)
    return rotated


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum over rows of (rows, N), row by row: faster than a reduction over the short axis."""
    result = a[0] * b[0]
    for row in range(1, len(a)):
        result.addcmul_(a[row], b[row])
    return result
