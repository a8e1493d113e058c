"""Dropout in two-layer linear networks: equalisers, shrinkage and the optimum against slow, obvious versions."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.theory.linear import (
    equalizer,
    factorize,
    jointly_equalize,
    landscape_condition,
    path_norm_squared,
    shrinkage_threshold,
    universal_equalizer,
)

SPECTRA = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=6)


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def low_rank(rows: int, columns: int, rank: int, seed: int = 0) -> Tensor:
    return matrix(rows, rank, seed) @ matrix(rank, columns, seed + 1)


def objective(M: Tensor, U: Tensor, V: Tensor, lam: float) -> Tensor:
    return (M - U @ V.mT).square().sum() + lam * path_norm_squared(U, V)


def test_the_path_norm_is_the_sum_over_all_paths() -> None:
    U, V = matrix(3, 4), matrix(2, 4, seed=1)
    paths = itertools.product(range(3), range(4), range(2))
    listed = sum(float(U[j, i] ** 2 * V[k, i] ** 2) for j, i, k in paths)
    assert float(path_norm_squared(U, V)) == pytest.approx(listed, rel=1e-12)


def assert_equalizes(U: Tensor, Q: Tensor) -> None:
    torch.testing.assert_close(Q.mT @ Q, torch.eye(U.shape[-1], dtype=torch.float64), rtol=0, atol=1e-12)
    norms = (U @ Q).norm(dim=0)
    wanted = float(U.norm()) / math.sqrt(U.shape[-1])
    torch.testing.assert_close(norms, torch.full_like(norms, wanted), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-170, 1e170])
@pytest.mark.parametrize("find", [equalizer, universal_equalizer])
def test_the_scale_of_a_matrix_does_not_matter(find: Callable[[Tensor], Tensor], scale: float) -> None:
    U = matrix(7, 4)
    assert_equalizes(U, find(scale * U))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 13, 32, 64])
def test_the_equalizer_gives_all_columns_the_same_norm(width: int) -> None:
    U = matrix(width + 3, width, seed=width)
    assert_equalizes(U, equalizer(U))


def test_the_equalizer_works_for_every_rank_from_1_to_64() -> None:
    for rank in range(1, 65):  # the width is the rank, and every fourth time more than the rank
        U = low_rank(rank + 2, rank + (5 if rank % 4 == 0 else 0), rank, seed=rank)
        assert_equalizes(U, equalizer(U))


DEGENERATE = {
    "zero": torch.zeros(3, 4, dtype=torch.float64),
    "one column that is not zero": torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0]], dtype=torch.float64),
    "equalized already": torch.eye(5, dtype=torch.float64),
    "equal columns": torch.ones(2, 6, dtype=torch.float64),
    "fewer rows than columns": matrix(2, 7),
    "wildly scaled": torch.diag(torch.logspace(-8, 4, 6, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_the_equalizer_works_for_degenerate_matrices(name: str) -> None:
    U = DEGENERATE[name]
    norm = float(U.norm()) or 1.0
    assert_equalizes(U / norm, equalizer(U))


def test_many_matrices_are_equalized_at_once() -> None:
    U = torch.stack([matrix(4, 3, seed=seed) for seed in range(5)])
    norms = (U @ equalizer(U)).norm(dim=-2)
    torch.testing.assert_close(norms, norms.mean(-1, keepdim=True).expand_as(norms), rtol=1e-12, atol=0)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
def test_the_universal_equalizer_works_for_powers_of_two_at_any_rank(width: int) -> None:
    for U in (matrix(3, width), low_rank(6, width, 1), torch.eye(width, dtype=torch.float64)):
        assert_equalizes(U, universal_equalizer(U))


def test_the_printed_universal_equalizer_loses_orthogonality_from_the_third_on() -> None:
    Z = torch.ones(1, 1, dtype=torch.float64)
    errors = []
    for k in (2, 3):
        Z = 2 ** ((1 - k) / 2) * torch.cat([torch.cat([Z, Z], 1), torch.cat([-Z, Z], 1)], 0)
        errors.append(float((Z.T @ Z - torch.eye(len(Z), dtype=torch.float64)).abs().max()))
    assert errors[0] < 1e-12
    assert errors[1] > 0.1


@pytest.mark.parametrize(("rank", "width"), [(3, 3), (2, 3), (1, 6), (3, 8)])
def test_joint_equalization_keeps_the_map_and_shares_it_evenly(rank: int, width: int) -> None:
    U, V = low_rank(5, width, rank), low_rank(4, width, rank, seed=7)
    even_U, even_V = jointly_equalize(U, V)
    torch.testing.assert_close(even_U @ even_V.T, U @ V.T, rtol=1e-10, atol=1e-10)
    share = float(torch.linalg.matrix_norm(U @ V.T, "nuc")) / width
    for factor in (even_U, even_V):
        squares = factor.square().sum(0)
        torch.testing.assert_close(squares, torch.full_like(squares, share), rtol=1e-10, atol=0)
    assert float(path_norm_squared(even_U, even_V)) == pytest.approx(width * share**2, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), width=st.integers(1, 6))
def test_no_network_has_a_smaller_path_norm_than_the_equalized_one(seed: int, width: int) -> None:
    U, V = matrix(3, width, seed), matrix(4, width, seed + 1000)
    equalized = float(path_norm_squared(*jointly_equalize(U, V)))
    assert equalized <= float(path_norm_squared(U, V)) * (1 + 1e-12)


def best_shrinkage(values: list[float], width: int, lam: float) -> float:
    """Minimum of ||s - a||^2 + lam / r (sum a)^2 over a >= 0 with at most r entries: every support, solved exactly."""
    best = sum(value**2 for value in values)
    for size in range(1, min(width, len(values)) + 1):
        for support in itertools.combinations(range(len(values)), size):
            amount = lam * sum(values[i] for i in support) / (width + lam * size)
            a = [values[i] - amount if i in support else 0.0 for i in range(len(values))]
            if min(a) >= 0:
                error = sum((s - x) ** 2 for s, x in zip(values, a, strict=True))
                best = min(best, error + lam / width * sum(a) ** 2)
    return best


@settings(max_examples=80, deadline=None)
@given(values=SPECTRA, width=st.integers(1, 6), lam=st.floats(0.0, 10.0))
def test_shrinkage_is_the_best_of_all_supports(values: list[float], width: int, lam: float) -> None:
    spectrum = torch.tensor(values, dtype=torch.float64)
    shrunk, rank = shrinkage_threshold(spectrum, width, lam)
    reached = float((spectrum - shrunk).square().sum() + lam / width * shrunk.sum() ** 2)
    assert reached == pytest.approx(best_shrinkage(values, width, lam), rel=1e-9, abs=1e-12)
    assert int((shrunk > 0).sum()) == int(rank) <= width


@settings(max_examples=50, deadline=None)
@given(values=SPECTRA, width=st.integers(1, 6), lam=st.floats(0.0, 10.0))
def test_the_rank_is_the_largest_index_that_the_theorem_names(values: list[float], width: int, lam: float) -> None:
    ordered = sorted(values, reverse=True)
    excess = {
        j: ordered[j - 1] - lam * j * (sum(ordered[:j]) / j) / (width + lam * j)
        for j in range(1, min(width, len(ordered)) + 1)
    }
    surely, perhaps = ([j for j, value in excess.items() if value > margin] for margin in (1e-12, -1e-12))
    rank = int(shrinkage_threshold(torch.tensor(values, dtype=torch.float64), width, lam)[1])
    assert max(surely, default=0) <= rank <= max(perhaps, default=0)


def test_the_printed_shrinkage_leaves_more_values_than_the_width_allows() -> None:
    spectrum = torch.tensor([3.0, 2.0, 1.9], dtype=torch.float64)
    shrunk, rank = shrinkage_threshold(spectrum, width=2, lam=0.1)
    printed = (spectrum - float(spectrum[0] - shrunk[0])).clamp(min=0)
    assert int((printed > 0).sum()) == 3 > int(rank) == 2


@pytest.mark.parametrize(("lam", "square"), [(0.1, 1.90476), (0.5, 1.6), (0.6, 1.53846), (1.0, 1.33333), (2.0, 1.0)])
def test_the_scalar_case_is_four_over_two_plus_lambda(lam: float, square: float) -> None:
    U, V = factorize(torch.tensor([[2.0]], dtype=torch.float64), width=2, lam=lam)
    assert float(U.square().sum()) == pytest.approx(4 / (2 + lam), rel=1e-12)
    assert float(U.square().sum()) == pytest.approx(square, abs=1e-5)  # the values beside the landscapes
    torch.testing.assert_close(U.abs(), V.abs().mean().expand_as(U), rtol=1e-10, atol=0)


PROBLEMS = [(4, 3, 3, 0.5), (4, 3, 2, 0.2), (3, 5, 7, 1.5), (4, 4, 1, 0.3)]  # rows, columns, width, lambda


@pytest.mark.parametrize(("rows", "columns", "width", "lam"), PROBLEMS)
def test_the_factorization_is_stationary_and_equalized(rows: int, columns: int, width: int, lam: float) -> None:
    M = matrix(rows, columns)
    U, V = (factor.requires_grad_() for factor in factorize(M, width, lam))
    for gradient in torch.autograd.grad(objective(M, U, V, lam), (U, V)):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)
    importance = U.norm(dim=0) * V.norm(dim=0)
    torch.testing.assert_close(importance, importance.mean().expand_as(importance), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("rows", "columns", "width", "lam"), PROBLEMS)
def test_random_restarts_do_not_beat_the_factorization(rows: int, columns: int, width: int, lam: float) -> None:
    M = matrix(rows, columns)

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(flat, requires_grad=True)
        U, V = weights[: rows * width].view(rows, width), weights[rows * width :].view(columns, width)
        value = objective(M, U, V, lam)
        return value.item(), torch.autograd.grad(value, weights)[0].numpy()

    rng = np.random.default_rng(0)
    starts = rng.normal(size=(6, (rows + columns) * width))
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 2000}
    with threadpool_limits(1):  # on a busy machine the linear algebra of small steps waits for its own threads
        ends = [minimize(value_and_gradient, x, jac=True, method="L-BFGS-B", options=options).fun for x in starts]
    closed = float(objective(M, *factorize(M, width, lam), lam))
    assert min(ends) >= closed - 1e-9
    assert min(ends) == pytest.approx(closed, abs=1e-7)


def test_the_printed_solver_is_worse_than_the_corrected_one() -> None:
    M, width, lam = torch.diag(torch.tensor([4.0, 3.0, 2.0], dtype=torch.float64)), 3, 1.5
    spectrum = [4.0, 3.0, 2.0]
    rho = max(j for j in (1, 2, 3) if spectrum[j - 1] > lam * sum(spectrum[:j]) / (1 + lam * j))
    amount = lam * sum(spectrum[:rho]) / (1 + lam * rho)
    root = torch.diag(torch.tensor([max(s - amount, 0.0) for s in spectrum], dtype=torch.float64).sqrt())
    printed = root @ equalizer(root)
    corrected = float(objective(M, *factorize(M, width, lam), lam))
    assert float(objective(M, printed, printed, lam)) > corrected + 0.1


def test_many_matrices_are_factorized_at_once() -> None:
    M = torch.stack([matrix(4, 3, seed=seed) for seed in range(3)])
    U, V = factorize(M, 5, 0.4)
    for one, left, right in zip(M, U, V, strict=True):
        alone = factorize(one, 5, 0.4)
        torch.testing.assert_close(left @ right.T, alone[0] @ alone[1].T, rtol=1e-10, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=5), width=st.integers(1, 6), lam=st.floats(0.0, 5.0))
def test_the_landscape_condition_is_its_inequality_and_says_that_the_full_width_is_used(
    values: list[float], width: int, lam: float
) -> None:
    spectrum = torch.tensor(values, dtype=torch.float64)
    top = sorted(values + [0.0] * width, reverse=True)[:width]
    slack = width * top[-1] - lam * (sum(top) - width * top[-1])
    if abs(slack) > 1e-9:
        assert bool(landscape_condition(spectrum, width, lam)) == (slack > 0)
        assert (int(shrinkage_threshold(spectrum, width, lam)[1]) == width) == (slack > 0)


def test_under_the_landscape_condition_descent_from_any_start_ends_at_the_global_optimum() -> None:
    eigenvalues, width, lam = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64), 2, 0.6
    assert bool(landscape_condition(eigenvalues, width, lam))
    M = torch.diag(eigenvalues)
    U = torch.stack([matrix(3, width, seed) for seed in range(20)])
    for _ in range(3000):
        tied = U.square().sum(-2, keepdim=True)
        U = U - 0.01 * 4 * ((U @ U.mT - M) @ U + lam * tied * U)
    ends = (M - U @ U.mT).square().sum((-2, -1)) + lam * U.square().sum(-2).square().sum(-1)
    shrunk, _ = shrinkage_threshold(eigenvalues, width, lam)
    optimum = (eigenvalues - shrunk).square().sum() + lam / width * shrunk.sum() ** 2
    torch.testing.assert_close(ends, optimum.expand_as(ends), rtol=1e-8, atol=0)


ONE = torch.ones(1, 1, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "widths": (lambda: jointly_equalize(torch.ones(1, 2), ONE), "same number of columns, got 2 and 1"),
    "vector": (lambda: equalizer(ONE[0]), r"U must be a non-empty tensor of at least 2 dimensions, got shape \(1,\)"),
    "not finite": (lambda: factorize(ONE * torch.inf, 1, 1.0), "M must have finite entries only, got 1 that are not"),
    "width 0": (lambda: factorize(ONE, 0, 1.0), "width must be an integer >= 1, got 0"),
    "lam": (lambda: shrinkage_threshold(ONE, 1, -0.5), "lam must be finite and >= 0, got -0.5"),
    "lam of the landscape": (lambda: landscape_condition(ONE, 1, math.inf), "lam must be finite and >= 0, got inf"),
    "negative eigenvalue": (lambda: landscape_condition(-ONE, 1, 1.0), "eigenvalues must not be negative, got -1.0"),
    "no power of two": (
        lambda: universal_equalizer(torch.ones(1, 3)),
        "power of two of columns .* got 3; use equalizer",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
