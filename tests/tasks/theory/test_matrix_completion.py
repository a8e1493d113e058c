"""Dropout in matrix completion: closed forms against listing masks, entries and samples, and numerical minima."""

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.theory.linear import jointly_equalize
from tasks.theory.matrix_completion import (
    completion_loss,
    completion_regularizer,
    dropout_strength,
    generalization_gap_bound,
    induced_regularizer,
    population_regularizer,
    weighted_trace_norm,
    weighted_trace_norm_of_factors,
)

ROWS, COLUMNS = torch.tensor([0, 2, 1, 2, 2]), torch.tensor([1, 0, 3, 3, 3])  # one entry is observed twice
VALUES = torch.tensor([1.0, -2.0, 0.5, 3.0, 2.5], dtype=torch.float64)


def factors(width: int = 3, rows: int = 3, columns: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    U, V = (torch.randn(size, width, generator=generator, dtype=torch.float64) for size in (rows, columns))
    return U, V


def distribution(size: int, seed: int = 0) -> Tensor:
    weights = torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.2
    return weights / weights.sum()


def skewed(first: float) -> Tensor:
    """Three chances, the last two equal."""
    return torch.tensor([first, (1 - first) / 2, (1 - first) / 2], dtype=torch.float64)


def masks_with_chances(keep: float, count: int) -> Iterable[tuple[Tensor, float]]:
    """Every 0/1 vector, with its chance under independent Ber(keep)."""
    for bits in itertools.product([0.0, 1.0], repeat=count):
        yield torch.tensor(bits, dtype=torch.float64), keep ** sum(bits) * (1 - keep) ** (count - sum(bits))


def test_the_loss_is_the_mean_over_the_observed_entries_of_the_product() -> None:
    U, V = factors()
    errors = VALUES - (U @ V.T)[ROWS, COLUMNS]
    torch.testing.assert_close(completion_loss(U, V, ROWS, COLUMNS, VALUES), errors.square().mean(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("drop_rate", [0.0, 0.2, 0.5, 0.9])
def test_the_mean_over_all_masks_shared_by_the_batch_is_loss_plus_strength_times_regularizer(drop_rate: float) -> None:
    U, V = factors()
    keep = 1 - drop_rate
    listed = sum(
        chance * float(completion_loss(U * mask / keep, V, ROWS, COLUMNS, VALUES))
        for mask, chance in masks_with_chances(keep, 3)
    )
    regularizer = completion_regularizer(U, V, ROWS, COLUMNS)
    closed = completion_loss(U, V, ROWS, COLUMNS, VALUES) + dropout_strength(drop_rate) * regularizer
    assert float(closed) == pytest.approx(listed, rel=1e-12)


def test_a_mask_for_each_entry_gives_the_same_objective_as_one_for_the_batch() -> None:
    U, V = factors(width=2)
    rows, columns, values = ROWS[:3], COLUMNS[:3], VALUES[:3]
    listed = 0.0
    for mask, chance in masks_with_chances(0.7, 6):  # 3 entries, 2 units
        predictions = (U[rows] * mask.view(3, 2) / 0.7 * V[columns]).sum(1)
        listed += chance * float((values - predictions).square().mean())
    closed = completion_loss(U, V, rows, columns, values) + dropout_strength(1 - 0.7) * completion_regularizer(
        U, V, rows, columns
    )
    assert float(closed) == pytest.approx(listed, rel=1e-12)


def test_the_population_regularizer_is_the_mean_of_the_empirical_one_over_all_entries() -> None:
    (U, V), p, q = factors(), distribution(3), distribution(4, seed=1)
    listed = sum(
        float(p[i] * q[k] * completion_regularizer(U, V, torch.tensor([i]), torch.tensor([k])))
        for i, k in itertools.product(range(3), range(4))
    )
    assert float(population_regularizer(U, V, p, q)) == pytest.approx(listed, rel=1e-13)


def test_the_weighted_trace_norm_is_the_trace_of_the_root_of_the_gram_matrix() -> None:
    (U, V), p, q = factors(width=2), distribution(3), distribution(4, seed=1)
    scaled = torch.diag(p.sqrt()) @ U @ V.T @ torch.diag(q.sqrt())
    roots = torch.linalg.eigvalsh(scaled @ scaled.T).clamp(min=0).sqrt()
    assert float(weighted_trace_norm(U @ V.T, p, q)) == pytest.approx(float(roots.sum()), rel=1e-7)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_the_induced_regularizer_is_never_exceeded_from_below_and_attained_by_equalized_factors(width: int) -> None:
    p, q = distribution(3), distribution(4, seed=1)
    for seed in range(5):
        U, V = factors(width, seed=seed)
        least = float(induced_regularizer(U @ V.T, p, q, width))
        assert float(population_regularizer(U, V, p, q)) >= least * (1 - 1e-12)
        row_scale, column_scale = p.sqrt()[:, None], q.sqrt()[:, None]
        left, right = jointly_equalize(row_scale * U, column_scale * V)
        left, right = left / row_scale, right / column_scale
        torch.testing.assert_close(left @ right.T, U @ V.T, rtol=1e-10, atol=1e-10)
        assert float(population_regularizer(left, right, p, q)) == pytest.approx(least, rel=1e-10)


def test_the_induced_regularizer_is_the_minimum_over_all_reparametrisations() -> None:
    (U, V), p, q = factors(width=3), distribution(3), distribution(4, seed=1)

    def regularizer(flat: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, object]:
        change = torch.from_numpy(flat).view(3, 3).requires_grad_()
        value = population_regularizer(U @ change, V @ torch.linalg.inv(change).T, p, q)
        (gradient,) = torch.autograd.grad(value, [change])
        return float(value.detach()), gradient.flatten().numpy()

    with threadpool_limits(1):
        found = minimize(regularizer, np.eye(3).ravel(), jac=True, method="BFGS", options={"gtol": 1e-10})
    assert found.fun == pytest.approx(float(induced_regularizer(U @ V.T, p, q, 3)), rel=1e-8)


def test_leading_dimensions_are_batches() -> None:
    pairs = [factors(seed=seed) for seed in range(4)]
    U, V = (torch.stack(matrices).view(2, 2, *matrices[0].shape) for matrices in zip(*pairs, strict=True))
    p, q = distribution(3), distribution(4, seed=1)
    calls: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda left, right: completion_loss(left, right, ROWS, COLUMNS, VALUES),
        lambda left, right: completion_regularizer(left, right, ROWS, COLUMNS),
        lambda left, right: population_regularizer(left, right, p, q),
        lambda left, right: induced_regularizer(left @ right.mT, p, q, 3),
    ]
    for call in calls:
        one_by_one = torch.stack([call(*pair) for pair in pairs]).view(2, 2)
        torch.testing.assert_close(call(U, V), one_by_one, rtol=1e-12, atol=0)


def complexity(p: Tensor, q: Tensor, num_examples: int) -> float:
    """Rademacher complexity of all matrices with weighted trace norm up to 1, by all samples and signs.

    The supremum of a linear form over that ball is the dual norm, the largest singular value.
    """
    places = list(itertools.product(range(len(p)), range(len(q))))
    mean = 0.0
    for sample in itertools.product(places, repeat=num_examples):
        chance = math.prod(float(p[i] * q[k]) for i, k in sample)
        for signs in itertools.product([-1.0, 1.0], repeat=num_examples):
            total = torch.zeros(len(p), len(q), dtype=torch.float64)
            for (i, k), sign in zip(sample, signs, strict=True):
                total[i, k] += sign / math.sqrt(float(p[i] * q[k]))
            mean += chance / 2**num_examples * float(torch.linalg.matrix_norm(total, 2)) / num_examples
    return mean


CLASSES = {
    "2x2, even": (torch.full((2,), 0.5, dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64), 2),
    "2x2, even, more entries": (torch.full((2,), 0.5).double(), torch.full((2,), 0.5).double(), 3),
    "3x2, uneven": (distribution(3), distribution(2, seed=1), 2),
    "3x3, rare entries": (skewed(0.98), skewed(0.9), 2),
}


def confidence_term(num_examples: int) -> float:
    return 4 * math.sqrt(math.log(2 / 0.5) / (2 * num_examples))


@pytest.mark.parametrize("name", CLASSES)
def test_the_derived_gap_holds_8_times_an_upper_bound_on_the_complexity(name: str) -> None:
    p, q, num_examples = CLASSES[name]
    bound = generalization_gap_bound(1.0, 1, p, q, num_examples, 0.5) - confidence_term(num_examples)
    assert 8 * complexity(p, q, num_examples) <= bound


def test_the_complexity_that_theorem_11_uses_is_too_small_at_2x2() -> None:
    p, q, num_examples = CLASSES["2x2, even"]
    assert float(p.min() * q.min()) >= math.log(2) / (num_examples * 2)  # the assumption of the theorem
    exact = complexity(p, q, num_examples)
    assert exact == pytest.approx((1 + math.sqrt(2)) / 2, rel=1e-12)
    assert exact > math.sqrt(2 * math.log(2) / num_examples) + 0.37


def test_the_printed_gap_is_the_printed_formula_and_smaller_than_the_derived_one() -> None:
    p, q = torch.full((1000,), 1e-3, dtype=torch.float64), torch.full((800,), 1 / 800, dtype=torch.float64)
    printed = generalization_gap_bound(2e-4, 70, p, q, 90_000, 0.05, variant="printed")
    assert printed == pytest.approx(8 * math.sqrt((2 * 0.014 * 1000 * math.log(1000) + math.log(40) / 4) / 90_000))
    assert printed < generalization_gap_bound(2e-4, 70, p, q, 90_000, 0.05)


def test_the_gap_falls_with_the_sample_and_vanishes_with_it() -> None:
    p = torch.full((10,), 0.1, dtype=torch.float64)
    gaps = [generalization_gap_bound(0.1, 5, p, p, n, 0.05) for n in (100, 10_000, 10**8)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.01


U, V = factors()
ONE, EVEN = torch.ones(1, 1, dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "widths": (
        lambda: completion_regularizer(U, V[:, :2], ROWS, COLUMNS),
        "U and V must have the same number of columns, got 3 and 2",
    ),
    "row beyond the matrix": (
        lambda: completion_regularizer(U, V, COLUMNS, COLUMNS),
        r"rows must lie in 0\.\.2, got values from 0 to 3",
    ),
    "negative column": (
        lambda: completion_regularizer(U, V, ROWS, -ROWS),
        r"columns must lie in 0\.\.3, got values fr",
    ),
    "rows of floats": (
        lambda: completion_regularizer(U, V, VALUES, COLUMNS),
        "rows must hold integers .* got torch.fl",
    ),
    "no entry": (lambda: completion_regularizer(U, V, ROWS[:0], COLUMNS[:0]), r"rows must be a non-empty vector, got"),
    "lengths": (
        lambda: completion_regularizer(U, V, ROWS, COLUMNS[:2]),
        "rows and columns must have the same length, got 5 and 2",
    ),
    "values": (
        lambda: completion_loss(U, V, ROWS, COLUMNS, VALUES[:2]),
        "values must hold one number for each observed entry, got 2 and 5",
    ),
    "drop rate 1": (lambda: dropout_strength(1.0), r"drop_rate must lie in \[0, 1\), got 1.0"),
    "drop rate NaN": (lambda: dropout_strength(math.nan), r"drop_rate must lie in \[0, 1\), got nan"),
    "too few chances": (
        lambda: weighted_trace_norm(U, EVEN, EVEN),
        "row_probabilities must hold one number for each row or column, got 2 and 3",
    ),
    "sum": (
        lambda: population_regularizer(ONE, ONE, EVEN[:1], ONE[0]),
        "row_probabilities must sum to 1, got 0.5",
    ),
    "negative chance": (
        lambda: weighted_trace_norm(torch.eye(2).double(), torch.tensor([1.5, -0.5]).double(), EVEN),
        "row_probabilities must not be negative, got -0.5",
    ),
    "width 0": (lambda: induced_regularizer(ONE, ONE[0], ONE[0], 0), "width must be an integer >= 1, got 0"),
    "delta": (
        lambda: generalization_gap_bound(1.0, 1, EVEN, EVEN, 10, 1.0),
        r"failure_probability must lie in \(0, 1\), got 1.0",
    ),
    "never observed": (
        lambda: generalization_gap_bound(1.0, 1, torch.tensor([1.0, 0.0]).double(), EVEN, 10, 0.1),
        "must have no zero entry for a bound",
    ),
    "negative regularizer": (
        lambda: generalization_gap_bound(-1.0, 1, EVEN, EVEN, 10, 0.1),
        "regularizer must be finite and >= 0, got -1.0",
    ),
    "variant": (
        lambda: generalization_gap_bound(1.0, 1, EVEN, EVEN, 10, 0.1, variant="x"),
        "variant must be 'derived' or 'printed', got 'x'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_norm_of_factors_is_that_of_their_product_and_its_gradient_that_of_autograd() -> None:
    generator = torch.Generator().manual_seed(0)
    U, V = (torch.randn(size, 3, generator=generator, dtype=torch.float64, requires_grad=True) for size in (7, 5))
    p, q = (torch.rand(size, generator=generator, dtype=torch.float64) for size in (7, 5))
    p[2] = 0  # a row that is never observed
    p, q = p / p.sum(), q / q.sum()
    by_factors, by_product = weighted_trace_norm_of_factors(U, V, p, q), weighted_trace_norm(U @ V.T, p, q)
    torch.testing.assert_close(by_factors, by_product)
    scaled = (torch.diag(p.sqrt()) @ U @ V.T @ torch.diag(q.sqrt())).detach()
    left, _, right_transposed = torch.linalg.svd(scaled, full_matrices=False)
    polar = left[:, :3] @ right_transposed[:3]  # the gradient of the norm by the matrix, which has rank 3
    weighted = torch.diag(p.sqrt()) @ polar @ torch.diag(q.sqrt())
    gradients = torch.autograd.grad(by_factors, (U, V))
    torch.testing.assert_close(gradients[0], weighted @ V.detach())
    torch.testing.assert_close(gradients[1], weighted.T @ U.detach())


def test_the_norm_of_factors_stays_differentiable_where_a_unit_is_dead() -> None:
    U, V = torch.ones(3, 2, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64)
    U[:, 1] = 0
    U.requires_grad_()
    third, quarter = torch.full((3,), 1 / 3, dtype=torch.float64), torch.full((4,), 0.25, dtype=torch.float64)
    norm = weighted_trace_norm_of_factors(U, V, third, quarter)
    assert float(norm.detach()) == pytest.approx(1.0)
    (gradient,) = torch.autograd.grad(norm, U)
    assert torch.isfinite(gradient).all()
