"""Gradients through the closed forms, against differences of their values; rates at the ends of their range."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tasks.theory.decompositions import eigenvectors, singular_values_and_vectors
from tasks.theory.deep_regularizer import effective_regularization
from tasks.theory.dropblock_optimum import dropblock_global_minimum
from tasks.theory.keep_rates import equal_rate_keep
from tasks.theory.linear import equalizer, factorize


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def assert_like_differences(function: Callable[[Tensor], Tensor], point: Tensor) -> None:
    leaf = point.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf), leaf)
    differences = torch.zeros_like(point)
    for index in range(point.numel()):
        step = torch.zeros_like(point)
        step.view(-1)[index] = 1e-6
        differences.view(-1)[index] = (function(point + step) - function(point - step)) / 2e-6
    torch.testing.assert_close(gradient, differences, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block_size", [1, 2, 3, 9])
@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("values", [[5.0, 3.0], [5.0, 3.0, 0.5, 0.0, 2.9], [2.0, 2.0, 2.0], [0.0, 0.0]], ids=str)
def test_the_gradient_of_the_dropblock_minimum_is_that_of_its_values(
    values: list[float], beta: float, block_size: int
) -> None:
    target = torch.tensor(values, dtype=torch.float64)
    kept, _ = dropblock_global_minimum(target, beta, block_size)
    leaf = target.clone().requires_grad_()
    dropblock_global_minimum(leaf, beta, block_size)[1].backward()
    torch.testing.assert_close(leaf.grad, 2 * (target - kept), rtol=1e-12, atol=1e-12)
    positive = target + 0.01 * torch.arange(
        1, 1 + len(target)
    )  # away from 0, below which there are no values, and from ties
    assert_like_differences(lambda m: dropblock_global_minimum(m, beta, block_size)[1], positive)
    weights = drawn(len(target))
    assert_like_differences(lambda m: (dropblock_global_minimum(m, beta, block_size)[0] * weights).sum(), positive)


def test_with_room_for_all_values_the_gradient_is_that_of_ridge_regression() -> None:
    target = torch.tensor([5.0, 3.0], requires_grad=True)
    dropblock_global_minimum(target, 0.5, 2)[1].backward()
    assert target.grad is not None
    assert target.grad.tolist() == pytest.approx([10 / 3, 2.0])


@pytest.mark.parametrize("shape", [(4, 3), (2, 2), (3, 3)], ids=str)
def test_the_gradient_through_the_equalizer_is_that_of_its_values_where_eigenvalues_differ(
    shape: tuple[int, int],
) -> None:
    weights = drawn(*shape).flip(0)
    assert_like_differences(lambda U: (U @ equalizer(U) * weights).sum(), drawn(*shape))


DEGENERATE = {
    "of rank 1": drawn(3, 1) @ drawn(1, 4),
    "of rank 2": drawn(3, 2) @ drawn(2, 5),
    "two equal singular values": torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64)),
    "full rank": drawn(5, 4),
    "two at once": drawn(2, 4, 3),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_to_first_order_the_equalizer_stays_a_rotation_that_equalizes_whatever_the_rank(name: str) -> None:
    U, move = DEGENERATE[name], torch.randn(DEGENERATE[name].shape, dtype=torch.float64)
    _, tangent = torch.autograd.functional.jvp(lambda V: V @ equalizer(V), U, move)
    Q, turn = torch.autograd.functional.jvp(equalizer, U, move)
    norms = 2 * ((U @ Q) * tangent).sum(-2)
    expected = 2 * (U * move).sum((-2, -1))[..., None] / U.shape[-1]
    torch.testing.assert_close(norms, expected.expand_as(norms), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(turn.mT @ Q, -Q.mT @ turn, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["full rank", "of rank 2", "of rank 1"])
def test_the_gradient_through_the_factors_is_that_of_the_map_that_they_make(name: str, width: int) -> None:
    M, weights = DEGENERATE[name], drawn(*DEGENERATE[name].shape).flip(-1)

    def map_of(matrix: Tensor) -> Tensor:
        U, V = factorize(matrix, width, 0.3)
        return (U @ V.mT * weights).sum()

    assert_like_differences(map_of, M)


def test_where_no_values_coincide_both_decompositions_have_the_derivatives_of_torch() -> None:
    symmetric, matrix = drawn(4, 4) + drawn(4, 4).mT, drawn(5, 3)
    for ours, theirs, point in (
        (eigenvectors, lambda x: torch.linalg.eigh(x).eigenvectors.abs(), symmetric),
        (singular_values_and_vectors, lambda x: torch.linalg.svd(x, full_matrices=False), matrix),
    ):
        gradients = []
        for function in (ours, theirs):
            leaf = point.clone().requires_grad_()
            parts = function(leaf)
            parts = parts if isinstance(parts, tuple) else (parts,)
            # Signs are free, and torch differentiates nothing that depends on them.
            sum((part.square() * drawn(*part.shape)).sum() for part in parts).backward()
            assert leaf.grad is not None
            gradients.append(leaf.grad + leaf.grad.mT if function is not ours and point is symmetric else leaf.grad)
        ours_gradient = gradients[0] + gradients[0].mT if point is symmetric else gradients[0]
        torch.testing.assert_close(ours_gradient, gradients[1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("keep", [0.3, 1e-10, 1e-17, 1e-300])
def test_the_printed_equal_rate_keeps_its_digits_however_small(keep: float) -> None:
    seeds = equal_rate_keep(keep, 7, "printed")
    series = keep / 13 * (1 + keep * 12 / 26)  # 1 - (1 - x)^(1/13) = x/13 + (1/13)(12/13) x^2 / 2 + O(x^3)
    assert seeds == pytest.approx(series, rel=1e-14 if keep < 1e-4 else 0.1, abs=0)  # by itself approx allows 1e-12
    assert -math.expm1(13 * math.log1p(-seeds)) == pytest.approx(keep, rel=1e-14, abs=0)
    assert equal_rate_keep(1.0, 7, "printed") == 1.0


def test_a_regularization_beyond_the_largest_number_is_infinite() -> None:
    assert effective_regularization([5] * 5, 1e-300) == math.inf
    assert effective_regularization([5], 1e-300) == pytest.approx(2e299)
