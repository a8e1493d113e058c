"""The rotations of `spectra.small` for 3x3 matrices as compiled loops.

Import it only if `tasks.runtime.compiled.is_available()`. All floats of a call have one precision: a single float64, or
integer literal, in an expression would convert all of it to float64. The scratch array has one row per matrix entry,
over LANES matrices. It is flat, with row offsets that are constants: so the compiler sees that rows do not overlap, and
uses vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.runtime.compiled import compiled, inlined

Floats = NDArray[Any]
Three = tuple[Any, Any, Any]

LANES = 256  # matrices at a time: 24 kB of scratch in single precision
MAX_SWEEPS = 30
ENTRIES, ROTATED, WORST, LIMIT, NEXT, ZEROED, NUM_ROWS = 0, 9, 18, 19, 20, 21, 22  # rows of the scratch


def shrink(matrices: Tensor, num_kept: int, limits: Tensor, scale: float) -> tuple[Tensor, float, int]:
    """Shrink the tails of 3x3 matrices (N, 3, 3) on a CPU, each by its limit (N,).

    Args:
        matrices: contiguous.
        num_kept: h, below 3.
        limits: of the precision of the matrices.
        scale: a power of two by which the matrices are divided during the computation, so that no square underflows.

    Returns:
        The shrunk matrices, the largest sigma_(h+1) before, and how many positive singular values became zero.
    """
    out = torch.empty_like(matrices)
    next_value, num_zeroed = _shrink(
        matrices.detach().numpy().reshape(-1, 9),
        num_kept,
        limits.contiguous().numpy(),
        *_scalars(matrices.dtype, scale),
        out.numpy().reshape(-1, 9),
    )
    return out, float(next_value), round(num_zeroed)


def tail_sums(matrices: Tensor, num_kept: int, scale: float) -> Tensor:
    """Sums (N,) of all singular values but the `num_kept` largest; arguments as for `shrink`."""
    out = matrices.new_empty(len(matrices))
    _sum_tails(matrices.detach().numpy().reshape(-1, 9), num_kept, *_scalars(matrices.dtype, scale), out.numpy())
    return out


def _scalars(dtype: torch.dtype, scale: float) -> tuple[Any, Any, Any]:
    """`scale`, the machine epsilon and the smallest normal number, in the given precision."""
    precision, number = torch.finfo(dtype), torch.empty(0, dtype=dtype).numpy().dtype.type
    return number(scale), number(precision.eps), number(precision.tiny)


@compiled
def _shrink(
    matrices: Floats, num_kept: int, limits: Floats, scale: Any, epsilon: Any, tiny: Any, out: Floats
) -> tuple[float, float]:
    scratch = np.zeros(NUM_ROWS * LANES, matrices.dtype)
    for start in range(0, len(matrices), LANES):
        size = min(LANES, len(matrices) - start)
        _gather(matrices, start, size, scale, scratch)
        for k in range(size):
            scratch[LIMIT * LANES + k] = limits[start + k] / scale
        _orthogonalise(scratch, epsilon, tiny)
        _shrink_lanes(scratch, num_kept, epsilon, tiny)
        for k in range(size):
            for place in range(9):
                out[start + k, place] = scratch[(ENTRIES + place) * LANES + k] * scale
    next_value, num_zeroed = 0.0, 0.0
    for k in range(LANES):
        next_value = max(next_value, np.sqrt(scratch[NEXT * LANES + k]) * scale)
        num_zeroed += scratch[ZEROED * LANES + k]
    return next_value, num_zeroed


@compiled
def _sum_tails(matrices: Floats, num_kept: int, scale: Any, epsilon: Any, tiny: Any, out: Floats) -> None:
    scratch, zero = np.zeros(NUM_ROWS * LANES, matrices.dtype), matrices.dtype.type(0)
    for start in range(0, len(matrices), LANES):
        size = min(LANES, len(matrices) - start)
        _gather(matrices, start, size, scale, scratch)
        _orthogonalise(scratch, epsilon, tiny)
        for k in range(size):
            a, b, c = _rows(scratch, ROTATED, k)
            p, q, r = _dot(a, a), _dot(b, b), _dot(c, c)
            in_tail = _in_tail(p, q, r, num_kept)
            total = np.sqrt(p) if in_tail[0] else zero
            total += np.sqrt(q) if in_tail[1] else zero
            total += np.sqrt(r) if in_tail[2] else zero
            out[start + k] = total * scale


@compiled
def _gather(matrices: Floats, start: int, size: int, scale: Any, scratch: Floats) -> None:
    """Copy matrices to the scratch array, divided by `scale`; unused lanes are set to 0."""
    for k in range(size):
        for place in range(9):
            scratch[(ENTRIES + place) * LANES + k] = matrices[start + k, place] / scale
    if size < LANES:
        for place in range(9):
            for k in range(size, LANES):
                scratch[(ENTRIES + place) * LANES + k] = 0


@inlined
def _rows(scratch: Floats, first: int, k: int) -> tuple[Three, Three, Three]:
    """The three rows of one matrix."""
    return (
        (scratch[first * LANES + k], scratch[(first + 1) * LANES + k], scratch[(first + 2) * LANES + k]),
        (scratch[(first + 3) * LANES + k], scratch[(first + 4) * LANES + k], scratch[(first + 5) * LANES + k]),
        (scratch[(first + 6) * LANES + k], scratch[(first + 7) * LANES + k], scratch[(first + 8) * LANES + k]),
    )


@inlined
def _put_rows(scratch: Floats, first: int, k: int, a: Three, b: Three, c: Three) -> None:
    scratch[first * LANES + k], scratch[(first + 1) * LANES + k], scratch[(first + 2) * LANES + k] = a
    scratch[(first + 3) * LANES + k], scratch[(first + 4) * LANES + k], scratch[(first + 5) * LANES + k] = b
    scratch[(first + 6) * LANES + k], scratch[(first + 7) * LANES + k], scratch[(first + 8) * LANES + k] = c


@inlined
def _dot(a: Three, b: Three) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
def _orthogonalise(scratch: Floats, epsilon: Any, tiny: Any) -> None:
    """Rotate the rows of every matrix until they are orthogonal: they are sigma_j v_j^T then."""
    one, bound = scratch.dtype.type(1), scratch.dtype.type(900) * epsilon  # the bound of `spectra.small._orthogonal`
    for place in range(9 * LANES):
        scratch[ROTATED * LANES + place] = scratch[ENTRIES * LANES + place]
    for sweep in range(MAX_SWEEPS):
        unfinished = False
        for k in range(LANES):
            a, b, c = _rows(scratch, ROTATED, k)
            a, b, c, worst = _swept(a, b, c, epsilon, tiny, one)
            _put_rows(scratch, ROTATED, k, a, b, c)
            scratch[WORST * LANES + k] = worst
        for k in range(LANES):
            unfinished |= scratch[WORST * LANES + k] > bound
        if sweep >= 2 and not unfinished:
            break


@inlined
def _swept(a: Three, b: Three, c: Three, epsilon: Any, tiny: Any, one: Any) -> tuple[Three, Three, Three, Any]:
    """Rotate each pair once; also the worst (x.y)^2 / min(x.x, y.y)^2 that was found."""
    noise = (_dot(a, a) + _dot(b, b) + _dot(c, c)) * epsilon
    a, b, first = _rotated(a, b, noise, tiny, one)
    a, c, second = _rotated(a, c, noise, tiny, one)
    b, c, third = _rotated(b, c, noise, tiny, one)
    return a, b, c, max(first, max(second, third))


@inlined
def _rotated(a: Three, b: Three, noise: Any, tiny: Any, one: Any) -> tuple[Three, Three, Any]:
    """Rows a and b rotated until a.b = 0, and the squared component of the larger along the smaller one before."""
    p, q, dot = _dot(a, a), _dot(b, b), _dot(a, b)
    smaller, square = min(p, q), dot * dot
    worst = square / (noise * noise + smaller * smaller + tiny)
    gap, twice = q - p, dot + dot
    # tan of the smaller angle with that property: t = 2 dot / (gap + sign(gap) sqrt(gap^2 + 4 dot^2))
    wide = abs(gap) + np.sqrt(gap * gap + twice * twice) + tiny
    tangent = (twice if gap >= 0 else -twice) / wide
    cosine = one / np.sqrt(one + tangent * tangent)
    sine = tangent * cosine
    return (
        (cosine * a[0] - sine * b[0], cosine * a[1] - sine * b[1], cosine * a[2] - sine * b[2]),
        (cosine * b[0] + sine * a[0], cosine * b[1] + sine * a[1], cosine * b[2] + sine * a[2]),
        worst,
    )


@inlined
def _in_tail(p: Any, q: Any, r: Any, num_kept: int) -> tuple[bool, bool, bool]:
    """Which of three squares are beyond the `num_kept` largest; of equal ones the first is the largest."""
    q_first, r_before_p, r_before_q = q > p, r > p, r > q
    all_in, two_in = num_kept < 1, num_kept < 2
    return (
        all_in | (q_first & r_before_p) | (two_in & (q_first | r_before_p)),
        all_in | (~q_first & r_before_q) | (two_in & (~q_first | r_before_q)),
        all_in | (~r_before_p & ~r_before_q) | (two_in & (~r_before_p | ~r_before_q)),
    )


@compiled
def _shrink_lanes(scratch: Floats, num_kept: int, epsilon: Any, tiny: Any) -> None:
    """Subtract W sum_j share_j b_j b_j^T from each matrix W, b_j = sigma_j v_j, share_j = removed_j / sigma_j^3."""
    zero, one = scratch.dtype.type(0), scratch.dtype.type(1)
    noise = scratch.dtype.type(32) * epsilon * scratch.dtype.type(32) * epsilon
    for k in range(LANES):
        a, b, c = _rows(scratch, ROTATED, k)
        p, q, r = _dot(a, a), _dot(b, b), _dot(c, c)
        in_tail = _in_tail(p, q, r, num_kept)
        # Values as small as the rounding errors of the largest have no accurate vectors and are not shrunk.
        least = max(p, max(q, r)) * noise
        limit = scratch[LIMIT * LANES + k]
        s = _share(p, limit, in_tail[0] & (p > least), tiny, zero)
        t = _share(q, limit, in_tail[1] & (q > least), tiny, zero)
        u = _share(r, limit, in_tail[2] & (r > least), tiny, zero)
        xx = s * a[0] * a[0] + t * b[0] * b[0] + u * c[0] * c[0]
        xy = s * a[0] * a[1] + t * b[0] * b[1] + u * c[0] * c[1]
        xz = s * a[0] * a[2] + t * b[0] * b[2] + u * c[0] * c[2]
        yy = s * a[1] * a[1] + t * b[1] * b[1] + u * c[1] * c[1]
        yz = s * a[1] * a[2] + t * b[1] * b[2] + u * c[1] * c[2]
        zz = s * a[2] * a[2] + t * b[2] * b[2] + u * c[2] * c[2]
        a, b, c = _rows(scratch, ENTRIES, k)
        a = (a[0] - _dot(a, (xx, xy, xz)), a[1] - _dot(a, (xy, yy, yz)), a[2] - _dot(a, (xz, yz, zz)))
        b = (b[0] - _dot(b, (xx, xy, xz)), b[1] - _dot(b, (xy, yy, yz)), b[2] - _dot(b, (xz, yz, zz)))
        c = (c[0] - _dot(c, (xx, xy, xz)), c[1] - _dot(c, (xy, yy, yz)), c[2] - _dot(c, (xz, yz, zz)))
        _put_rows(scratch, ENTRIES, k, a, b, c)
        next_square = max(p if in_tail[0] else zero, max(q if in_tail[1] else zero, r if in_tail[2] else zero))
        scratch[NEXT * LANES + k] = max(scratch[NEXT * LANES + k], next_square)
        vanished = one if in_tail[0] & _vanishes(p, limit) else zero
        vanished += one if in_tail[1] & _vanishes(q, limit) else zero
        vanished += one if in_tail[2] & _vanishes(r, limit) else zero
        scratch[ZEROED * LANES + k] += vanished


@inlined
def _share(square: Any, limit: Any, shrinks: bool, tiny: Any, zero: Any) -> Any:
    value = np.sqrt(square)
    share = min(value, limit) / max(square * value, tiny)
    return share if shrinks else zero


@inlined
def _vanishes(square: Any, limit: Any) -> Any:
    return (square > 0) & (np.sqrt(square) <= limit)
