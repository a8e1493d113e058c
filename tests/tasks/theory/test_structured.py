"""Structured dropout on one hidden layer: closed forms against listing masks, numerical minima, printed forms."""

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.theory.balanced_projections import balanced_projection_bases
from tasks.theory.structured import (
    adaptive_keep_rate,
    dropblock_factors,
    dropblock_global_minimum,
    dropblock_objective,
    dropconnect_objective,
    dropout_objective,
    equal_rate_keep,
    generalized_dropout_objective,
    inverse_adaptive_keep_rate,
    k_support_norm_squared,
)

Network = tuple[Tensor, Tensor, Tensor, Tensor]
SPECTRA = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=6)


def network(width: int = 4, outputs: int = 3, inputs: int = 2, examples: int = 5, seed: int = 0) -> Network:
    """Random Y, X, U, V."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(outputs, examples), (inputs, examples), (outputs, width), (inputs, width)]
    Y, X, U, V = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return Y, X, U, V


def masks_with_chances(keep: float, count: int) -> Iterable[tuple[Tensor, float]]:
    """Every 0/1 vector, with its chance under independent Ber(keep)."""
    for bits in itertools.product([0.0, 1.0], repeat=count):
        yield torch.tensor(bits, dtype=torch.float64), keep ** sum(bits) * (1 - keep) ** (count - sum(bits))


def mean_error(Y: Tensor, predict: Callable[[Tensor], Tensor], keep: float, count: int) -> float:
    return sum(chance * float((Y - predict(mask)).square().sum()) for mask, chance in masks_with_chances(keep, count))


def deterministic_penalty(value: Tensor, net: Network) -> float:
    Y, X, U, V = net
    return float(value - (Y - U @ V.T @ X).square().sum())


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("block_size", [1, 2, 3, 6])
def test_the_dropblock_objective_is_the_mean_over_all_masks(block_size: int, keep: float) -> None:
    Y, X, U, V = network(width=6)
    listed = mean_error(
        Y, lambda w: U @ torch.diag(w.repeat_interleave(block_size)) @ V.T @ X / keep, keep, 6 // block_size
    )
    assert float(dropblock_objective(Y, X, U, V, keep, block_size)) == pytest.approx(listed, rel=1e-10)


def test_dropping_by_the_printed_kronecker_factor_is_another_objective() -> None:
    Y, X, U, V = network(width=6)  # I_{d/r} would need w of length r: here 3 blocks of 2 in place of 2 blocks of 3
    printed = mean_error(Y, lambda w: U @ torch.diag(w.repeat_interleave(2)) @ V.T @ X / 0.5, 0.5, 3)
    assert abs(float(dropblock_objective(Y, X, U, V, 0.5, block_size=3)) - printed) > 0.1


@pytest.mark.parametrize("keep", [0.2, 0.7])
def test_the_dropout_objective_is_the_mean_over_all_masks(keep: float) -> None:
    Y, X, U, V = network()
    listed = mean_error(Y, lambda z: U @ torch.diag(z) @ V.T @ X / keep, keep, 4)
    assert float(dropout_objective(Y, X, U, V, keep)) == pytest.approx(listed, rel=1e-10)


def test_the_printed_dropout_regularizer_of_corollary_11_lacks_a_factor() -> None:
    Y, X, U, V = net = network()
    printed = float((U.square().sum(0) * (V.T @ X).square().sum(1)).sum())
    assert deterministic_penalty(dropout_objective(Y, X, U, V, 0.8), net) == pytest.approx(0.25 * printed, rel=1e-10)


@pytest.mark.parametrize("keep", [0.3, 0.8])
def test_the_dropconnect_objective_is_the_mean_over_all_masks_and_the_printed_one_is_not(keep: float) -> None:
    Y, X, U, V = network(width=3)
    listed = mean_error(Y, lambda z: U @ (z.view(2, 3) * V).T @ X / keep, keep, 6)
    assert float(dropconnect_objective(Y, X, U, V, keep)) == pytest.approx(listed, rel=1e-10)
    assert abs(float(dropconnect_objective(Y, X, U, V, keep, variant="printed")) - listed) > 0.1


def test_dropconnect_equals_dropout_when_the_features_are_orthogonal() -> None:
    Y, X, U, V = network(width=3)
    orthogonal = torch.tensor([[2.0], [0.5]], dtype=torch.float64) * torch.linalg.qr(X.T).Q.T
    exact = float(dropconnect_objective(Y, orthogonal, U, V, 0.4))
    assert exact == pytest.approx(float(dropout_objective(Y, orthogonal, U, V, 0.4)), rel=1e-12)


def test_any_random_mask_enters_through_its_mean_and_covariance_alone() -> None:
    Y, X, U, V = network(width=3)
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(7, 3, generator=generator, dtype=torch.float64) + 1  # seven correlated masks
    chances = torch.softmax(torch.randn(7, generator=generator, dtype=torch.float64), 0)
    mean = chances @ values
    covariance = (values - mean).T @ torch.diag(chances) @ (values - mean)
    errors = torch.stack([(Y - U @ torch.diag(z / mean) @ V.T @ X).square().sum() for z in values])
    closed = generalized_dropout_objective(mean, covariance, Y, U, V.T @ X)
    torch.testing.assert_close(closed, chances @ errors, rtol=1e-10, atol=0)


def test_the_general_form_contains_dropblock() -> None:
    Y, X, U, V = network(width=6)
    mean = torch.full((6,), 0.3, dtype=torch.float64)
    covariance = 0.3 * 0.7 * torch.block_diag(*[torch.ones(2, 2, dtype=torch.float64)] * 3)
    general = generalized_dropout_objective(mean, covariance, Y, U, V.T @ X)
    torch.testing.assert_close(general, dropblock_objective(Y, X, U, V, 0.3, 2), rtol=1e-12, atol=0)


def test_many_networks_at_once_give_the_objectives_of_each_alone() -> None:
    nets = [network(width=4, seed=seed) for seed in range(3)]
    Y, X, U, V = (torch.stack(tensors) for tensors in zip(*nets, strict=True))
    for objective in (
        lambda Y, X, U, V: dropblock_objective(Y, X, U, V, 0.6, 2),
        lambda Y, X, U, V: dropconnect_objective(Y, X, U, V, 0.6),
    ):
        alone = torch.stack([objective(*net) for net in nets])
        torch.testing.assert_close(objective(Y, X, U, V), alone, rtol=1e-12, atol=0)


@settings(deadline=None)
@given(keep=st.floats(0.01, 1.0), block_size=st.integers(1, 7), num_blocks=st.integers(1, 20))
def test_the_adaptive_keep_rate_multiplies_the_odds_of_dropping_by_the_number_of_blocks(
    keep: float, block_size: int, num_blocks: int
) -> None:
    adapted = adaptive_keep_rate(keep, block_size, block_size * num_blocks)
    assert (1 - adapted) / adapted == pytest.approx(num_blocks * (1 - keep) / keep, rel=1e-9, abs=1e-12)
    assert inverse_adaptive_keep_rate(adapted, block_size, block_size * num_blocks) == pytest.approx(keep, rel=1e-9)


def kept_when_overlapping(seed_keep: float, block_size: int, any_seed: bool) -> float:
    """Chance of one unit to be kept, over all seeds that cover it."""
    count = 2 * block_size - 1 if any_seed else block_size
    rule = (lambda seeds: seeds.max()) if any_seed else (lambda seeds: seeds.min())
    return sum(chance * float(rule(seeds)) for seeds, chance in masks_with_chances(seed_keep, count))


@pytest.mark.parametrize("block_size", [1, 2, 4])
def test_overlapping_blocks_keep_a_unit_as_often_as_asked(block_size: int) -> None:
    seed_keep = equal_rate_keep(0.6, block_size)
    assert kept_when_overlapping(seed_keep, block_size, any_seed=False) == pytest.approx(0.6, abs=1e-12)


def test_the_printed_equal_rate_is_that_of_the_reversed_process() -> None:
    printed = equal_rate_keep(0.6, 4, variant="printed")
    assert kept_when_overlapping(printed, 4, any_seed=True) == pytest.approx(0.6, abs=1e-12)
    assert kept_when_overlapping(printed, 4, any_seed=False) < 0.01
    # The paper says that DropBlock with the same rate drops more, so the corrected rate must be the larger one.
    assert equal_rate_keep(0.6, 4) > 0.6 > printed


def variational_norm_squared(values: list[float], k: int) -> float:
    """Minimum of sum a_i^2 / t_i over 0 < t_i <= 1 with sum t_i <= k, by a general solver."""
    squares = np.array([value**2 for value in values if value > 0])
    if squares.size == 0:
        return 0.0
    solution = minimize(
        lambda t: float(np.sum(squares / t)),
        np.full(squares.size, min(1.0, k / squares.size)),
        jac=lambda t: -squares / t**2,
        bounds=[(1e-9, 1.0)] * squares.size,
        constraints={"type": "ineq", "fun": lambda t: k - t.sum(), "jac": lambda t: -np.ones(squares.size)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return float(solution.fun)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(0.05, 3.0), min_size=1, max_size=6), k=st.integers(1, 6))
def test_the_k_support_norm_is_its_variational_definition(values: list[float], k: int) -> None:
    closed = float(k_support_norm_squared(torch.tensor(values, dtype=torch.float64), k))
    assert closed == pytest.approx(variational_norm_squared(values, k), rel=1e-5)


@settings(deadline=None)
@given(values=SPECTRA, k=st.integers(1, 6))
def test_the_k_support_norm_goes_from_nuclear_down_to_frobenius(values: list[float], k: int) -> None:
    spectrum = torch.tensor(values, dtype=torch.float64)
    norm = float(k_support_norm_squared(spectrum, k))
    assert float(k_support_norm_squared(spectrum, 1)) == pytest.approx(sum(values) ** 2, rel=1e-12)
    assert float(k_support_norm_squared(spectrum, len(values))) == pytest.approx(sum(v * v for v in values), rel=1e-12)
    assert float(k_support_norm_squared(spectrum, k + 1)) <= norm * (1 + 1e-12)


@settings(deadline=None)
@given(values=SPECTRA, k=st.integers(1, 6))
def test_the_k_support_norm_is_that_of_the_condition_by_argyriou(values: list[float], k: int) -> None:
    ordered = [float("inf"), *sorted(values, reverse=True), *[0.0] * k]
    found = []
    for rho in range(1, k + 1):
        level = sum(ordered[rho:]) / (k - rho + 1)
        if ordered[rho - 1] > level >= ordered[rho]:
            found.append(sum(a * a for a in ordered[1:rho]) + level**2 * (k - rho + 1))
    if found:  # equal entries may miss the strict condition by rounding
        assert float(k_support_norm_squared(torch.tensor(values, dtype=torch.float64), k)) == pytest.approx(found[0])


def printed_norm_candidates(values: list[float], k: int) -> list[float]:
    """Eq. 13 for every rho in {1..k}."""
    ordered = sorted(values, reverse=True)
    return [sum(a * a for a in ordered[: p - 1]) + sum(ordered[p - 1 :]) ** 2 / (k - p + 1) for p in range(1, k + 1)]


def test_neither_the_largest_nor_the_smallest_printed_candidate_is_the_k_support_norm() -> None:
    values, k = [3.0, 1.0, 0.2], 2  # candidates 8.82, which breaks the rule, and 10.44, which is the norm
    norm = float(k_support_norm_squared(torch.tensor(values, dtype=torch.float64), k))
    assert norm == pytest.approx(variational_norm_squared(values, k), rel=1e-6)
    assert norm > min(printed_norm_candidates(values, k)) + 1
    values, k = [1.0, 1.0, 1.0], 2  # candidates 4.5, which is the norm, and 5
    norm = float(k_support_norm_squared(torch.tensor(values, dtype=torch.float64), k))
    assert norm == pytest.approx(variational_norm_squared(values, k), rel=1e-6)
    assert norm < max(printed_norm_candidates(values, k)) - 0.4


def test_the_k_support_norm_is_differentiable_and_batched() -> None:
    values = torch.tensor([[3.0, 1.0, 0.2], [1.0, 1.1, 0.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: k_support_norm_squared(a, 2), values)
    alone = torch.stack([k_support_norm_squared(row, 2) for row in values])
    torch.testing.assert_close(k_support_norm_squared(values, 2), alone, rtol=0, atol=0)


def candidate_minimum(targets: list[float], beta: float, block_size: int, largest_rho: int) -> float:
    """Theorem 7's search over rho and lambda, judged with the norm of the definition."""
    m = sorted(targets, reverse=True)
    best = float("inf")
    for rho, count in itertools.product(range(1, largest_rho + 1), range(1, len(m) + 1)):
        if count <= rho - 1:
            a = [m[i] / (beta + 1) for i in range(count)]
        else:
            c = block_size + beta * count + (beta + 1) * (1 - rho)
            if c <= 0:
                continue
            total = sum(m[rho - 1 : count])
            a = [m[i] / (beta + 1) for i in range(rho - 1)]
            a += [m[i] - beta / c * total for i in range(rho - 1, count)]
        a += [0.0] * (len(m) - len(a))
        if min(a) >= 0:
            norm = float(k_support_norm_squared(torch.tensor(a, dtype=torch.float64), block_size))
            best = min(best, sum((x - y) ** 2 for x, y in zip(m, a, strict=True)) + beta * norm)
    return best


