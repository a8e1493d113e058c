"""Shrinking small singular values is the proximal step on their sum: nothing nearby or elsewhere is better."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.regularizers.spectra.thresholding import shrink_small_singular_values, tail_sums

CASES = [(6, 4, 2, 0.7), (4, 6, 1, 0.3), (5, 5, 0, 0.5), (5, 5, 4, 0.2), (7, 3, 2, 10.0)]  # rows, columns, h, C
IDS = [f"{rows}x{columns}-h{h}-C{c}" for rows, columns, h, c in CASES]


def matrix(rows: int, columns: int, *batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, rows, columns, generator=generator, dtype=torch.float64)


def slowly(weight: Tensor, num_kept: int, threshold: float) -> Tensor:
    """The obvious version: decompose, shrink one by one, multiply out."""
    left, values, right = np.linalg.svd(weight.numpy(), full_matrices=False)
    shrunk = [s if j < num_kept else max(s - threshold, 0.0) for j, s in enumerate(values)]
    return torch.from_numpy(left @ np.diag(shrunk) @ right)


def objective(x: Tensor, weight: Tensor, num_kept: int, threshold: float) -> float:
    tail = np.linalg.svd(x.numpy(), compute_uv=False)[num_kept:].sum()
    return 0.5 * float((x - weight).square().sum()) + threshold * float(tail)


@pytest.mark.parametrize(("rows", "columns", "num_kept", "threshold"), CASES, ids=IDS)
def test_it_equals_the_slow_obvious_version(rows: int, columns: int, num_kept: int, threshold: float) -> None:
    weight = matrix(rows, columns)
    shrunk = shrink_small_singular_values(weight, num_kept, threshold).weight
    torch.testing.assert_close(shrunk, slowly(weight, num_kept, threshold), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("rows", "columns", "num_kept", "threshold"), CASES, ids=IDS)
def test_no_random_perturbation_of_any_size_improves_the_objective(
    rows: int, columns: int, num_kept: int, threshold: float
) -> None:
    weight = matrix(rows, columns)
    shrunk = shrink_small_singular_values(weight, num_kept, threshold).weight
    best = objective(shrunk, weight, num_kept, threshold)
    for trial in range(100):
        direction = matrix(rows, columns, seed=trial + 1)
        if trial % 2:  # along the matrix's own singular vectors, where the objective has its kinks
            left, _, right = torch.linalg.svd(weight, full_matrices=False)
            direction = left @ torch.diag(direction.flatten()[: min(rows, columns)]) @ right
        for size in (1e-4, 1e-2, 1.0):
            assert objective(shrunk + size * direction, weight, num_kept, threshold) >= best - 1e-12


@pytest.mark.parametrize(("rows", "columns", "num_kept", "threshold"), CASES, ids=IDS)
def test_no_other_threshold_improves_the_objective(rows: int, columns: int, num_kept: int, threshold: float) -> None:
    weight = matrix(rows, columns)

    def value(other: float) -> float:
        shrunk = shrink_small_singular_values(weight, num_kept, other).weight
        return objective(shrunk, weight, num_kept, threshold)

    best = value(threshold)
    others = [value(threshold * factor) for factor in (0.0, 0.5, 0.9, 0.99, 1.01, 1.1, 2.0)]
    assert min(others) >= best - 1e-12
    assert max(others) > best + 1e-6  # so the threshold does matter here


@pytest.mark.parametrize(("rows", "columns", "num_kept", "threshold"), CASES, ids=IDS)
def test_the_first_values_and_all_singular_vectors_stay(
    rows: int, columns: int, num_kept: int, threshold: float
) -> None:
    weight = matrix(rows, columns)
    shrunk = shrink_small_singular_values(weight, num_kept, threshold).weight
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    inner = left.mT @ shrunk @ right.mT
    assert float((inner - torch.diag(inner.diagonal())).abs().max()) < 1e-13
    torch.testing.assert_close(left @ inner @ right, shrunk, rtol=0, atol=1e-13)
    torch.testing.assert_close(inner.diagonal()[:num_kept], values[:num_kept], rtol=1e-13, atol=0)
    torch.testing.assert_close(
        inner.diagonal()[num_kept:], (values[num_kept:] - threshold).clamp(min=0), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("num_kept", [3, 4, 99])
def test_it_is_the_identity_when_all_values_are_kept(num_kept: int) -> None:
    weight = matrix(5, 3)
    shrunk = shrink_small_singular_values(weight, num_kept, 1.0)
    assert torch.equal(shrunk.weight, weight)
    assert (shrunk.next_value, shrunk.num_zeroed) == (0.0, 0)


@pytest.mark.parametrize("num_kept", [0, 1, 2])
def test_it_is_the_identity_at_threshold_zero_even_for_a_matrix_of_low_rank(num_kept: int) -> None:
    weight = torch.diag(torch.tensor([3.0, 1.0, 0.0]))
    shrunk = shrink_small_singular_values(weight, num_kept, 0.0)
    assert torch.equal(shrunk.weight, weight)
    assert shrunk.num_zeroed == 0


def test_without_kept_values_it_is_ordinary_singular_value_thresholding() -> None:
    weight = matrix(6, 4)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    expected = left @ torch.diag(torch.relu(values - 0.8)) @ right
    torch.testing.assert_close(shrink_small_singular_values(weight, 0, 0.8).weight, expected)


def test_it_is_not_expansive_without_kept_values() -> None:
    for seed in range(20):
        one, other = matrix(4, 5, seed=seed), matrix(4, 5, seed=seed + 100)
        distance = (
            shrink_small_singular_values(one, 0, 0.6).weight - shrink_small_singular_values(other, 0, 0.6).weight
        ).norm()
        assert float(distance) <= float((one - other).norm()) + 1e-12


def test_the_matrices_of_a_batch_are_shrunk_each_by_its_own_threshold() -> None:
    weight = matrix(3, 3, 2, 4)
    thresholds = torch.linspace(0, 1.5, 4, dtype=torch.float64)  # one for each input channel
    shrunk = shrink_small_singular_values(weight, 1, thresholds)
    for output in range(2):
        for channel in range(4):
            expected = slowly(weight[output, channel], 1, float(thresholds[channel]))
            torch.testing.assert_close(shrunk.weight[output, channel], expected, rtol=0, atol=1e-13)


def test_it_reports_the_first_value_shrunk_and_how_many_became_zero() -> None:
    weight = torch.stack([torch.diag(torch.tensor(values)) for values in ([5.0, 2.0, 0.1], [4.0, 3.0, 1.0])])
    shrunk = shrink_small_singular_values(weight, 1, 1.0)
    assert shrunk.next_value == pytest.approx(3.0)
    assert shrunk.num_zeroed == 2


@pytest.mark.parametrize("num_kept", [0, 2, 3, 5])
def test_the_sum_of_the_tail_is_that_of_the_singular_values_left_over(num_kept: int) -> None:
    weight = matrix(3, 4, 2)
    expected = [np.linalg.svd(part.numpy(), compute_uv=False)[num_kept:].sum() for part in weight]
    torch.testing.assert_close(tail_sums(weight, num_kept), torch.tensor(expected, dtype=torch.float64))


def test_the_sum_of_the_tail_does_not_see_rotations() -> None:
    weight, turned = matrix(4, 4), torch.linalg.qr(matrix(4, 4, seed=1)).Q
    torch.testing.assert_close(tail_sums(turned @ weight @ turned.mT, 2), tail_sums(weight, 2))
