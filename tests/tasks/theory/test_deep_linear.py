"""Dropout in deep linear networks: the regularizer three ways, its lower bound, and the optimum against training."""

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

from tasks.theory.deep_linear import (
    effective_regularization,
    envelope_optimum,
    equalization_gap,
    explicit_regularizer,
    global_optimum,
    rank_one_equalized,
    regularizer_lower_bounds,
)

WIDTHS = [(2,), (3, 2), (2, 3, 2), (1, 2, 1, 3)]


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moment(size: int, seed: int = 99) -> Tensor:
    root = matrix(size, size + 2, seed)
    return root @ root.T / (size + 2)


def network(hidden_widths: tuple[int, ...], inputs: int = 2, outputs: int = 2, seed: int = 0) -> list[Tensor]:
    sizes = [inputs, *hidden_widths, outputs]
    return [matrix(after, before, seed + i) for i, (before, after) in enumerate(itertools.pairwise(sizes))]


def product(weights: list[Tensor]) -> Tensor:
    """W_last ... W_first."""
    result = weights[0]
    for weight in weights[1:]:
        result = weight @ result
    return result


def by_masks(weights: list[Tensor], C: Tensor, keep: float) -> float:
    """E ||(dropped network - network) x||^2 over every mask of every hidden layer."""
    widths = [len(weight) for weight in weights[:-1]]
    mean_map, total = product(weights), 0.0
    for bits in itertools.product([0.0, 1.0], repeat=sum(widths)):
        masks = torch.tensor(bits, dtype=torch.float64).split(widths)
        dropped = product([mask[:, None] / keep * w for mask, w in zip(masks, weights, strict=False)] + weights[-1:])
        chance = keep ** sum(bits) * (1 - keep) ** (len(bits) - sum(bits))
        total += chance * float(torch.trace((dropped - mean_map) @ C @ (dropped - mean_map).T))
    return total


def by_pivots(weights: list[Tensor], C: Tensor, keep: float) -> list[float]:
    """Proposition 8, term by term: every choice of pivot layers and pivot units."""
    num_hidden, odds, orders = len(weights) - 1, (1 - keep) / keep, []
    for order in range(1, num_hidden + 1):
        total = 0.0
        for layers in itertools.combinations(range(1, num_hidden + 1), order):
            head = product(weights[: layers[0]])
            alphas = torch.diagonal(head @ C @ head.T)
            betas = [product(weights[a:b]).square() for a, b in itertools.pairwise(layers)]
            gammas = product(weights[layers[-1] :]).square().sum(0)
            for units in itertools.product(*(range(len(weights[layer - 1])) for layer in layers)):
                term = float(alphas[units[0]] * gammas[units[-1]])
                for beta, (below, above) in zip(betas, itertools.pairwise(units), strict=True):
                    term *= float(beta[above, below])
                total += term
        orders.append(odds**order * total)
    return orders


@pytest.mark.parametrize("keep", [0.3, 0.8])
@pytest.mark.parametrize("hidden_widths", WIDTHS, ids=str)
def test_the_regularizer_by_recursion_by_pivots_and_by_masks_is_one(
    hidden_widths: tuple[int, ...], keep: float
) -> None:
    weights, C = network(hidden_widths), moment(2)
    orders = explicit_regularizer(weights, C, keep)
    assert orders.tolist() == pytest.approx(by_pivots(weights, C, keep), rel=1e-10)
    assert float(orders.sum()) == pytest.approx(by_masks(weights, C, keep), rel=1e-10)


def test_without_dropout_there_is_no_regularizer() -> None:
    assert torch.equal(explicit_regularizer(network((3, 2)), moment(2), 1.0), torch.zeros(2, dtype=torch.float64))


def test_one_hidden_layer_gives_the_path_norm_with_rows_and_columns_as_corrected() -> None:
    first, last = weights = network((3,), inputs=3, outputs=3)
    orders = explicit_regularizer(weights, torch.eye(3, dtype=torch.float64), 0.5)
    corrected = float((first.square().sum(1) * last.square().sum(0)).sum())
    printed = float((first.square().sum(0) * last.square().sum(1)).sum())
    assert float(orders.sum()) == pytest.approx(corrected, rel=1e-12)
    assert abs(printed - corrected) > 0.1


