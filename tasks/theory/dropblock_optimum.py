"""The norm that DropBlock induces, the global minimum of its objective, and weights that attain it.

A network of width d = k r whose blocks are kept with rate theta reaches, over all weights, the minimum over its
predictions A of ||Y - A||_F^2 + beta ||A||^2, with the spectral r-support norm of A and
beta = (r / d) (1 - theta) / theta.

Source: Pal, Lane, Vidal and Haeffele 2020, section 2.4.
"""

from typing import Any

import torch
from torch import Tensor

from tasks.theory.balanced_projections import balanced_projection_bases
from tasks.theory.checks import (
    require_block_size,
    require_count,
    require_equal_sizes,
    require_keep_rate,
    require_matrix,
    require_nonnegative,
    require_singular_values,
)


def k_support_norm_squared(singular_values: Tensor, k: int) -> Tensor:
    """Squared spectral k-support norm: l_2 norm of the largest singular values combined with l_1 norm of the others.

    Formula:
        min {sum_i a_i^2 / t_i : 0 < t_i <= 1, sum_i t_i <= k}
        = sum_{i < rho} a_i^2 + (sum_{i >= rho} a_i)^2 / (k - rho + 1), a in descending order,
        rho in {1..k} the one with a_{rho-1} > (sum_{i >= rho} a_i) / (k - rho + 1) >= a_rho (a_0 = infinity).
        k = 1 is the squared nuclear norm; k >= the number of values is the squared Frobenius norm.

    Args:
        singular_values: a >= 0, shape (..., n), in any order.
        k: >= 1; the block size r in DropBlock.

    Returns:
        The squared norm, shape (...). Not to be confused with DropBlock's regularizer, which is beta times this.

    Source:
        Theorem 6, eq. 13 (norm: Argyriou, Foygel and Srebro 2012, proposition 2.1). Corrected: rho does not maximise
        eq. 13 over {1..r}. Here the norm is the smallest value over the rho that satisfy the right inequality; checked
        against a numerical solution of the minimum above.

    Raises:
        ValueError: if a value is negative or not finite, or k is not a positive integer.

    Example:
        >>> a = torch.tensor([3.0, 1.0, 1.0], dtype=torch.float64)
        >>> [float(k_support_norm_squared(a, k)) for k in (1, 2, 3)]  # (3+1+1)^2, 3^2 + (1+1)^2, 3^2 + 1 + 1
        [25.0, 13.0, 11.0]
    """
    require_singular_values("singular_values", singular_values)
    require_count("k", k)
    values = singular_values.sort(-1, descending=True).values
    if k >= values.shape[-1]:
        return values.square().sum(-1)
    tails = values.flip(-1).cumsum(-1).flip(-1)[..., :k]
    squares = values.square()
    heads = (squares.cumsum(-1) - squares)[..., :k]
    shares = torch.arange(k, 0, -1, dtype=values.dtype, device=values.device)  # k - rho + 1
    feasible = values[..., :k] * shares <= tails  # always true at rho = k, whose tail contains the value
    return (heads + tails.square() / shares).masked_fill(~feasible, torch.inf).amin(-1)


def dropblock_global_minimum(target_singular_values: Tensor, beta: float, block_size: int) -> tuple[Tensor, Tensor]:
    """Singular values of the best predictions under DropBlock, and the objective there, from those of the targets.

    Formula:
        min_A ||Y - A||_F^2 + beta ||A||_(r)^2 (squared spectral r-support norm) is attained at Y's singular vectors
        with a_i = m_i t_i / (t_i + beta), t_i = clip(c m_i - beta, 0, 1), where c solves sum_i t_i = r; all t_i = 1 if
        there are at most r positive m_i. The minimum is beta sum_i m_i^2 / (t_i + beta).

    Args:
        target_singular_values: m >= 0, shape (..., n), in any order: those of Y, or of Y projected on the row space of
            X if it does not lie in it (then the rest of ||Y||_F^2 adds to the objective).
        beta: (1 - tb) / tb >= 0 with the width-adaptive keep rate, (r / d) (1 - theta) / theta at a fixed width d.
        block_size: r >= 1.

    Returns:
        The singular values a, shape (..., n), in the order given, and the minimum, shape (...).

    Source:
        Theorem 7 and Corollary 8. Corrected: the printed candidates need rho in {1..r} instead of {1..r-1}, and the
        norm of `k_support_norm_squared`; the form above (water-filling) gives the same minimum without a search. X need
        not have full column rank if Y lies in its row space. Checked against corrected candidates and L-BFGS.

    Raises:
        ValueError: if a value is negative or not finite, beta too, or block_size is not a positive integer.

    Example:
        >>> a, minimum = dropblock_global_minimum(torch.tensor([2.0, 0.0], dtype=torch.float64), 1.0, 1)
        >>> a.tolist(), float(minimum)  # (2 - a)^2 + a^2 is smallest at a = 1
        ([1.0, 0.0], 2.0)
    """
    require_singular_values("target_singular_values", target_singular_values)
    require_nonnegative("beta", beta)
    require_count("block_size", block_size)
    kept = _shrink(target_singular_values, _filling(target_singular_values, beta, block_size), beta)
    minimum: Tensor = _Minimum.apply(target_singular_values, kept)
    return kept, minimum