@settings(max_examples=60, deadline=None)
@given(
    targets=st.lists(st.floats(0.01, 4.0), min_size=1, max_size=6),
    beta=st.floats(0.01, 3.0),
    block_size=st.integers(1, 6),
)
def test_the_global_minimum_is_that_of_the_candidates_with_rho_up_to_r(
    targets: list[float], beta: float, block_size: int
) -> None:
    spectrum = torch.tensor(targets, dtype=torch.float64)
    values, minimum = dropblock_global_minimum(spectrum, beta, block_size)
    reached = float((spectrum - values).square().sum() + beta * k_support_norm_squared(values, block_size))
    assert reached == pytest.approx(float(minimum), rel=1e-10)
    assert float(minimum) == pytest.approx(candidate_minimum(targets, beta, block_size, block_size), rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(targets=SPECTRA, beta=st.floats(0.01, 3.0), block_size=st.integers(1, 6), seed=st.integers(0, 99))
def test_no_other_singular_values_have_a_smaller_objective(
    targets: list[float], beta: float, block_size: int, seed: int
) -> None:
    spectrum = torch.tensor(targets, dtype=torch.float64)
    values, minimum = dropblock_global_minimum(spectrum, beta, block_size)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(200, len(targets), generator=generator, dtype=torch.float64)
    others = (values + noise * torch.logspace(-4, 0, 200, dtype=torch.float64)[:, None]).clamp(min=0)
    objectives = (spectrum - others).square().sum(-1) + beta * k_support_norm_squared(others, block_size)
    assert float(objectives.min()) >= float(minimum) - 1e-12


def test_the_printed_range_of_rho_misses_the_minimum() -> None:
    targets, beta, block_size = [3.0, 1.0, 0.5], 0.5, 2
    minimum = float(dropblock_global_minimum(torch.tensor(targets, dtype=torch.float64), beta, block_size)[1])
    assert candidate_minimum(targets, beta, block_size, block_size - 1) > minimum * 1.01
    assert candidate_minimum(targets, beta, 1, 0) == float("inf")  # the printed range is empty for r = 1


def test_without_dropping_the_targets_are_fitted_and_the_order_of_the_values_is_kept() -> None:
    targets = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]], dtype=torch.float64)
    values, minimum = dropblock_global_minimum(targets, 0.0, 2)
    assert torch.equal(values, targets)
    assert torch.equal(minimum, torch.zeros(2, dtype=torch.float64))
    flipped, _ = dropblock_global_minimum(targets.flip(-1), 0.7, 2)
    assert torch.equal(flipped.flip(-1), dropblock_global_minimum(targets, 0.7, 2)[0])