def test_the_highest_order_is_the_path_norm_of_the_whole_network() -> None:
    weights = network((3, 2, 2))
    squared = product([weight.square() for weight in weights])
    top = explicit_regularizer(weights, torch.eye(2, dtype=torch.float64), 0.5)[-1]
    assert float(top) == pytest.approx(float(squared.sum()), rel=1e-12)


@settings(deadline=None)
@given(scales=st.lists(st.floats(0.2, 5.0), min_size=3, max_size=3))
def test_rescaling_the_layers_leaves_every_order_unchanged(scales: list[float]) -> None:
    weights, C = network((3, 2, 4)), moment(2)
    factors = [*scales, 1 / math.prod(scales)]
    rescaled = [factor * weight for factor, weight in zip(factors, weights, strict=True)]
    torch.testing.assert_close(
        explicit_regularizer(rescaled, C, 0.4), explicit_regularizer(weights, C, 0.4), rtol=1e-10, atol=0
    )


def test_many_networks_at_once_give_the_values_of_each_alone() -> None:
    nets = [network((3, 2), seed=10 * seed) for seed in range(4)]
    stacked, C = [torch.stack(layer) for layer in zip(*nets, strict=True)], moment(2)
    for function in (explicit_regularizer, regularizer_lower_bounds):
        alone = torch.stack([function(net, C, 0.6) for net in nets])
        torch.testing.assert_close(function(stacked, C, 0.6), alone, rtol=1e-10, atol=0)


@settings(deadline=None)
@given(widths=st.lists(st.integers(1, 30), min_size=1, max_size=5), keep=st.floats(0.05, 1.0))
def test_the_effective_regularization_is_the_sum_over_sets_of_layers(widths: list[int], keep: float) -> None:
    odds = (1 - keep) / keep
    sets = itertools.chain.from_iterable(itertools.combinations(widths, n) for n in range(1, len(widths) + 1))
    listed = sum(math.prod(odds / width for width in chosen) for chosen in sets)
    assert effective_regularization(widths, keep) == pytest.approx(listed, rel=1e-9, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    hidden_widths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    keep=st.floats(0.1, 0.95),
    seed=st.integers(0, 999),
)
def test_every_order_lies_above_its_lower_bound(hidden_widths: list[int], keep: float, seed: int) -> None:
    weights, C = network(tuple(hidden_widths), inputs=3, outputs=3, seed=seed), moment(3, seed)
    gap = equalization_gap(weights, C, keep)
    assert float(gap.per_order.min()) >= -1e-10
    assert float(gap.total) >= -1e-10


def test_the_lower_bounds_add_up_to_the_effective_regularization_times_the_squared_nuclear_norm() -> None:
    weights, C = network((3, 2, 4), inputs=3), moment(3)
    whitened = product(weights) @ torch.linalg.cholesky(C)  # any root of C has the same singular values
    wanted = effective_regularization([3, 2, 4], 0.3) * float(torch.linalg.matrix_norm(whitened, "nuc")) ** 2
    assert float(regularizer_lower_bounds(weights, C, 0.3).sum()) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("hidden_widths", [*WIDTHS, (5, 5, 5, 5, 5)], ids=str)
def test_the_rank_one_construction_computes_its_map_and_has_no_gap(hidden_widths: tuple[int, ...]) -> None:
    left, right = matrix(4, 1)[:, 0], matrix(3, 1, seed=1)[:, 0]
    weights = rank_one_equalized(left, right, hidden_widths)
    torch.testing.assert_close(product(weights), torch.outer(left, right), rtol=1e-12, atol=1e-14)
    gap = equalization_gap(weights, moment(3), 0.7)
    torch.testing.assert_close(gap.per_order, torch.zeros_like(gap.per_order), rtol=0, atol=1e-12)
    assert float(gap.total) == pytest.approx(0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), size=st.floats(0.01, 1.0), layer=st.integers(0, 2))
def test_leaving_the_equalized_construction_opens_a_gap(seed: int, size: float, layer: int) -> None:
    weights = rank_one_equalized(matrix(2, 1)[:, 0], matrix(2, 1, seed=1)[:, 0], [3, 4])
    weights[layer] = weights[layer] + size * matrix(*weights[layer].shape, seed=seed)
    assert float(equalization_gap(weights, moment(2), 0.5).total) > 1e-6


