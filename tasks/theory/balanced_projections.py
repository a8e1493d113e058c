"""A diagonal matrix as the average of projections of equal rank, from which balanced DropBlock factors are built."""

import math

import torch
from torch import Tensor

from tasks.theory.checks import require_count, require_singular_values
from tasks.theory.linear import equalizer

Residual = tuple[Tensor, Tensor]

ACCURACY = 1e-12  # Frobenius norm of the residual; rounding errors are about 1e-14
MAX_NEWTON_STEPS = 50  # quadratic convergence takes 4 to 13 where a solution exists
MAX_INNER_STEPS = 400
NUM_STARTS = 5


def balanced_projection_bases(diagonal: Tensor, num_projections: int) -> Tensor:
    """Find matrices of orthonormal columns whose projections average to the given diagonal matrix.

    Formula:
        mean_i Z_i Z_i' = diag(t) and Z_i'Z_i = I_s, i = 1..k, s = sum_j t_j. For s = 1 an equalizer Q gives
        Z_i = sqrt(k) times column i of [diag(t)^(1/2), 0] Q. For s = n - 1 the Z_i span the complements of those for
        1 - t. For other s no closed form is known to us; Newton's method is run from fixed starts.

    Args:
        diagonal: t, shape (n,), entries in (0, 1), whose sum s is an integer up to rounding.
        num_projections: k. A solution exists if k >= n, and for some t with smaller k if 1 < s < n - 1.

    Returns:
        Z of shape (k, n, s) in float64; the equations hold to 1e-12 in the Frobenius norm.

    Source:
        Existence for k >= n: take a projection with diagonal t (Schur-Horn) and average it over the powers of
        diag(1, w, .., w^(n-1)), w = exp(2 pi i / k); real solutions exist whenever complex ones do (Fulton 2000).

    Raises:
        ValueError: if t is not finite, not in (0, 1), has no integer sum, or no solution is found for this k.

    Example:
        >>> t = torch.tensor([0.75, 0.25], dtype=torch.float64)
        >>> Z = balanced_projection_bases(t, num_projections=3)
        >>> torch.allclose((Z @ Z.mT).mean(0), torch.diag(t))
        True
    """
    require_count("num_projections", num_projections)
    require_singular_values("diagonal", diagonal)
    rank = round(float(diagonal.sum()))
    if float(diagonal.min()) <= 0 or float(diagonal.max()) >= 1 or abs(rank - float(diagonal.sum())) > 1e-6:
        raise ValueError(f"diagonal must have entries in (0, 1) with an integer sum, got {diagonal.tolist()}.")
    exact = diagonal.double() * (rank / float(diagonal.double().sum()))
    if rank in (1, len(exact) - 1):
        return _in_closed_form(exact, rank, num_projections)
    generator = torch.Generator().manual_seed(0)  # always the same starts: the same input gives the same factors
    for _ in range(NUM_STARTS):
        start = torch.randn(num_projections, len(exact), rank, generator=generator, dtype=torch.float64)
        bases = torch.linalg.qr(exact.sqrt()[:, None] * start.to(exact.device)).Q
        solution = _newton(bases, exact)
        if solution is not None:
            return solution
    raise ValueError(
        f"num_projections must be large enough, {len(exact)} always is; no solution was found for {num_projections}."
    )


def _in_closed_form(diagonal: Tensor, rank: int, num_projections: int) -> Tensor:
    """Lines, or the complements of lines; fewer than n cannot average to a matrix of rank n."""
    size = len(diagonal)
    if num_projections < size:
        raise ValueError(f"num_projections must be at least {size} at rank {rank}, got {num_projections}.")
    shares = diagonal if rank == 1 else 1 - diagonal
    root = diagonal.new_zeros(size, num_projections)
    root.diagonal().copy_(shares.sqrt())
    lines = math.sqrt(num_projections) * (root @ equalizer(root)).T[:, :, None]
    return lines if rank == 1 else torch.linalg.qr(lines, mode="complete").Q[..., 1:]


def _newton(bases: Tensor, diagonal: Tensor) -> Tensor | None:
    for _ in range(MAX_NEWTON_STEPS):
        residual = _residual(bases, diagonal)
        error = _squared_norm(residual)
        if error < ACCURACY**2:
            return bases
        step = _newton_step(bases, residual)
        for halvings in range(20):
            trial = torch.linalg.qr(bases + 0.5**halvings * step).Q
            if _squared_norm(_residual(trial, diagonal)) < error:
                bases = trial
                break
        else:
            return None
    return None


def _residual(bases: Tensor, diagonal: Tensor) -> Residual:
    """The residuals of both sets of equations; the first is scaled by sqrt(k), so that both have similar scale."""
    root = math.sqrt(len(bases))
    identity = torch.eye(bases.shape[-1], dtype=bases.dtype, device=bases.device)
    return (bases @ bases.mT).sum(0) / root - torch.diag(diagonal) * root, bases.mT @ bases - identity


def _newton_step(bases: Tensor, residual: Residual) -> Tensor:
    """Shortest step that solves the linearised equations, by conjugate gradients on their normal equations."""
    root = math.sqrt(len(bases))
    right = _without_trace_excess(residual, root)
    direction = right
    solution: Residual = (torch.zeros_like(right[0]), torch.zeros_like(right[1]))
    size = first_size = _squared_norm(right)
    for _ in range(MAX_INNER_STEPS):
        lifted = 2 * (direction[0] @ bases / root + bases @ direction[1])
        outer, inner = (lifted @ bases.mT).sum(0) / root, lifted.mT @ bases
        length = size / float(lifted.square().sum())
        solution = (solution[0] - length * direction[0], solution[1] - length * direction[1])
        right = (right[0] - length * (outer + outer.mT), right[1] - length * (inner + inner.mT))
        previous, size = size, _squared_norm(right)
        if size < 1e-12 * first_size:
            break
        direction = (right[0] + size / previous * direction[0], right[1] + size / previous * direction[1])
    return (solution[0] @ bases / root + bases @ solution[1]) * 2


def _without_trace_excess(residual: Residual, root: float) -> Residual:
    """Remove the residual of the one redundant equation (both sets fix the trace), whose rounding errors remain."""
    outer, inner = residual
    sizes = root**2 * (outer.shape[-1] + inner.shape[-1])
    excess = (root * outer.trace() - inner.diagonal(dim1=-2, dim2=-1).sum()) / sizes
    identity = torch.eye(inner.shape[-1], dtype=inner.dtype, device=inner.device)
    return outer - excess * root * torch.eye(
        len(outer), dtype=outer.dtype, device=outer.device
    ), inner + excess * identity


def _squared_norm(residual: Residual) -> float:
    return float(residual[0].square().sum() + residual[1].square().sum())
