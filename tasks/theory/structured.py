"""Dropout, DropBlock and DropConnect on one hidden layer: their expected objectives and their minima.

Throughout Y is (..., a, N) targets, X is (..., b, N) inputs, U is (..., a, d) output weights, V is (..., b, d) input
weights, d the width, r the block size (a divisor of d), k = d / r the number of blocks, theta the keep rate. Objectives
are batched over the leading dimensions, differentiable, and computed in the dtype of the tensors (use float64).

Source: Pal, Lane, Vidal and Haeffele 2020, "On the Regularization Properties of Structured Dropout".
"""

from typing import Literal

from torch import Tensor

from tasks.theory.checks import (
    require_alike,
    require_block_size,
    require_equal_sizes,
    require_finite,
    require_floating,
    require_keep_rate,
    require_matrix,
    require_positive_semidefinite,
)
from tasks.theory.dropblock_optimum import dropblock_factors, dropblock_global_minimum, k_support_norm_squared
from tasks.theory.keep_rates import adaptive_keep_rate, equal_rate_keep, inverse_adaptive_keep_rate

__all__ = [
    "adaptive_keep_rate",
    "dropblock_factors",
    "dropblock_global_minimum",
    "dropblock_objective",
    "dropconnect_objective",
    "dropout_objective",
    "equal_rate_keep",
    "generalized_dropout_objective",
    "inverse_adaptive_keep_rate",
    "k_support_norm_squared",
]


def dropout_objective(Y: Tensor, X: Tensor, U: Tensor, V: Tensor, keep: float) -> Tensor:
    """Expected squared error under dropout on the hidden units, in closed form: error plus path regularizer.

    Formula:
        E ||Y - U diag(z) V'X / theta||_F^2 = ||Y - UV'X||_F^2 + (1 - theta) / theta * sum_i ||u_i||^2 ||X'v_i||^2,
        z_i ~ Ber(theta) independent.

    Args:
        Y: targets (..., a, N).
        X: inputs (..., b, N).
        U: output weights (..., a, d).
        V: input weights (..., b, d).
        keep: theta in (0, 1].

    Returns:
        The objective, shape (...).

    Source:
        Eq. 2. Corrected: Corollary 11 prints the regularizer without (1 - theta) / theta; checked by listing all masks.

    Raises:
        ValueError: if a matrix is not finite, shapes do not fit, or keep lies outside (0, 1].

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> dropout_objective(3 * one, one, 2 * one, one, keep=0.5)  # (3 - 2)^2 + 1 * 2^2 * 1
        tensor(5., dtype=torch.float64)
    """
    return dropblock_objective(Y, X, U, V, keep, block_size=1)


def dropblock_objective(Y: Tensor, X: Tensor, U: Tensor, V: Tensor, keep: float, block_size: int) -> Tensor:
    """Expected squared error when non-overlapping blocks of hidden units are dropped, in closed form.

    Formula:
        E ||Y - U (diag(w) (x) I_r) V'X / theta||_F^2
        = ||Y - UV'X||_F^2 + (1 - theta) / theta * sum_i ||U_i V_i'X||_F^2,
        w_i ~ Ber(theta) independent, U_i and V_i the i-th r columns.

    Args:
        Y: targets (..., a, N).
        X: inputs (..., b, N).
        U: output weights (..., a, d).
        V: input weights (..., b, d).
        keep: theta in (0, 1].
        block_size: r >= 1, a divisor of d; 1 is dropout.

    Returns:
        The objective, shape (...).

    Source:
        Lemma 1, eqs. 4 and 5. Corrected: eq. 3 prints the Kronecker factor I_{d/r}, where only I_r fits the k = d / r
        blocks of r; checked by enumerating all masks.

    Raises:
        ValueError: as `dropout_objective`, or if block_size does not divide d.

    Example:
        >>> import torch
        >>> U = torch.ones(1, 2, dtype=torch.float64)
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> dropblock_objective(2 * one, one, U, U, keep=0.5, block_size=2)  # 0 + (1 + 1)^2; dropout has 1 + 1
        tensor(4., dtype=torch.float64)
    """
    _require_network(Y, X, U, V)
    require_keep_rate("keep", keep)
    require_block_size(block_size, U.shape[-1])
    hidden = V.mT @ X
    outgoing, incoming = _rows_in_blocks(U.mT, block_size), _rows_in_blocks(hidden, block_size)
    penalty = ((outgoing @ outgoing.mT) * (incoming @ incoming.mT)).sum((-3, -2, -1))
    return _squared_error(Y, U @ hidden) + (1 - keep) / keep * penalty