def trained(
    cross_moment: Tensor, C: Tensor, hidden_widths: tuple[int, ...], keep: float, starts: int
) -> tuple[float, Tensor]:
    """Best of L-BFGS on all weights: the objective without E ||y||^2, and the map."""
    sizes = [C.shape[0], *hidden_widths, cross_moment.shape[0]]
    shapes = [(after, before) for before, after in itertools.pairwise(sizes)]
    counts = [rows * columns for rows, columns in shapes]

    def unpack(flat: Tensor) -> list[Tensor]:
        return [part.view(shape) for part, shape in zip(flat.split(counts), shapes, strict=True)]

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.tensor(flat, requires_grad=True)
        weights = unpack(parameters)
        W = product(weights)
        value = torch.trace(W @ C @ W.T) - 2 * (W * cross_moment).sum() + explicit_regularizer(weights, C, keep).sum()
        return value.item(), torch.autograd.grad(value, parameters)[0].numpy()

    rng, best = np.random.default_rng(0), (math.inf, np.empty(0))
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 3000}
    with threadpool_limits(1):  # on a busy machine the linear algebra of small steps waits for its own threads
        for _ in range(starts):
            start = rng.normal(size=sum(counts))
            end = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
            best = min(best, (end.fun, end.x), key=lambda found: found[0])
    return best[0], product(unpack(torch.tensor(best[1])))


@pytest.mark.parametrize(
    ("outputs", "hidden_widths", "keep"), [(1, (2, 3), 0.6), (2, (2, 2), 0.4), (2, (3,), 0.5), (2, (1, 3), 0.9)]
)
def test_training_finds_the_global_optimum(outputs: int, hidden_widths: tuple[int, ...], keep: float) -> None:
    C = moment(3)
    cross_moment = torch.outer(matrix(outputs, 1)[:, 0], matrix(3, 1, seed=1)[:, 0]) + 0.05 * matrix(outputs, 3, seed=2)
    optimum = global_optimum(cross_moment, C, hidden_widths, keep)
    _, found = trained(cross_moment, C, hidden_widths, keep, starts=3)
    torch.testing.assert_close(found, optimum, rtol=0, atol=1e-4)


def test_without_dropout_the_optimum_is_the_best_map_of_the_rank_that_the_widths_allow() -> None:
    M = matrix(4, 3)
    left, values, right = torch.linalg.svd(M, full_matrices=False)
    best = left[:, :2] @ torch.diag(values[:2]) @ right[:2]  # Eckart and Young 1936
    optimum = global_optimum(M, torch.eye(3, dtype=torch.float64), [5, 2], keep=1.0)
    torch.testing.assert_close(optimum, best, rtol=0, atol=1e-12)


def test_the_equalized_weights_of_the_optimal_map_are_not_beaten_by_training() -> None:
    C, cross_moment, hidden_widths, keep = moment(3), matrix(1, 3), (2, 3), 0.6
    optimum = global_optimum(cross_moment, C, hidden_widths, keep)
    weights = rank_one_equalized(torch.ones(1, dtype=torch.float64), optimum[0], hidden_widths)
    reached = torch.trace(optimum @ C @ optimum.T) - 2 * (optimum * cross_moment).sum()
    reached = float(reached + explicit_regularizer(weights, C, keep).sum())
    best, _ = trained(cross_moment, C, hidden_widths, keep, starts=3)
    assert best == pytest.approx(reached, abs=1e-8)
    assert best >= reached - 1e-9


def test_one_output_shrinks_the_least_squares_solution_and_the_printed_form_needs_whitened_inputs() -> None:
    C, cross_moment = moment(3), matrix(1, 3)
    factor = 1 + effective_regularization([2, 3], 0.6)
    optimum = global_optimum(cross_moment, C, [2, 3], 0.6)
    torch.testing.assert_close(optimum, torch.linalg.solve(C, cross_moment.T).T / factor, rtol=1e-9, atol=1e-12)
    assert float((optimum - cross_moment / factor).abs().max()) > 0.1
    white = global_optimum(cross_moment, torch.eye(3, dtype=torch.float64), [2, 3], 0.6)
    torch.testing.assert_close(white, cross_moment / factor, rtol=1e-12, atol=1e-14)