def test_tiny_huge_and_vanishing_targets_are_handled_alike() -> None:
    targets = torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64)
    values, minimum = dropblock_global_minimum(targets, 0.5, 1)
    for scale in (1e-120, 1e120):
        scaled, _ = dropblock_global_minimum(targets * scale, 0.5, 1)
        torch.testing.assert_close(scaled / scale, values, rtol=1e-12, atol=1e-12)
    denormal = torch.tensor([3.0, 1.0, 5e-324], dtype=torch.float64)
    assert float(dropblock_global_minimum(denormal, 0.5, 1)[1]) == pytest.approx(float(minimum), rel=1e-12)
    assert torch.equal(dropblock_global_minimum(targets * 0, 0.5, 1)[0], targets * 0)


def trained_ends(
    Y: Tensor, X: Tensor, keep: float, block_size: int, width: int, starts: int
) -> list[tuple[float, Tensor, Tensor]]:
    """Ends of L-BFGS on the deterministic objective from random starts: the objective, U and V."""
    sizes = (Y.shape[0] * width, X.shape[0] * width)

    def unpack(weights: Tensor) -> tuple[Tensor, Tensor]:
        return weights[: sizes[0]].view(-1, width), weights[sizes[0] :].view(-1, width)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(flat, requires_grad=True)
        U, V = unpack(weights)
        value = dropblock_objective(Y, X, U, V, keep, block_size)
        (gradient,) = torch.autograd.grad(value, weights)
        return value.item(), gradient.numpy()

    rng = np.random.default_rng(0)
    options = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 3000}
    with threadpool_limits(1):  # on a busy machine the linear algebra of small steps waits for its own threads
        ends = [
            minimize(objective, rng.normal(size=sum(sizes)), jac=True, method="L-BFGS-B", options=options)
            for _ in range(starts)
        ]
    return [(float(end.fun), *unpack(torch.tensor(end.x))) for end in ends]