def dropconnect_objective(
    Y: Tensor, X: Tensor, U: Tensor, V: Tensor, keep: float, variant: Literal["exact", "printed"] = "exact"
) -> Tensor:
    """Expected squared error when single input weights are dropped (DropConnect), in closed form.

    Formula:
        exact: E ||Y - U (Z o V)'X / theta||_F^2
        = ||Y - UV'X||_F^2 + (1 - theta) / theta * sum_i ||u_i||^2 sum_j v_ji^2 ||x_j||^2,
        z_ji ~ Ber(theta) independent, x_j the j-th row of X. printed: that of dropout, ||X'v_i||^2 for
        the inner sum.

    Args:
        Y: targets (..., a, N).
        X: inputs, or features of the layers below, (..., b, N).
        U: output weights (..., a, d).
        V: input weights, which are dropped, (..., b, d).
        keep: theta in (0, 1].
        variant: "exact", or "printed" for the paper's formula.

    Returns:
        The objective, shape (...).

    Source:
        Theorem 13 and Corollary 14, corrected: as printed they use all of XX', where only its diagonal enters. Both
        forms are equal when the rows of X are orthogonal, else not; checked by enumerating all masks.

    Raises:
        ValueError: as `dropout_objective`, or if the variant is unknown.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> X = V = torch.ones(2, 1, dtype=torch.float64)
        >>> float(dropconnect_objective(2 * one, X, one, V, 0.5)), float(dropout_objective(2 * one, X, one, V, 0.5))
        (2.0, 4.0)
    """
    if variant not in ("exact", "printed"):
        raise ValueError(f"variant must be 'exact' or 'printed', got {variant!r}.")
    if variant == "printed":
        return dropout_objective(Y, X, U, V, keep)
    _require_network(Y, X, U, V)
    require_keep_rate("keep", keep)
    incoming = (V.square() * X.square().sum(-1, keepdim=True)).sum(-2)
    penalty = (U.square().sum(-2) * incoming).sum(-1)
    return _squared_error(Y, U @ (V.mT @ X)) + (1 - keep) / keep * penalty


def generalized_dropout_objective(mean: Tensor, covariance: Tensor, Y: Tensor, U: Tensor, features: Tensor) -> Tensor:
    """Expected squared error for any random mask on the last hidden layer, from the mask's first two moments.

    Formula:
        E ||Y - U diag(z / mu) G||_F^2 = ||Y - UG||_F^2 + <Cbar, U'U o GG'>, Cbar_ij = C_ij / (mu_i mu_j).

    Args:
        mean: mu = E[z], shape (d,), no entry zero.
        covariance: C = Cov(z), shape (d, d), symmetric.
        Y: targets (..., a, N).
        U: last weights (..., a, d).
        features: G, the values of the hidden units, (..., d, N).

    Returns:
        The objective, shape (...).

    Source:
        Lemma 10, eqs. 16 to 18; checked by enumerating the masks of correlated distributions.

    Raises:
        ValueError: if a mean is zero, the covariance is not symmetric or has a negative eigenvalue, a tensor is not
            finite, or shapes do not fit.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> generalized_dropout_objective(one[0] / 2, one / 4, 3 * one, 2 * one, one)  # as dropout with keep 1/2
        tensor(5., dtype=torch.float64)
    """
    require_floating("mean", mean)
    require_finite("mean", mean)
    require_positive_semidefinite("covariance", covariance)
    if mean.dim() != 1:
        raise ValueError(f"mean must be a vector, got shape {tuple(mean.shape)}.")
    require_equal_sizes("mean and covariance must have one size", (mean.shape[-1], covariance.shape[-1]))
    if bool((mean == 0).any()):
        raise ValueError("mean must have no zero entry, since masks are divided by it, got one that is 0.")
    _require_last_layer(Y, U, features)
    require_equal_sizes("U must have one column for each mean", (U.shape[-1], mean.shape[-1]))
    characteristic = covariance / (mean[..., :, None] * mean[..., None, :])
    penalty = (characteristic * (U.mT @ U) * (features @ features.mT)).sum((-2, -1))
    return _squared_error(Y, U @ features) + penalty


def _rows_in_blocks(matrix: Tensor, block_size: int) -> Tensor:
    rows, columns = matrix.shape[-2:]
    return matrix.reshape(*matrix.shape[:-2], rows // block_size, block_size, columns)


def _squared_error(targets: Tensor, predictions: Tensor) -> Tensor:
    return (targets - predictions).square().sum((-2, -1))


def _require_network(Y: Tensor, X: Tensor, U: Tensor, V: Tensor) -> None:
    for name, matrix in (("Y", Y), ("X", X), ("U", U), ("V", V)):
        require_matrix(name, matrix)
    require_alike(Y=Y, X=X, U=U, V=V)
    require_equal_sizes("V must have one row for each row of X", (V.shape[-2], X.shape[-2]))
    require_equal_sizes("U and V must have the same number of columns", (U.shape[-1], V.shape[-1]))
    _require_last_layer(Y, U, X)


def _require_last_layer(Y: Tensor, U: Tensor, features: Tensor) -> None:
    for name, matrix in (("Y", Y), ("U", U), ("features", features)):
        require_matrix(name, matrix)
    require_alike(Y=Y, U=U, features=features)
    require_equal_sizes("U must have one row for each row of Y", (U.shape[-2], Y.shape[-2]))
    require_equal_sizes("Y must have one column for each example", (Y.shape[-1], features.shape[-1]))
