"""Critical points of dropout with tied weights: derivatives against autograd, Theorem 7 where a search ends."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import root
from torch import Tensor

from tasks.theory import landscape
from tasks.theory.landscape import least_curvature, tied_gradient, tied_objective
from tasks.theory.linear import factorize, landscape_condition, path_norm_squared, shrinkage_threshold

Floats = NDArray[np.float64]

EIGENVALUES = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
M = torch.diag(EIGENVALUES)


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(size: int, seed: int = 0) -> Tensor:
    root = matrix(size, size, seed)
    return root + root.T


@pytest.mark.parametrize("lam", [0.0, 0.7])
@pytest.mark.parametrize(("size", "width"), [(1, 1), (3, 2), (2, 4)])
def test_derivatives_are_those_of_autograd(size: int, width: int, lam: float) -> None:
    target, U = symmetric(size), matrix(size, width, seed=1)
    point = U.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(tied_objective(target, point, lam), [point])
    torch.testing.assert_close(tied_gradient(target, U, lam), gradient, rtol=1e-11, atol=1e-11)
    hessian = torch.autograd.functional.hessian(lambda point: tied_objective(target, point, lam), U)
    least = torch.linalg.eigvalsh(hessian.reshape(size * width, size * width))[0]
    torch.testing.assert_close(least_curvature(target, U, lam), least, rtol=1e-9, atol=1e-9)


def test_the_objective_is_that_of_untied_weights_at_equal_factors() -> None:
    U = matrix(3, 2)
    untied = (M - U @ U.T).square().sum() + 0.3 * path_norm_squared(U, U)
    torch.testing.assert_close(tied_objective(M, U, 0.3), untied, rtol=1e-13, atol=0)


def critical_points(width: int, lam: float, num_starts: int = 60) -> Tensor:
    """Where least squares on the gradient end, from small and large starts: minima and saddles alike."""
    target, found = M.numpy(), []

    def gradient(flat: Floats) -> Floats:
        U = flat.reshape(3, width)
        return (4 * ((U @ U.T - target) @ U + lam * U * (U**2).sum(0))).ravel()

    for seed in range(num_starts):
        start = matrix(3, width, seed).numpy().ravel() * (0.2 + 1.5 * (seed % 5) / 4)
        end = root(gradient, start, method="lm", options={"xtol": 1e-14, "ftol": 1e-14}).x
        if np.linalg.norm(gradient(end)) < 1e-8:
            found.append(torch.from_numpy(end).view(3, width))
    return torch.stack(found)


def optimum(width: int, lam: float) -> float:
    shrunk, _ = shrinkage_threshold(EIGENVALUES, width, lam)
    return float((EIGENVALUES - shrunk).square().sum() + lam / width * shrunk.sum() ** 2)


@pytest.mark.parametrize("lam", [0.05, 0.6])
def test_under_the_condition_every_critical_point_is_a_global_optimum_or_a_strict_saddle(lam: float) -> None:
    assert bool(landscape_condition(EIGENVALUES, 2, lam))
    points = critical_points(2, lam)
    excess, curvature = tied_objective(M, points, lam) - optimum(2, lam), least_curvature(M, points, lam)
    assert bool((excess > -1e-8).all())
    optimal = excess < 1e-6
    assert bool((curvature[~optimal] < -1e-3).all())
    assert bool((curvature[optimal] > -1e-5).all())
    norms = points[optimal].square().sum(-2)
    torch.testing.assert_close(norms[:, 0], norms[:, 1], rtol=1e-5, atol=0)  # Lemma 1: local minima are equalized
    assert int((~optimal).sum()) >= 5  # the search does end at saddles


def test_the_global_optimum_has_no_gradient_and_curves_nowhere_downwards() -> None:
    U, _ = factorize(M, 2, 0.6)
    torch.testing.assert_close(tied_gradient(M, U, 0.6), torch.zeros_like(U), rtol=0, atol=1e-10)
    assert float(tied_objective(M, U, 0.6)) == pytest.approx(optimum(2, 0.6), rel=1e-10)
    assert float(least_curvature(M, U, 0.6)) > -1e-10


def test_leading_dimensions_are_batches() -> None:
    points = [matrix(3, 2, seed) for seed in range(4)]
    stacked = torch.stack(points).view(2, 2, 3, 2)
    for function in (tied_objective, tied_gradient, least_curvature):
        one_by_one = torch.stack([function(M, U, 0.3) for U in points])
        batched = function(M, stacked, 0.3)
        torch.testing.assert_close(batched, one_by_one.view(batched.shape), rtol=1e-11, atol=1e-11)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "not square": (lambda: tied_objective(M[:2], matrix(2, 2), 0.1), "M must be square in its last two dimensions"),
    "not symmetric": (
        lambda: tied_gradient(matrix(3, 3), matrix(3, 2), 0.1),
        "M must be symmetric, got a matrix that differs from its transpose",
    ),
    "rows": (lambda: least_curvature(M, matrix(2, 2), 0.1), "U must have one row for each row of M, got 2 and 3"),
    "lam": (lambda: tied_objective(M, matrix(3, 2), -0.1), "lam must be finite and >= 0, got -0.1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_critical_points_are_those_of_another_search() -> None:
    starts = torch.stack([matrix(3, 2, seed) * (0.2 + 1.5 * (seed % 5) / 4) for seed in range(60)])
    ours, others = landscape.critical_points(M, starts, 0.6), critical_points(2, 0.6)
    assert len(ours) >= 40
    values = [{round(float(value), 5) for value in tied_objective(M, points, 0.6)} for points in (ours, others)]
    assert len(values[0] & values[1]) >= 3  # minima and saddles alike
    assert float(tied_gradient(M, ours, 0.6).flatten(1).norm(dim=1).max()) < 1e-8
