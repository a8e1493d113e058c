"""Dropout in deep linear networks: the optimal linear map, and equalized weights for it.

A network computes W_{k+1} ... W_1 x; its k hidden layers have widths d_1..d_k and are all dropped with keep rate theta,
lambda = (1 - theta) / theta. Weights W_i have shape (..., d_i, d_{i-1}); C = E[xx'] is the second moment of the inputs.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 3; Mianjy and Arora 2019.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_equal_sizes,
    require_finite,
    require_matrix,
    require_positive_semidefinite,
    require_widths,
)
from tasks.theory.deep_regularizer import (
    EqualizationGap,
    effective_regularization,
    equalization_gap,
    explicit_regularizer,
    regularizer_lower_bounds,
)
from tasks.theory.linear import shrinkage_threshold

__all__ = [
    "EqualizationGap",
    "effective_regularization",
    "envelope_optimum",
    "equalization_gap",
    "explicit_regularizer",
    "global_optimum",
    "rank_one_equalized",
    "regularizer_lower_bounds",
]


def envelope_optimum(cross_moment: Tensor, second_moment: Tensor, hidden_widths: Sequence[int], keep: float) -> Tensor:
    """Best linear map if dropout's regularizer is replaced by its convex envelope, the squared nuclear norm.

    Formula:
        argmin_W E ||y - Wx||^2 + nu ||W C^(1/2)||_*^2 over rank W <= min_i d_i: M = C_yx C^(-1/2), with its rho
        largest singular values reduced by alpha = nu (sum_{j <= rho} s_j) / (1 + rho nu) and the others set to 0, times
        C^(-1/2); rho is the largest number for which all rho values stay positive.

    Args:
        cross_moment: C_yx = E[yx'], shape (..., d_{k+1}, d_0).
        second_moment: C = E[xx'], shape (..., d_0, d_0), positive definite.
        hidden_widths: d_1..d_k, k >= 1.
        keep: theta in (0, 1].

    Returns:
        W of shape (..., d_{k+1}, d_0).

    Source:
        Lemma 9. Corrected: only the rho largest values stay, as in `shrinkage_threshold`. Its objective is a lower
        bound on that of dropout; for the optimum of dropout see `global_optimum`. Checked by a convex solver.

    Raises:
        ValueError: if shapes do not fit, an entry is not finite, C is not positive definite, there is no width or one
            is not a positive integer, or keep lies outside (0, 1].

    Example:
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> envelope_optimum(torch.diag(torch.tensor([2.0, 1.5])).double(), eye, [2], keep=0.5)  # nu 1/2, alpha 0.875
        tensor([[1.1250, 0.0000],
                [0.0000, 0.6250]], dtype=torch.float64)
    """
    left, values, right, inverse_root = _whitened_model(cross_moment, second_moment)
    strength = effective_regularization(hidden_widths, keep)
    width = min(hidden_widths)
    shrunk, _ = shrinkage_threshold(values, width, strength * width)
    return (left * shrunk[..., None, :]) @ right @ inverse_root


def global_optimum(cross_moment: Tensor, second_moment: Tensor, hidden_widths: Sequence[int], keep: float) -> Tensor:
    """Best linear map of a deep linear network under dropout, where it is known in closed form.

    Formula:
        W = S_alpha(M) C^(-1/2), M = C_yx C^(-1/2), alpha = nu s_1 / (1 + nu), if s_1 - s_2 >= s_2 / nu; S_alpha shrinks
        singular values by alpha and cuts at zero, so W has rank 1. One output: W = C_yx C^(-1) / (1 + nu). One hidden
        layer, a layer of one unit, or keep 1: the `envelope_optimum`, without a condition (with a layer of one unit
        every map has rank 1, and proposition 1 equalizes it).

    Args:
        cross_moment: C_yx = E[yx'], shape (..., d_{k+1}, d_0).
        second_moment: C = E[xx'], shape (..., d_0, d_0), positive definite.
        hidden_widths: d_1..d_k, k >= 1.
        keep: theta in (0, 1].

    Returns:
        W of shape (..., d_{k+1}, d_0); where its rank is 1, `rank_one_equalized` gives weights that attain it.

    Source:
        Theorem 10 and Corollary 1. Corrected: the corollary prints C_yx / (1 + nu), which is right for C = I only.
        Checked by L-BFGS on the weights.

    Raises:
        ValueError: as `envelope_optimum`, or if the gap condition is needed and fails.

    Example:
        >>> C = torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64))
        >>> global_optimum(torch.ones(1, 2, dtype=torch.float64), C, [1, 2], keep=0.5)  # nu = 2
        tensor([[0.0833, 0.3333]], dtype=torch.float64)
    """
    strength = effective_regularization(hidden_widths, keep)
    if len(hidden_widths) > 1 and min(hidden_widths) > 1 and strength > 0:
        values = _whitened_model(cross_moment, second_moment)[1]
        first, second = values[..., 0], values[..., 1] if values.shape[-1] > 1 else torch.zeros_like(values[..., 0])
        if not bool((strength * (first - second) >= second).all()):
            raise ValueError(
                f"cross_moment must satisfy s_1 - s_2 >= s_2 / nu for more than one hidden layer, got singular values "
                f"{values.tolist()} with nu = {strength:.6g}; envelope_optimum gives the lower bound."
            )
    return envelope_optimum(cross_moment, second_moment, hidden_widths, keep)


def rank_one_equalized(left: Tensor, right: Tensor, hidden_widths: Sequence[int]) -> list[Tensor]:
    """The weights of an equalized network that computes a given map of rank one.

    Formula:
        With u the left and v the right vector: W_1 = 1 v' / sqrt(d_1), W_i = 1 1' / sqrt(d_i d_{i-1}),
        W_{k+1} = u 1' / sqrt(d_k), so that W_{k+1}..W_1 = u v'.

    Args:
        left: u, shape (..., d_{k+1}).
        right: v, shape (..., d_0).
        hidden_widths: d_1..d_k, k >= 1.

    Returns:
        W_1..W_{k+1}.

    Source:
        Proposition 1; checked by the product and by gaps of zero.

    Raises:
        ValueError: if a vector is empty or not finite, there is no width, or one is not a positive integer.

    Example:
        >>> W1, W2 = rank_one_equalized(torch.tensor([2.0]), torch.tensor([1.0]), [4])
        >>> W1.mT, W2
        (tensor([[0.5000, 0.5000, 0.5000, 0.5000]]), tensor([[1., 1., 1., 1.]]))
    """
    require_widths(hidden_widths)
    for name, vector in (("left", left), ("right", right)):
        if vector.dim() < 1 or vector.numel() == 0:
            raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(vector.shape)}.")
        require_finite(name, vector)
    ones = [left.new_ones(width, 1) / math.sqrt(width) for width in hidden_widths]
    between = [after @ before.mT for before, after in itertools.pairwise(ones)]
    return [ones[0] * right[..., None, :], *between, left[..., :, None] * ones[-1].mT]


def _whitened_model(cross_moment: Tensor, second_moment: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Singular value decomposition of C_yx C^(-1/2), and C^(-1/2)."""
    require_matrix("cross_moment", cross_moment)
    require_positive_semidefinite("second_moment", second_moment, definite=True)
    sizes = (cross_moment.shape[-1], second_moment.shape[-1])
    require_equal_sizes("cross_moment must have one column for each row of second_moment", sizes)
    values, vectors = torch.linalg.eigh(second_moment)
    inverse_root = (vectors / values.sqrt()[..., None, :]) @ vectors.mT
    left, singular_values, right = torch.linalg.svd(cross_moment @ inverse_root, full_matrices=False)
    return left, singular_values, right, inverse_root