def trained_minima(Y: Tensor, X: Tensor, keep: float, block_size: int, width: int, starts: int) -> list[float]:
    return [value for value, _, _ in trained_ends(Y, X, keep, block_size, width, starts)]


def block_norms(U: Tensor, V: Tensor, X: Tensor, block_size: int) -> Tensor:
    """||U_i V_i'X||_F of every block."""
    blocks = zip(U.split(block_size, dim=1), V.split(block_size, dim=1), strict=True)
    return torch.stack([torch.linalg.matrix_norm(part @ other.T @ X) for part, other in blocks])


def orthonormal_problem() -> tuple[Tensor, Tensor, Tensor]:
    """Targets with singular values 3, 2.5, 2, linear in inputs that have more examples than rows."""
    spectrum = torch.tensor([3.0, 2.5, 2.0], dtype=torch.float64)
    X = torch.linalg.qr(network(inputs=4, examples=8)[1].T).Q.T
    left, _, right = torch.linalg.svd(network(outputs=3, examples=4, seed=1)[0], full_matrices=False)
    return left @ torch.diag(spectrum) @ right @ X, X, spectrum


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block_size", "width", "keep"),
    [(1, 3, 0.7), (2, 6, 0.4), (3, 6, 0.4)],
)
def test_training_from_twenty_starts_reaches_the_global_minimum_and_never_beats_it(
    block_size: int, width: int, keep: float
) -> None:
    Y, X, spectrum = orthonormal_problem()
    _, minimum = dropblock_global_minimum(spectrum, block_size / width * (1 - keep) / keep, block_size)
    ends = trained_minima(Y, X, keep, block_size, width, starts=20)
    assert min(ends) >= float(minimum) - 1e-9
    assert max(ends) <= float(minimum) + 1e-6