def test_under_the_gap_condition_one_singular_value_stays_and_shrinks_as_the_theorem_says() -> None:
    C, keep, widths = moment(3), 0.3, [2, 2]
    nu = effective_regularization(widths, keep)
    root = torch.linalg.cholesky(C)
    left, _, right = torch.linalg.svd(matrix(3, 3))
    M = left @ torch.diag(torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)) @ right  # C_yx L^-T, L a root of C
    assert nu >= 1.0 / (2.0 - 1.0)
    optimum = global_optimum(M @ root.T, C, widths, keep)
    kept = torch.linalg.svdvals(optimum @ root)
    wanted = torch.tensor([2.0 / (1 + nu), 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(kept, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("hidden_widths", "keep"), [((4,), 0.7), ((3, 5), 0.8), ((2, 4), 0.9)])
def test_the_envelope_optimum_solves_the_convex_problem_in_the_singular_values(
    hidden_widths: tuple[int, ...], keep: float
) -> None:
    spectrum = torch.tensor([3.0, 2.0, 1.0, 0.2], dtype=torch.float64)
    nu = effective_regularization(hidden_widths, keep)
    eye = torch.eye(4, dtype=torch.float64)
    best = math.inf
    for size in range(min(*hidden_widths, 4) + 1):  # the best support of each size is the largest values
        s = spectrum[:size]
        solution = torch.linalg.solve(torch.eye(size).double() + nu * torch.ones(size, size).double(), s)
        if size == 0 or float(solution.min()) >= 0:
            error = (s - solution).square().sum() + spectrum[size:].square().sum()
            best = min(best, float(error + nu * solution.sum() ** 2))
    W = envelope_optimum(torch.diag(spectrum), eye, hidden_widths, keep)
    nuclear = torch.linalg.svdvals(W).sum()
    assert float((torch.diag(spectrum) - W).square().sum() + nu * nuclear**2) == pytest.approx(best, rel=1e-10)
    assert int(torch.linalg.matrix_rank(W)) <= min(hidden_widths)


ONE, EYE = torch.ones(1, 1, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "keep 0": (lambda: explicit_regularizer([ONE, ONE], ONE, 0.0), r"keep must lie in \(0, 1\], got 0.0"),
    "keep 1": (lambda: equalization_gap([ONE, ONE], ONE, 1.0), r"keep must lie in \(0, 1\), got 1.0"),
    "one weight": (lambda: explicit_regularizer([ONE], ONE, 0.5), "at least 2 matrices, .* got 1"),
    "shapes": (lambda: explicit_regularizer([ONE, EYE], ONE, 0.5), "weight 2 must have one column .* got 2 and 1"),
    "inputs": (lambda: explicit_regularizer([ONE, ONE], EYE, 0.5), "weight 1 must have one column .* got 1 and 2"),
    "not finite": (lambda: explicit_regularizer([ONE, ONE * torch.nan], ONE, 0.5), "weight 2 must have finite entries"),
    "not square": (lambda: explicit_regularizer([ONE, ONE], EYE[:1], 0.5), "second_moment must be square"),
    "not symmetric": (
        lambda: explicit_regularizer([EYE, EYE], EYE + torch.ones(2, 2).triu(1), 0.5),
        "second_moment must be symmetric",
    ),
    "small and not symmetric": (
        lambda: global_optimum(ONE.expand(1, 2), 1e-9 * (EYE + 0.9 * EYE.roll(1, 0).triu()), [2], 0.5),
        "second_moment must be symmetric",
    ),
    "one width": (lambda: effective_regularization(5, 0.5), "hidden_widths must be a sequence of integers, got 5"),
    "negative": (
        lambda: regularizer_lower_bounds([ONE, ONE], -ONE, 0.5),
        "second_moment must be positive semidefinite",
    ),
    "singular": (lambda: global_optimum(ONE, ONE * 0, [1], 0.5), "second_moment must be positive definite"),
    "columns": (lambda: envelope_optimum(ONE, EYE, [1], 0.5), "one column for each row of second_moment, got 1 and 2"),
    "zero map": (lambda: equalization_gap([ONE, ONE * 0], ONE, 0.5), "must compute a map that is not zero"),
    "no widths": (lambda: effective_regularization([], 0.5), "at least one hidden layer, got none"),
    "width 0": (lambda: effective_regularization([2, 0], 0.5), "hidden_widths must be an integer >= 1, got 0"),
    "gap condition": (lambda: global_optimum(EYE, EYE, [5, 5], 0.5), r"s_1 - s_2 >= s_2 / nu .* with nu = 0.44"),
    "empty vector": (lambda: rank_one_equalized(ONE[0], ONE[0][:0], [1]), "right must be a non-empty vector"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
