"""Dropout in linear networks with one hidden layer: equalised weights, spectral shrinkage and the global optimum.

The problem is min over U (a x r) and V (b x r) of ||M - UV'||_F^2 + lambda sum_i ||u_i||^2 ||v_i||^2, which is what
dropout with keep rate theta minimises for whitened inputs; lambda = (1 - theta) / theta, r is the width. With V = U
(tied weights) M is positive semidefinite and its eigenvalues replace the singular values.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 2; Mianjy, Arora and Vidal 2018.
"""

import math

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_alike,
    require_count,
    require_equal_sizes,
    require_matrix,
    require_nonnegative,
    require_singular_values,
)
from tasks.theory.decompositions import eigenvectors, singular_values_and_vectors


def path_norm_squared(U: Tensor, V: Tensor) -> Tensor:
    """Squared l2 path norm of a network with one hidden layer: the sum over paths of the product of squared weights.

    Formula:
        sum_{i,j,k} u_ji^2 v_ki^2 = sum_i ||u_i||^2 ||v_i||^2. Dropout's regularizer is lambda times this.

    Args:
        U: output weights (..., a, r).
        V: input weights (..., b, r).

    Returns:
        The squared norm, shape (...).

    Source:
        Eq. 2.2 and the path regularization psi_2 below it; checked by the sum over paths.

    Raises:
        ValueError: if a matrix is not finite or the widths differ.

    Example:
        >>> path_norm_squared(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 1.0]]))  # 1 * 9 + 4 * 1
        tensor(13.)
    """
    _require_pair(U, V)
    return (U.square().sum(-2) * V.square().sum(-2)).sum(-1)


def equalizer(U: Tensor) -> Tensor:
    """Find a rotation after which all columns of a matrix have the same norm (algorithm EQZ).

    Formula:
        Q'Q = I_r and ||(UQ)_i||^2 = ||U||_F^2 / r for all i. In each step, with G (n x n) the rest of U'U and v_j its
        eigenvectors, w = sum_j v_j / sqrt(n) has w'Gw = tr G / n; w gives the next column, its complement the next G.

    Args:
        U: (..., d, r), of any rank.

    Returns:
        Q of shape (..., r, r).

    Source:
        Theorem 1 and Algorithm 2 (whose comment on a zero diagonal is for a trace-free version). The complement is
        computed by a Householder reflection; checked by the column norms. Gradients are those of Q if all eigenvalues
        differ. If some coincide, Q is discontinuous, and the gradients are those of a smooth rotation through Q that
        keeps the column norms equal. There is none if U'U is a multiple of the identity.

    Raises:
        ValueError: if U is not a finite matrix.

    Example:
        >>> U = torch.diag(torch.tensor([4.0, 2.0, 0.0], dtype=torch.float64))
        >>> (U @ equalizer(U)).square().sum(0)
        tensor([6.6667, 6.6667, 6.6667], dtype=torch.float64)
    """
    require_matrix("U", U)
    scaled = _scaled(U)
    gram = scaled.mT @ scaled
    width = U.shape[-1]
    rotation = torch.eye(width, dtype=U.dtype, device=U.device).expand_as(gram)
    for done in range(width - 1):
        reflection = _reflection_onto(_mean_direction(gram))
        gram = (reflection.mT @ gram @ reflection)[..., 1:, 1:]
        rotation = torch.cat([rotation[..., :done], rotation[..., done:] @ reflection], -1)
    return rotation


def universal_equalizer(U: Tensor) -> Tensor:
    """Equalizing rotation without recursion over eigenproblems, for widths that are a power of two.

    Formula:
        Q = W Z with U = P diag(s) W' (all right singular vectors), Z_1 = [1] and
        Z_{j+1} = [[Z_j, Z_j], [-Z_j, Z_j]] / sqrt 2. All entries of Z have the same size, so each column of UQ has
        the squared norm sum_i s_i^2 / r.

    Args:
        U: (..., d, r) with r a power of two.

    Returns:
        Q of shape (..., r, r), orthogonal.

    Source:
        Remark 5, corrected: the factor is 1 / sqrt 2 at each step (with the printed 2^{(1-k)/2} on the scaled matrix,
        Z_k is not orthogonal for k >= 3), and Z_k has 2^{k-1} rows; checked by orthogonality and the column norms.

    Raises:
        ValueError: if U is not a finite matrix or r is not a power of two.

    Example:
        >>> U = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
        >>> torch.allclose((U @ universal_equalizer(U)).square(), torch.tensor([[5.0, 5.0]], dtype=torch.float64))
        True
    """
    require_matrix("U", U)
    width = U.shape[-1]
    if width & (width - 1):
        raise ValueError(
            f"U must have a power of two of columns for a universal equalizer, got {width}; use equalizer."
        )
    signs = torch.ones(1, 1, dtype=U.dtype, device=U.device)
    while len(signs) < width:
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([-signs, signs], 1)], 0) / math.sqrt(2)
    scaled = _scaled(U)
    right: Tensor = torch.linalg.eigh(scaled.mT @ scaled).eigenvectors
    return right @ signs