@pytest.mark.parametrize(("block_size", "width", "keep"), [(1, 3, 0.7), (2, 6, 0.4)])
def test_training_ends_with_blocks_of_equal_norm(block_size: int, width: int, keep: float) -> None:
    Y, X, _ = orthonormal_problem()
    for _, U, V in trained_ends(Y, X, keep, block_size, width, starts=3):
        norms = block_norms(U, V, X, block_size)
        torch.testing.assert_close(norms, norms.mean().expand_as(norms), rtol=1e-3, atol=0)


def test_a_layer_with_fewer_blocks_than_singular_values_stays_above_the_bound() -> None:
    Y, X, spectrum = orthonormal_problem()
    _, minimum = dropblock_global_minimum(spectrum, 2 / 4, 2)
    assert min(trained_minima(Y, X, 0.5, block_size=2, width=4, starts=3)) > float(minimum) + 0.01
    with pytest.raises(ValueError, match="width must be large enough for balanced factors, 6 always is; got 4"):
        dropblock_factors(Y, X, 0.5, block_size=2, width=4)


def test_the_printed_optimum_of_proposition_12_lacks_the_width() -> None:
    Y = network(outputs=3, examples=4)[0]
    spectrum, keep, width = torch.linalg.svdvals(Y), 0.6, 3
    corrected = float(dropblock_global_minimum(spectrum, (1 - keep) / keep / width, 1)[1])
    printed = float(dropblock_global_minimum(spectrum, (1 - keep) / keep, 1)[1])
    end = min(trained_minima(Y, torch.eye(4, dtype=torch.float64), keep, 1, width, starts=2))
    assert end == pytest.approx(corrected, abs=1e-6)
    assert printed > corrected + 0.1


