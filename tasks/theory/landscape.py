"""Critical points of dropout with tied weights: whether they are local minima, saddles or strict saddles.

The objective is f(U) = ||M - UU'||_F^2 + lambda sum_i ||u_i||^4 with M (d, d) symmetric and U (..., d, r). Theorem 7
says that if lambda is small enough (`tasks.theory.linear.landscape_condition`), a critical point is either a global
optimum or a strict saddle, where f has negative curvature in some direction. The gradient and the least curvature tell
which, at any point.

Source: Mianjy, PhD thesis (Johns Hopkins University), section 2.3.2, Problem 2.4 and Theorem 7.
"""

import torch
from torch import Tensor

from tasks.theory.checks import require_alike, require_equal_sizes, require_matrix, require_nonnegative


def tied_objective(M: Tensor, U: Tensor, lam: float) -> Tensor:
    """Objective of dropout with tied weights on whitened inputs.

    Formula:
        f = ||M - UU'||_F^2 + lambda sum_i ||u_i||^4.

    Args:
        M: symmetric (d, d).
        U: weights (..., d, r).
        lam: lambda = (1 - keep) / keep >= 0.

    Returns:
        f, shape (...).

    Source:
        Problem 2.4.

    Raises:
        ValueError: if a matrix is not finite, M is not symmetric, sizes differ, or lambda is negative or not finite.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> float(tied_objective(3 * one, one, lam=0.5))  # (3 - 1)^2 + 1/2
        4.5
    """
    _require_tied(M, U, lam)
    squares = U.square().sum(-2)
    return (M - U @ U.mT).square().sum((-2, -1)) + lam * squares.square().sum(-1)


def tied_gradient(M: Tensor, U: Tensor, lam: float) -> Tensor:
    """Gradient of `tied_objective` in U.

    Formula:
        4 (UU' - M) U + 4 lambda U diag(||u_i||^2).

    Args:
        M: symmetric (d, d).
        U: weights (..., d, r).
        lam: lambda >= 0.

    Returns:
        The gradient, shape (..., d, r).

    Source:
        Section 2.5.3; checked against autograd.

    Raises:
        ValueError: as `tied_objective`.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> float(tied_gradient(3 * one, one, lam=0.5))  # 4 (1 - 3) + 2
        -6.0
    """
    _require_tied(M, U, lam)
    return 4 * ((U @ U.mT - M) @ U + lam * U * U.square().sum(-2, keepdim=True))


def least_curvature(M: Tensor, U: Tensor, lam: float) -> Tensor:
    """Least eigenvalue of the second derivative of `tied_objective` at a point.

    Formula:
        min over ||D||_F = 1 of f''[D, D] = 2 ||UD' + DU'||_F^2 - 4 <M - UU', DD'>
        + lambda sum_i (8 <u_i, d_i>^2 + 4 ||u_i||^2 ||d_i||^2).

    Args:
        M: symmetric (d, d).
        U: weights (..., d, r); cost and memory grow with (d r)^2 and more.
        lam: lambda >= 0.

    Returns:
        The eigenvalue, shape (...): below 0 at a strict saddle, at least 0 at a local minimum. It is 0 at a minimum
        that is not isolated, because rotations of U do not change f.

    Source:
        Definition 3 (strict saddles); checked against autograd's second derivative.

    Raises:
        ValueError: as `tied_objective`.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> float(least_curvature(3 * one, 0 * one, lam=0.5))  # -4 M at U = 0, which is a strict saddle
        -12.0
    """
    _require_tied(M, U, lam)
    values: Tensor = torch.linalg.eigvalsh(_second_derivative(M, U, lam))
    return values[..., 0]


def critical_points(M: Tensor, starts: Tensor, lam: float, num_steps: int = 300, tolerance: float = 1e-8) -> Tensor:
    """Critical points (minima and saddles), one for each start from which the search converges.

    Formula:
        Levenberg-Marquardt steps on ||g||^2, g the gradient and H the Hessian: U <- U - (H H + mu I)^-1 H g and
        mu <- mu / 3 if that decreases ||g||, else mu <- 4 mu.

    Args:
        M: symmetric (d, d).
        starts: (n, d, r).
        lam: lambda >= 0.
        num_steps: >= 1.
        tolerance: largest ||g|| of a critical point; other end points are left out.

    Returns:
        The points, shape (at most n, d, r), in the order of their starts.

    Source:
        Theorem 7 is about all critical points; checked against another root finder.

    Raises:
        ValueError: as `tied_objective`.

    Example:
        >>> M, starts = torch.diag(torch.tensor([3.0, 1.0])).double(), torch.eye(2).double()[:, :, None]
        >>> critical_points(M, starts, lam=0.5).squeeze(-1)  # ||u||^2 = 3 / 1.5 and 1 / 1.5: an optimum and a saddle
        tensor([[1.4142, 0.0000],
                [0.0000, 0.8165]], dtype=torch.float64)
    """
    _require_tied(M, starts, lam)
    U = starts.clone()
    damping = torch.ones(len(U), dtype=U.dtype, device=U.device)
    identity = torch.eye(U[0].numel(), dtype=U.dtype, device=U.device)
    for _ in range(num_steps):
        gradient = tied_gradient(M, U, lam).flatten(1)
        second = _second_derivative(M, U, lam)
        step = torch.linalg.solve(second @ second + damping[:, None, None] * identity, second @ gradient[..., None])
        tried = U - step.view_as(U)
        better = tied_gradient(M, tried, lam).flatten(1).norm(dim=1) < gradient.norm(dim=1)
        U = torch.where(better[:, None, None], tried, U)
        damping = torch.where(better, damping / 3, damping * 4).clamp(1e-14, 1e14)
    return U[tied_gradient(M, U, lam).flatten(1).norm(dim=1) < tolerance]


def _second_derivative(M: Tensor, U: Tensor, lam: float) -> Tensor:
    """The Hessian as a matrix (..., d r, d r), with the entries of U in row-major order."""
    num_rows, width = U.shape[-2:]
    rows, units = (torch.eye(size, dtype=U.dtype, device=U.device) for size in (num_rows, width))
    squares = U.square().sum(-2)
    across_units = 4 * U.mT @ U + 4 * lam * torch.diag_embed(squares)
    across_rows = 4 * (U @ U.mT - M)
    second = torch.einsum("ab,...ij->...aibj", rows, across_units) + torch.einsum(
        "...ab,ij->...aibj", across_rows, units
    )
    second = second + 4 * torch.einsum("...bi,...aj->...aibj", U, U)
    second = second + 8 * lam * torch.einsum("...ai,...bi,ij->...aibj", U, U, units)
    size = num_rows * width
    matrix: Tensor = second.reshape(*U.shape[:-2], size, size)
    return matrix


def _require_tied(M: Tensor, U: Tensor, lam: float) -> None:
    require_matrix("M", M, square=True)
    require_matrix("U", U)
    require_alike(M=M, U=U)
    require_equal_sizes("U must have one row for each row of M", (U.shape[-2], M.shape[-1]))
    require_nonnegative("lam", lam)
    if not torch.allclose(M, M.mT):
        raise ValueError("M must be symmetric, got a matrix that differs from its transpose.")