def jointly_equalize(U: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Equalize a network: rewrite it so that all hidden units have weights of the same norm, for the same linear map.

    Formula:
        With UV' = P diag(s) W', padded by zeros to r columns: U~ = P diag(s)^(1/2) Q, V~ = W diag(s)^(1/2) Q, where Q
        equalizes diag(s)^(1/2). Then U~V~' = UV' and ||u~_i||^2 = ||v~_i||^2 = ||UV'||_* / r for all i, and the squared
        path norm is ||UV'||_*^2 / r, the least that a network of this width with this map can have.

    Args:
        U: output weights (..., a, r).
        V: input weights (..., b, r).

    Returns:
        U~ of shape (..., a, r) and V~ of shape (..., b, r).

    Source:
        Theorem 4; checked by the product and the column norms.

    Raises:
        ValueError: if a matrix is not finite or the widths differ.

    Example:
        >>> U, V = torch.diag(torch.tensor([3.0, 3.0])).double(), torch.diag(torch.tensor([1.0, 0.0])).double()
        >>> U, V = jointly_equalize(U, V)
        >>> U.norm(dim=0) * V.norm(dim=0)  # the map has the one singular value 3
        tensor([1.5000, 1.5000], dtype=torch.float64)
    """
    _require_pair(U, V)
    left, values, right = torch.linalg.svd(U @ V.mT, full_matrices=False)
    return _balanced_factors(left, values, right, U.shape[-1])


def shrinkage_threshold(singular_values: Tensor, width: int, lam: float) -> tuple[Tensor, Tensor]:
    """Singular values of the optimal map of a network of this width under dropout: shrunk equally, and cut at zero.

    Formula:
        a_i = s_i - lam rho kappa_rho / (r + lam rho) for the rho largest, else 0; kappa_j is the mean of the j largest
        and rho = max {j <= r : s_j > lam j kappa_j / (r + lam j)}. This minimises ||s - a||^2 + lam / r (sum_i a_i)^2
        over a >= 0 with at most r positive entries.

    Args:
        singular_values: s >= 0, shape (..., n), in any order; eigenvalues where weights are tied.
        width: r >= 1, the number of hidden units. Not to be confused with the rank of the map.
        lam: lambda = (1 - keep) / keep >= 0.

    Returns:
        a of shape (..., n), in the order given, and the rank rho, int64 of shape (...).

    Source:
        Theorems 3 and 6. Corrected: shrinking all of M by the printed amount can leave more than r values if the rank
        of M is above r; here only the rho largest stay. Checked by enumerating all supports.

    Raises:
        ValueError: if a value is negative or not finite, lam too, or width is not a positive integer.

    Example:
        >>> values, rank = shrinkage_threshold(torch.tensor([3.0, 1.0, 0.1], dtype=torch.float64), width=2, lam=0.5)
        >>> values, int(rank)  # both shrink by 0.5 * 2 * 2 / (2 + 0.5 * 2)
        (tensor([2.3333, 0.3333, 0.0000], dtype=torch.float64), 2)
    """
    require_singular_values("singular_values", singular_values)
    require_count("width", width)
    require_nonnegative("lam", lam)
    ordered, order = singular_values.sort(-1, descending=True)
    count = torch.arange(1, ordered.shape[-1] + 1, dtype=ordered.dtype, device=ordered.device)
    shrinkage = lam * ordered.cumsum(-1) / (width + lam * count)
    # If the condition fails at j it fails at all larger j, so that the count of true entries is the largest j.
    rank = ((ordered > shrinkage) & (count <= width)).sum(-1)
    amount = shrinkage.gather(-1, (rank - 1).clamp(min=0)[..., None])
    shrunk = torch.where(count <= rank[..., None], ordered - amount, 0.0)
    return torch.zeros_like(shrunk).scatter(-1, order, shrunk), rank


def factorize(M: Tensor, width: int, lam: float) -> tuple[Tensor, Tensor]:
    """Global optimum of matrix factorisation with dropout, in closed form.

    Formula:
        min over U (a x r), V (b x r) of ||M - UV'||_F^2 + lam sum_i ||u_i||^2 ||v_i||^2: shrink the singular values
        of M by `shrinkage_threshold`, take their square roots for both factors, and equalize.

    Args:
        M: (..., a, b).
        width: r >= 1, the number of columns of the factors, below, at or above the rank of M.
        lam: lambda = (1 - keep) / keep >= 0.

    Returns:
        U of shape (..., a, r) and V of shape (..., b, r).

    Source:
        Algorithm 3, corrected: it prints 1 + lambda j with r the rank of M; correct is r + lambda j with r the width.
        The factors are padded with zero columns to the width before they are equalized. Checked by the gradient, by
        random restarts of L-BFGS, and by the larger objective of the printed form. Gradients through the factors exist
        if the remaining singular values differ and none is at the threshold.

    Raises:
        ValueError: if M is not a finite matrix, width is not a positive integer, or lam is negative or not finite.

    Example:
        >>> U, V = factorize(torch.tensor([[2.0]], dtype=torch.float64), width=2, lam=2.0)
        >>> U.square()  # the map 2 shrinks to 2 * 2 / (2 + 2) = 1, in two equal parts
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    require_matrix("M", M)
    left, values, right = singular_values_and_vectors(M)
    shrunk, _ = shrinkage_threshold(values, width, lam)
    return _balanced_factors(left, shrunk, right, width)


def landscape_condition(eigenvalues: Tensor, width: int, lam: float) -> Tensor:
    """Whether lambda is small enough that tied weights have no spurious local minima and only strict saddles.

    Formula:
        lam < r l_r / (sum_{i <= r} l_i - r l_r), l in descending order; any lam if the r largest are equal and > 0.
        Equivalently: the global optimum uses the full width, rho = r in `shrinkage_threshold`.

    Args:
        eigenvalues: l >= 0, shape (..., n), of the positive semidefinite M, in any order.
        width: r >= 1; the condition fails if it exceeds the rank of M.
        lam: lambda = (1 - keep) / keep >= 0.

    Returns:
        A bool tensor of shape (...). The condition is sufficient; it is open whether it is necessary.

    Source:
        Theorem 7 (thesis), for ||M - UU'||_F^2 + lam sum_i ||u_i||^4; checked by descent from random starts.

    Raises:
        ValueError: if an eigenvalue is negative or not finite, lam too, or width is not a positive integer.

    Example:
        >>> eigenvalues = torch.tensor([3.0, 1.0], dtype=torch.float64)  # the bound is 2 * 1 / (4 - 2) = 1
        >>> [bool(landscape_condition(eigenvalues, 2, lam)) for lam in (0.9, 1.0)]
        [True, False]
    """
    require_singular_values("eigenvalues", eigenvalues)
    require_count("width", width)
    require_nonnegative("lam", lam)
    if width > eigenvalues.shape[-1]:
        return torch.zeros(eigenvalues.shape[:-1], dtype=torch.bool, device=eigenvalues.device)
    top = eigenvalues.sort(-1, descending=True).values[..., :width]
    smallest = top[..., -1]
    return lam * (top.sum(-1) - width * smallest) < width * smallest


def _balanced_factors(left: Tensor, values: Tensor, right: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Split P diag(s) W' evenly into factors of the given width and equalize them; values beyond the width are zero."""
    rank = min(width, values.shape[-1])
    root = torch.zeros(*values.shape[:-1], rank, width, dtype=values.dtype, device=values.device)
    positive = values[..., :rank] > 0  # the square root has no derivative at 0; zeros get gradient 0
    root.diagonal(dim1=-2, dim2=-1).copy_(torch.where(positive, values[..., :rank], 1.0).sqrt() * positive)
    inner = root @ equalizer(root)
    return left[..., :rank] @ inner, right[..., :rank, :].mT @ inner


def _scaled(U: Tensor) -> Tensor:
    """U times a power of two (exact), with its largest entry in [1/2, 1), so that squares do not over- or underflow."""
    exponent = torch.frexp(U.detach().abs().amax((-2, -1), keepdim=True)).exponent
    return U * torch.exp2(-exponent.clamp(min=-1000).to(torch.float64)).to(U.dtype)


def _mean_direction(gram: Tensor) -> Tensor:
    """A unit vector w with w'Gw = tr G / n: the normalised sum of the eigenvectors."""
    size = gram.shape[-1]
    w = eigenvectors(gram).sum(-1) / math.sqrt(size)
    # `eigenvectors` has no gradient within the span of equal eigenvalues, so that w'Gw would not follow tr G / n. The
    # term below is 0 in value; its gradient rotates w along the part of Gw that is orthogonal to w, to correct that.
    fixed, at = w.detach(), gram.detach()
    slope = (at @ fixed[..., None]).squeeze(-1)
    slope = slope - fixed * (fixed * slope).sum(-1, keepdim=True)
    square = slope.square().sum(-1)
    lack = gram.diagonal(dim1=-2, dim2=-1).mean(-1) - ((gram @ w[..., None]).squeeze(-1) * w).sum(-1)
    is_some = square > 1e-18 * at.square().sum((-2, -1))
    turn = torch.where(is_some, (lack - lack.detach()) / (2 * torch.where(is_some, square, 1.0)), 0.0)
    return w + turn[..., None] * slope


def _reflection_onto(unit: Tensor) -> Tensor:
    """Orthogonal matrix whose first column is the unit vector, up to its sign (Householder)."""
    normal = unit.clone()
    # The sign is that of the first entry, so that the sum cannot cancel.
    normal[..., 0] += torch.where(unit[..., 0] < 0, -1.0, 1.0).to(unit.dtype)
    identity = torch.eye(unit.shape[-1], dtype=unit.dtype, device=unit.device)
    outer = normal[..., :, None] * normal[..., None, :]
    return identity - outer * (2 / normal.square().sum(-1))[..., None, None]


def _require_pair(U: Tensor, V: Tensor) -> None:
    require_matrix("U", U)
    require_matrix("V", V)
    require_equal_sizes("U and V must have the same number of columns", (U.shape[-1], V.shape[-1]))
    require_alike(U=U, V=V)
