"""DropBlock's seed rate, and the probability with which it keeps each pixel.

DropBlock (Ghiasi et al. 2018, arXiv:1810.12890) draws seeds and drops the union of their blocks.
LocalDrop (Lu et al. 2021, section 4, eq. 26) learns the drop rate through the resulting matrix of keep rates.
"""

from typing import Literal, overload

import torch
from torch import Tensor

from tasks.runtime.sending import send
from tasks.theory.checks import require_count

KeepForm = Literal["exact", "union"]


@overload
def seed_rate(drop_rate: float, block_size: int, height: int, width: int) -> float: ...
@overload
def seed_rate(drop_rate: Tensor, block_size: int, height: int, width: int) -> Tensor: ...
def seed_rate(drop_rate: float | Tensor, block_size: int, height: int, width: int) -> float | Tensor:
    """Rate of the seeds for which blocks cover, with overlaps counted repeatedly, the fraction `drop_rate`.

    Formula:
        gamma = drop * h w / (bh bw (h - bh + 1) (w - bw + 1)), clipped to [0, 1], with bh = min(b, h), bw = min(b, w).
        Seeds are Ber(gamma), one for each block that lies entirely inside the map; a pixel is dropped if the seed of
        a block that covers it is set. Blocks are cut on each axis, so that d units are a 1 x d map with 1 x b blocks.

    Args:
        drop_rate: in [0, 1]; a number, which is checked, or a tensor of any shape, in which gamma is differentiable, at
            0 and 1 too. A tensor is not checked, which would wait for the device; clipped entries have gradient zero.
        block_size: side b >= 1 of the block; cut to the map on each axis.
        height: rows h >= 1 of the map.
        width: columns w >= 1 of the map.

    Returns:
        A number for a number, else a tensor of the shape, dtype and device of `drop_rate`.

    Source:
        Lu et al. 2021, eq. 26 (square maps); the rectangular form is checked by the identity
        mean over pixels of (number of covering blocks) * gamma = drop rate.

    Raises:
        ValueError: if a drop rate given as a number lies outside [0, 1], or a size is not a positive integer.

    Example:
        >>> seed_rate(0.1, 1, 8, 8)
        0.1
        >>> round(seed_rate(0.1, 3, 5, 5), 12)  # 0.1 * 25 / (9 * 9)
        0.030864197531
    """
    require_count("block_size", block_size)
    require_count("height", height)
    require_count("width", width)
    block_height, block_width = min(block_size, height), min(block_size, width)
    num_covered = block_height * block_width * (height - block_height + 1) * (width - block_width + 1)
    if isinstance(drop_rate, Tensor):
        return _clip_to_unit_interval(drop_rate * (height * width / num_covered))
    if not 0 <= drop_rate <= 1:
        raise ValueError(f"drop_rate must lie in [0, 1], got {drop_rate}.")
    return min(drop_rate * height * width / num_covered, 1.0)


def coverage_counts(block_size: int, height: int, width: int) -> Tensor:
    """Count, for each pixel, the blocks on the map that cover it.

    Formula:
        n(i, j) = n_h(i) n_w(j) with n_h(i) = min(i, h - b) - max(0, i - b + 1) + 1 for 0-based i, likewise n_w.

    Args:
        block_size: side b >= 1 of the block; cut to the map on each axis.
        height: rows h >= 1 of the map.
        width: columns w >= 1 of the map.

    Returns:
        An int64 tensor of shape (height, width), every entry >= 1.

    Source:
        Lu et al. 2021, appendix 7.2. Corrected: the counts printed for the border rows stop at (b + 1) / 2 in the
        middle columns, and assume an odd block of at most half the map. Checked by counting blocks one by one.

    Raises:
        ValueError: if a size is not a positive integer.

    Example:
        >>> coverage_counts(3, 1, 6)
        tensor([[1, 2, 3, 3, 2, 1]])
    """
    require_count("block_size", block_size)
    require_count("height", height)
    require_count("width", width)
    return _axis_counts(block_size, height)[:, None] * _axis_counts(block_size, width)[None, :]


def keep_matrix(
    drop_rate: float | Tensor,
    block_size: int,
    height: int,
    width: int,
    form: KeepForm = "exact",
    counts: Tensor | None = None,
) -> Tensor:
    """Probability with which DropBlock keeps each pixel.

    Formula:
        exact: theta(i, j) = (1 - gamma)^n(i, j); union: theta(i, j) = 1 - n(i, j) gamma, clipped to [0, 1],
        with gamma of `seed_rate` and n of `coverage_counts`. The union form is a lower bound on the exact one (union
        bound on dropping); if no entry is clipped its mean is 1 - drop rate. The mean of the exact form is larger,
        except for b = 1 or a block as large as the map, where both are equal.

    Args:
        drop_rate: in [0, 1]; a number, or a tensor of shape (...), in which the result is differentiable.
        block_size: side b >= 1 of the block; cut to the map on each axis.
        height: rows h >= 1 of the map.
        width: columns w >= 1 of the map.
        form: "exact", or "union" for the entries that the paper prints.
        counts: what `coverage_counts` returns for these sizes, in the dtype and on the device of the result, if it is
            at hand: learned rates need it again and again.

    Returns:
        Keep rates: (height, width) in float64 if `drop_rate` is a number, else (..., height, width) in its dtype.

    Source:
        Lu et al. 2021, appendix 7.2 (union form). Corrected: the exact form, checked by enumerating all seeds; the
        printed entries may be below 0 and are clipped here.

    Raises:
        ValueError: as `seed_rate`, or if `form` is unknown.

    Example:
        >>> keep_matrix(0.3, 2, 1, 3)  # gamma = 0.3 * 3 / (2 * 2) = 0.225
        tensor([[0.7750, 0.6006, 0.7750]], dtype=torch.float64)
    """
    if form not in ("exact", "union"):
        raise ValueError(f"form must be 'exact' or 'union', got {form!r}.")
    rate = seed_rate(drop_rate, block_size, height, width)
    gamma = rate if isinstance(rate, Tensor) else torch.tensor(rate, dtype=torch.float64)
    if counts is None:
        counts = send(coverage_counts(block_size, height, width).to(gamma.dtype), gamma.device)
    gamma = gamma[..., None, None]
    return (1 - gamma) ** counts if form == "exact" else _clip_to_unit_interval(1 - counts * gamma)


def _axis_counts(block_size: int, length: int) -> Tensor:
    block = min(block_size, length)
    # Python integers, since torch's compiler (2.14, on CPUs) computes such integer tensors wrongly in fused loops.
    return torch.tensor([min(at, length - block) - max(0, at - block + 1) + 1 for at in range(length)])


def _clip_to_unit_interval(value: Tensor) -> Tensor:
    # Not torch.clamp: in some versions its gradient at the ends of the interval is zero, and learned rates start at 0.
    return torch.where((value >= 0) & (value <= 1), value, value.detach().clamp(0.0, 1.0))