@pytest.mark.parametrize(
    ("block_size", "width", "keep"), [(1, 5, 0.5), (2, 10, 0.5), (2, 12, 0.9), (3, 15, 0.3), (5, 5, 0.5), (2, 10, 1.0)]
)
def test_the_constructed_factors_attain_the_minimum_and_are_balanced(block_size: int, width: int, keep: float) -> None:
    X = network(inputs=6, examples=9)[1]
    Y = network(outputs=5, examples=6, seed=1)[0] @ X
    _, minimum = dropblock_global_minimum(torch.linalg.svdvals(Y), block_size / width * (1 - keep) / keep, block_size)
    U, V = dropblock_factors(Y, X, keep, block_size, width)
    attained = float(dropblock_objective(Y, X, U, V, keep, block_size))
    assert attained == pytest.approx(float(minimum), rel=1e-9, abs=1e-9)
    norms = block_norms(U, V, X, block_size)
    torch.testing.assert_close(norms, norms.mean().expand_as(norms), rtol=1e-9, atol=0)


def test_targets_outside_the_row_space_of_the_inputs_only_add_what_no_weights_can_fit() -> None:
    Y, X, _, _ = network(inputs=2, examples=5)
    fitted = Y @ torch.linalg.pinv(X) @ X
    U, V = dropblock_factors(Y, X, 0.5, block_size=2, width=8)
    _, minimum = dropblock_global_minimum(torch.linalg.svdvals(fitted), 2 / 8, 2)
    wanted = float(minimum + (Y - fitted).square().sum())
    assert float(dropblock_objective(Y, X, U, V, 0.5, 2)) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize(("weights", "num_projections"), [([1, 2, 3, 4, 5, 5], 6), ([2, 1, 1], 3), ([9, 9, 1, 1], 8)])
def test_projections_of_one_rank_average_to_the_asked_diagonal(weights: list[int], num_projections: int) -> None:
    t = torch.tensor(weights, dtype=torch.float64) / sum(weights) * 2
    t = t if float(t.max()) < 1 else t / 2
    bases = balanced_projection_bases(t, num_projections)
    torch.testing.assert_close((bases @ bases.mT).mean(0), torch.diag(t), rtol=0, atol=1e-11)
    identity = torch.eye(bases.shape[-1], dtype=torch.float64).expand(num_projections, -1, -1)
    torch.testing.assert_close(bases.mT @ bases, identity, rtol=0, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.floats(0, 1e-3), min_size=2, max_size=5),
    scale=st.sampled_from([1.0, 1e-6, 1e-11]),
    blocks_are_large=st.booleans(),
    more=st.integers(0, 2),
    keep=st.floats(0.1, 0.9),
)
def test_the_narrowest_network_that_always_suffices_has_factors_even_if_all_singular_values_are_nearly_equal(
    gaps: list[float], scale: float, blocks_are_large: bool, more: int, keep: float
) -> None:
    values = 1 + scale * torch.tensor(gaps, dtype=torch.float64)
    block_size = len(gaps) - 1 if blocks_are_large else 1
    width = block_size * (len(gaps) + more)
    X = torch.eye(len(gaps), dtype=torch.float64)
    U, V = dropblock_factors(torch.diag(values), X, keep, block_size, width)
    _, minimum = dropblock_global_minimum(values, block_size / width * (1 - keep) / keep, block_size)
    attained = float(dropblock_objective(torch.diag(values), X, U, V, keep, block_size))
    assert attained == pytest.approx(float(minimum), rel=1e-9)