def dropblock_factors(Y: Tensor, X: Tensor, keep: float, block_size: int, width: int) -> tuple[Tensor, Tensor]:
    """Weights of a given width that attain the global minimum of the DropBlock objective; their blocks are balanced.

    Formula:
        With Y = P diag(m) Q', a and t of `dropblock_global_minimum` and D = diag(a / t):
        U_i = P D^(1/2) Z_i / sqrt(k), V_i = pinv(X)' Q D^(1/2) Z_i / sqrt(k), where Z_i'Z_i = I_r and the mean of the
        Z_i Z_i' is diag(t). Then UV'X = P diag(a) Q' and all ||U_i V_i'X||_F are equal.

    Args:
        Y: targets (a, N).
        X: inputs (b, N).
        keep: theta in (0, 1].
        block_size: r >= 1, a divisor of the width.
        width: d; r times the number of positive entries of m always suffices.

    Returns:
        U of shape (a, d) and V of shape (b, d).

    Source:
        Theorems 4 and 5, which say that such weights exist for some width. The construction is ours; that it attains
        the minimum is checked by the objective itself.

    Raises:
        ValueError: if a matrix is not finite, shapes do not fit, keep lies outside (0, 1], block_size does not divide
            the width, or no such weights of this width are found.

    Example:
        >>> Y = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
        >>> U, V = dropblock_factors(Y, torch.eye(2, dtype=torch.float64), keep=0.5, block_size=1, width=2)
        >>> (U.norm(dim=0) * V.norm(dim=0)).round(decimals=9)  # m = (3, 1), beta = 1/2: a = (2, 0), in equal parts
        tensor([1., 1.], dtype=torch.float64)
    """
    for name, matrix in (("Y", Y), ("X", X)):
        require_matrix(name, matrix)
        require_equal_sizes(f"{name} must have 2 dimensions", (matrix.dim(), 2))
    require_equal_sizes("Y and X must have the same number of columns", (Y.shape[1], X.shape[1]))
    require_keep_rate("keep", keep)
    require_block_size(block_size, width)
    inverse = torch.linalg.pinv(X)
    left, target, right = torch.linalg.svd(Y @ inverse @ X, full_matrices=False)
    beta = block_size / width * (1 - keep) / keep
    target = torch.where(target > target.max() * 1e-13, target, 0.0)  # rounding must not count towards the rank
    shares = _filling(target, beta, block_size)
    bases = _bases(shares, block_size, width // block_size)
    scale = torch.where(shares > 0, _shrink(target, shares, beta) / shares, 0.0).sqrt() / (width // block_size) ** 0.5
    inner = (scale[:, None] * bases.to(scale.dtype)).movedim(0, 1).flatten(1)  # (n, d), block after block
    return left @ inner, inverse.mT @ (right.mT @ inner)


class _Minimum(torch.autograd.Function):
    """sum_i m_i (m_i - a_i), with gradient 2 (m - a): the derivative through the optimal a is zero (envelope theorem).

    This also holds where t is clipped and a has one-sided derivatives only.
    """

    @staticmethod
    def forward(ctx: Any, target: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(target, kept)
        return (target * (target - kept)).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        target, kept = ctx.saved_tensors
        return gradient[..., None] * 2 * (target - kept), None


def _filling(values: Tensor, beta: float, total: int) -> Tensor:
    """t_i = clip(c m_i - beta, 0, 1) with sum total; c is exact, since the sum is piecewise linear in c."""
    largest = values.amax(-1, keepdim=True)
    values = values / torch.where(largest > 0, largest, 1.0).detach()  # c absorbs the scale
    negligible = max(1e-100, torch.finfo(values.dtype).tiny ** 0.5)  # corners or slopes of smaller values overflow
    positive = values > negligible
    enough = positive.sum(-1, keepdim=True) <= total
    safe = torch.where(positive, values, 1.0)
    corners = torch.cat([beta / safe, (1 + beta) / safe], -1) * torch.cat([positive, positive], -1)
    corners = corners.sort(-1).values
    filled = (corners[..., :, None] * values[..., None, :] - beta).clamp(0.0, 1.0).sum(-1)
    right = torch.searchsorted(filled, torch.full_like(filled[..., :1], total)).clamp(1, filled.shape[-1] - 1)
    low, high = corners.gather(-1, right - 1), corners.gather(-1, right)
    below, above = filled.gather(-1, right - 1), filled.gather(-1, right)
    # The branch that is not chosen must be finite too, since its gradient is multiplied by 0.
    rise = torch.where(enough | (above == below), 1.0, above - below)
    level = low + (total - below) / rise * (high - low)
    partial = (torch.where(enough, 0.0, level) * safe - beta).clamp(0.0, 1.0)
    return torch.where(positive, torch.where(enough, 1.0, partial), 0.0)


def _shrink(values: Tensor, shares: Tensor, beta: float) -> Tensor:
    # With beta = 0 a share may be 0 / 0; its value is 0 then.
    return values * torch.where(shares > 0, shares / torch.where(shares > 0, shares + beta, 1.0), 0.0)


def _bases(shares: Tensor, block_size: int, num_blocks: int) -> Tensor:
    """Orthonormal columns (k, n, r) with average projection diag(shares): whole directions first, then partial ones."""
    bases = torch.zeros(num_blocks, len(shares), block_size, dtype=torch.float64, device=shares.device)
    whole = (shares > 1 - 1e-9).nonzero().flatten()
    partial = ((shares > 1e-12) & (shares <= 1 - 1e-9)).nonzero().flatten()
    bases[:, whole, torch.arange(len(whole), device=shares.device)] = 1.0
    if len(partial):
        try:
            bases[:, partial, len(whole) :] = balanced_projection_bases(shares[partial], num_blocks)
        except ValueError as error:
            enough, width = block_size * len(partial), block_size * num_blocks
            raise ValueError(
                f"width must be large enough for balanced factors, {enough} always is; got {width}."
            ) from error
    return bases