ONE = torch.ones(1, 1, dtype=torch.float64)
FOUR = torch.ones(1, 4, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "keep 0": (lambda: dropout_objective(ONE, ONE, ONE, ONE, 0.0), r"keep must lie in \(0, 1\], got 0.0"),
    "keep above 1": (lambda: dropconnect_objective(ONE, ONE, ONE, ONE, 1.5), r"keep must lie in \(0, 1\], got 1.5"),
    "keep_bar 0": (lambda: adaptive_keep_rate(0.0, 1, 2), r"keep_bar must lie in"),
    "block size": (
        lambda: dropblock_objective(ONE, ONE, FOUR, FOUR, 0.5, 3),
        r"block_size must divide the width 4, got 3; allowed are \[1, 2, 4\]",
    ),
    "factors' block size": (lambda: dropblock_factors(ONE, ONE, 0.5, 2, 5), "block_size must divide the width 5"),
    "widths": (lambda: dropout_objective(ONE, ONE, FOUR, ONE, 0.5), "same number of columns, got 4 and 1"),
    "rows": (lambda: dropout_objective(FOUR.T, ONE, ONE, ONE, 0.5), "row for each row of Y, got 1 and 4"),
    "examples": (lambda: dropout_objective(FOUR, ONE, ONE, ONE, 0.5), "column for each example, got 4 and 1"),
    "not finite": (lambda: dropout_objective(ONE, ONE * torch.nan, ONE, ONE, 0.5), "X must have finite entries"),
    "variant": (lambda: dropconnect_objective(ONE, ONE, ONE, ONE, 0.5, variant="x"), "variant must be"),
    "mean 0": (lambda: generalized_dropout_objective(ONE[0] * 0, ONE, ONE, ONE, ONE), "mean must have no zero entry"),
    "covariance": (
        lambda: generalized_dropout_objective(FOUR[0], FOUR, ONE, FOUR, FOUR.T),
        "covariance must be square in its last two dimensions",
    ),
    "negative covariance": (
        lambda: generalized_dropout_objective(ONE[0], -ONE, ONE, ONE, ONE),
        "covariance must be positive semidefinite, got the smallest eigenvalue -1.0",
    ),
    "mean without dimensions": (
        lambda: generalized_dropout_objective(ONE[0, 0], ONE, ONE, ONE, ONE),
        r"mean must be a vector, got shape \(\)",
    ),
    "weights without dimensions": (
        lambda: dropblock_objective(ONE, ONE, ONE[0, 0], ONE, 0.5, 1),
        r"U must be a non-empty tensor of at least 2 dimensions, got shape \(\)",
    ),
    "leading dimensions": (
        lambda: dropout_objective(ONE, ONE, ONE.expand(2, 1, 1), ONE.expand(3, 1, 1), 0.5),
        r"Y and X and U and V must have leading dimensions that broadcast together, got \(\) and \(\) and \(2,\) and",
    ),
    "two dtypes": (
        lambda: dropout_objective(ONE, ONE.float(), ONE, ONE, 0.5),
        "must have one dtype, got torch.float64 and torch.float32",
    ),
    "integers": (lambda: dropout_objective(ONE, ONE.long(), ONE, ONE, 0.5), "X must hold floating-point numbers, got"),
    "negative value": (lambda: k_support_norm_squared(-ONE, 1), "singular_values must not be negative, got -1.0"),
    "k 0": (lambda: k_support_norm_squared(ONE, 0), "k must be an integer >= 1, got 0"),
    "beta": (lambda: dropblock_global_minimum(ONE, -1.0, 1), "beta must be finite and >= 0, got -1.0"),
    "too narrow": (
        lambda: dropblock_factors(torch.eye(3).double(), torch.eye(3).double(), 0.9, 1, 2),
        "width must be large enough for balanced factors, 3 always is; got 2",
    ),
    "too few projections": (
        lambda: balanced_projection_bases(torch.full((4,), 0.25).double(), 2),
        "num_projections must be at least 4 at rank 1, got 2",
    ),
    "too few projections of rank 2": (
        lambda: balanced_projection_bases(torch.full((5,), 0.4).double(), 2),
        "num_projections must be large enough, 5 always is; no solution was found for 2",
    ),
    "no integer sum": (
        lambda: balanced_projection_bases(torch.full((4,), 0.3).double(), 4),
        r"diagonal must have entries in \(0, 1\) with an integer sum",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
