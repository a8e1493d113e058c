"""Dropout in two-layer ReLU networks: closed forms against listing masks, signs and directions; printed forms."""

import itertools
import math
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tasks.theory.flows import (
    co_adaptation,
    flow_norm,
    flows,
    mahalanobis_norm,
    path_norm_regularizer,
    rademacher_bound,
    relu_regularizer,
    relu_second_moments,
    retentivity,
)

NUM_OUTPUTS, WIDTH, NUM_INPUTS, NUM_EXAMPLES = 2, 4, 3, 6


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Output weights, hidden weights, inputs."""
    return matrix(NUM_OUTPUTS, WIDTH, seed), matrix(WIDTH, NUM_INPUTS, seed + 1), matrix(NUM_EXAMPLES, NUM_INPUTS, 9)


def even(count: int) -> Tensor:
    return torch.full((count,), 1 / count, dtype=torch.float64)


def masks_with_chances(keep: float, count: int) -> Iterable[tuple[Tensor, float]]:
    """Every 0/1 vector, with its chance under independent Ber(keep)."""
    for bits in itertools.product([0.0, 1.0], repeat=count):
        yield torch.tensor(bits, dtype=torch.float64), keep ** sum(bits) * (1 - keep) ** (count - sum(bits))


def listed_regularizer(U: Tensor, V: Tensor, inputs: Tensor, drop_rate: float) -> float:
    """What dropout adds to the mean squared error, by all masks."""
    hidden, targets, keep = (inputs @ V.T).relu(), matrix(len(inputs), len(U), seed=5), 1 - drop_rate
    dropped = sum(
        chance * float((targets - hidden * mask / keep @ U.T).square().sum(1).mean())
        for mask, chance in masks_with_chances(keep, len(V))
    )
    return dropped - float((targets - hidden @ U.T).square().sum(1).mean())


@pytest.mark.parametrize("drop_rate", [0.0, 0.25, 0.5, 0.9])
def test_the_regularizer_is_what_listing_all_masks_adds_to_the_loss(drop_rate: float) -> None:
    U, V, inputs = network()
    listed = listed_regularizer(U, V, inputs, drop_rate)
    assert float(relu_regularizer(U, V, inputs, drop_rate)) == pytest.approx(listed, rel=1e-10, abs=1e-12)


def test_symmetrised_second_moments_are_the_mean_over_all_signs() -> None:
    _, V, inputs = network()
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=NUM_EXAMPLES)), dtype=torch.float64)
    listed = torch.stack([relu_second_moments(V, sign[:, None] * inputs) for sign in signs]).mean(0)
    torch.testing.assert_close(relu_second_moments(V, inputs, symmetrised=True), listed, rtol=1e-12, atol=0)


def axes(count: int) -> Tensor:
    """A symmetric and isotropic law: each of these points with the same chance."""
    points = math.sqrt(count) * torch.eye(count, dtype=torch.float64)
    return torch.cat([points, -points])


def test_for_a_symmetric_isotropic_law_the_regularizer_is_the_path_norm() -> None:
    U, V, _ = network()
    wanted = path_norm_regularizer(U, V, 0.3)
    torch.testing.assert_close(relu_regularizer(U, V, axes(NUM_INPUTS), 0.3), wanted, rtol=1e-12, atol=0)
    assert listed_regularizer(U, V, axes(NUM_INPUTS), 0.3) == pytest.approx(float(wanted), rel=1e-10)


def test_the_path_norm_is_the_sum_over_all_paths() -> None:
    U, V, _ = network()
    paths = itertools.product(range(NUM_OUTPUTS), range(WIDTH), range(NUM_INPUTS))
    listed = sum(float(U[k, j] ** 2 * V[j, i] ** 2) for k, j, i in paths)
    assert float(path_norm_regularizer(U, V, 0.5, variant="printed")) == pytest.approx(listed / 2, rel=1e-12)


def test_the_printed_path_norm_lacks_the_strength_of_dropout() -> None:
    U, V, _ = network()
    listed = listed_regularizer(U, V, axes(NUM_INPUTS), 0.2)
    printed = float(path_norm_regularizer(U, V, 0.2, variant="printed"))
    assert printed == pytest.approx(4 * listed, rel=1e-10)  # lambda = 1/4
    assert float(path_norm_regularizer(U, V, 0.2)) == pytest.approx(listed, rel=1e-10)


def test_the_squared_flows_times_the_strength_are_the_regularizer() -> None:
    U, V, inputs = network()
    psi = flows(U, relu_second_moments(V, inputs))
    torch.testing.assert_close(3 * psi.square().sum(), relu_regularizer(U, V, inputs, 0.75), rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_total_flow_is_at_most_the_root_of_width_times_regularizer_without_its_strength(seed: int) -> None:
    U, V, inputs = network(seed)
    psi = flows(U, relu_second_moments(V, inputs))
    without_strength = relu_regularizer(U, V, inputs, 0.5)
    assert float(flow_norm(psi)) <= math.sqrt(WIDTH * float(without_strength))


def test_with_its_strength_as_printed_the_inequality_is_false_below_a_drop_rate_of_one_half() -> None:
    U, V = torch.ones(1, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)  # all flows are equal
    psi = flows(U, relu_second_moments(V, axes(4)))
    printed = math.sqrt(4 * float(relu_regularizer(U, V, axes(4), 0.25)))
    assert float(flow_norm(psi)) == pytest.approx(math.sqrt(3) * printed, rel=1e-12)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=8).filter(lambda values: max(values) > 0))
@settings(max_examples=50, deadline=None)
def test_co_adaptation_lies_between_its_bounds_and_does_not_depend_on_the_scale(values: list[float]) -> None:
    psi = torch.tensor(values, dtype=torch.float64)
    phi = float(co_adaptation(psi))
    assert 1 / math.sqrt(len(values)) - 1e-12 <= phi <= 1 + 1e-12
    assert float(co_adaptation(psi / psi.max() * 1e-200)) == pytest.approx(phi, rel=1e-12)


def test_co_adaptation_is_the_ratio_of_norms_and_its_bounds_are_attained() -> None:
    psi = torch.tensor([3.0, 1.0, 0.5], dtype=torch.float64)
    assert float(co_adaptation(psi)) == pytest.approx(4.5 / (math.sqrt(3) * math.sqrt(10.25)), rel=1e-14)
    ends = torch.tensor([[2.0, 2.0, 2.0], [0.0, 5.0, 0.0]], dtype=torch.float64)
    assert co_adaptation(ends).tolist() == pytest.approx([1.0, 1 / math.sqrt(3)], rel=1e-14)
    assert math.isnan(float(co_adaptation(torch.zeros(3))))


def test_the_norm_of_data_in_their_own_second_moment_is_the_root_of_count_times_rank() -> None:
    inputs = matrix(10, 2) @ matrix(2, 4, seed=1)
    second_moment = inputs.T @ inputs / 10
    explicit = mahalanobis_norm(inputs, second_moment)
    torch.testing.assert_close(mahalanobis_norm(inputs), explicit, rtol=1e-9, atol=0)
    assert float(explicit) == pytest.approx(math.sqrt(10 * 2), rel=1e-9)


def test_the_norm_is_the_sum_of_quadratic_forms_of_the_inverse() -> None:
    inputs, root = matrix(5, 3), matrix(3, 3, seed=1)
    second_moment = root @ root.T
    inverse = torch.linalg.inv(second_moment)
    listed = math.sqrt(sum(float(x @ inverse @ x) for x in inputs))
    assert float(mahalanobis_norm(inputs, second_moment)) == pytest.approx(listed, rel=1e-9)


def circle(count: int) -> Tensor:
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def share_kept(points: Tensor, probabilities: Tensor, directions: Tensor) -> Tensor:
    values = points @ directions.T
    return (probabilities @ values.relu().square()) / (probabilities @ values.square())


@pytest.mark.parametrize("seed", range(8))
def test_the_retentivity_of_points_in_the_plane_is_the_least_over_a_fine_grid_of_directions(seed: int) -> None:
    points, weights = matrix(3 + 2 * seed, 2, seed), matrix(3 + 2 * seed, 1, seed + 50).square()[:, 0]
    exact = float(retentivity(points, weights / weights.sum()))
    scanned = float(share_kept(points, weights / weights.sum(), circle(100_000)).min())
    assert exact <= scanned + 1e-12
    assert exact == pytest.approx(scanned, abs=1e-6)


def test_the_retentivity_of_a_line_is_the_smaller_share_of_its_two_sides() -> None:
    direction = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    points = torch.tensor([[1.0], [2.0], [-3.0]], dtype=torch.float64) @ direction
    assert float(retentivity(points, even(3))) == pytest.approx(5 / 14, rel=1e-12)


def test_the_retentivity_is_one_half_for_symmetric_laws_zero_on_one_side_and_never_more() -> None:
    points = matrix(7, 2)
    assert float(retentivity(torch.cat([points, -points]), even(14))) == pytest.approx(0.5, rel=1e-12)
    assert float(retentivity(points.abs(), even(7))) == pytest.approx(0.0, abs=1e-15)
    assert float(retentivity(points, even(7))) < 0.5


def test_the_retentivity_does_not_depend_on_the_coordinates() -> None:
    points = matrix(9, 2)
    lifted = points @ matrix(2, 5, seed=3) * 1e-9  # a plane in five dimensions
    assert float(retentivity(lifted, even(9))) == pytest.approx(float(retentivity(points, even(9))), rel=1e-9)


def law_of_proposition_2(delta: float) -> tuple[Tensor, Tensor]:
    across = math.sqrt(1 - 2 * delta) / (1 - delta)
    points = [[1.0, 0.0], [-delta / (1 - delta), across], [-delta / (1 - delta), -across]]
    chances = torch.tensor([delta, (1 - delta) / 2, (1 - delta) / 2], dtype=torch.float64)
    return torch.tensor(points, dtype=torch.float64), chances


@pytest.mark.parametrize("delta", [1 / 25, 1 / 100])  # 1 / C^2 and less; printed is C^2, which is no chance here
def test_a_small_regularizer_leaves_room_for_large_weights(delta: float) -> None:
    points, chances = law_of_proposition_2(delta)
    torch.testing.assert_close(chances @ points, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-15)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)
    weight = torch.tensor([1 / math.sqrt(delta), 0.0], dtype=torch.float64)
    assert float(chances @ (points @ weight).relu().square()) == pytest.approx(1.0, rel=1e-12)
    assert float(weight.norm()) >= 5.0


def test_the_law_of_proposition_2_is_the_less_retentive_the_smaller_delta_is() -> None:
    values = [float(retentivity(*law_of_proposition_2(delta))) for delta in (0.3, 0.1, 0.01)]
    assert values == sorted(values, reverse=True)
    assert all(value <= delta + 1e-12 for value, delta in zip(values, (0.3, 0.1, 0.01), strict=True))


def complexity(points: Tensor, directions: Tensor) -> float:
    """Rademacher complexity of networks with total flow 1: all signs, the supremum over these directions.

    The supremum over networks is attained by one unit, and one of its directions v with a(v) = 1.
    """
    values = (points @ directions.T).relu()
    values = values[:, values.square().mean(0) > 1e-9]
    units = values / values.square().mean(0).sqrt()
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=len(points))), dtype=torch.float64)
    return float((signs @ units).abs().amax(1).mean()) / len(points)


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_holds_for_the_complexity_by_all_signs(seed: int) -> None:
    points = matrix(7, 2, seed)
    beta = float(retentivity(points, even(7)))
    assert complexity(points, circle(720)) <= float(rademacher_bound(1.0, points, beta))


def test_the_bound_is_its_formula_and_falls_with_the_root_of_the_number_of_examples() -> None:
    points = matrix(50, 3)
    repeated = points.repeat(4, 1)
    bound = float(rademacher_bound(torch.tensor(2.0, dtype=torch.float64), points, 0.1))
    assert bound == pytest.approx(2 * 2 * math.sqrt(50 * 3) / (50 * math.sqrt(0.1)), rel=1e-12)
    assert float(rademacher_bound(2.0, repeated, 0.1)) == pytest.approx(bound / 2, rel=1e-12)


def test_leading_dimensions_are_batches() -> None:
    networks = [network(seed) for seed in range(4)]
    U, V = (torch.stack([each[index] for each in networks]).view(2, 2, *networks[0][index].shape) for index in (0, 1))
    inputs = networks[0][2]
    calls: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda u, v: relu_regularizer(u, v, inputs, 0.3),
        lambda u, v: path_norm_regularizer(u, v, 0.3),
        lambda u, v: co_adaptation(flows(u, relu_second_moments(v, inputs))),
        lambda u, v: flow_norm(flows(u, relu_second_moments(v, inputs, symmetrised=True))),
    ]
    for call in calls:
        one_by_one = torch.stack([call(u, v) for u, v, _ in networks]).view(2, 2)
        torch.testing.assert_close(call(U, V), one_by_one, rtol=1e-12, atol=0)


ONE = torch.ones(1, 1, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "inputs": (
        lambda: relu_second_moments(ONE, torch.ones(2, 3).double()),
        "hidden_weights and inputs must have the same number of columns, got 1 and 3",
    ),
    "dtypes": (
        lambda: relu_second_moments(ONE, ONE.float()),
        "must have one dtype, got torch.float64 and torch.float32",
    ),
    "widths": (
        lambda: flows(ONE, torch.ones(2).double()),
        "second_moments must hold one number for each column of output_weights, got 2 and 1",
    ),
    "negative moment": (lambda: flows(ONE, -ONE[0]), "second_moments must not be negative, got -1.0"),
    "no flow": (lambda: co_adaptation(torch.ones(0)), r"flows must be a non-empty vector, got shape \(0,\)"),
    "flow of integers": (
        lambda: flow_norm(torch.ones(1).long()),
        "flows must hold floating-point numbers, got torch.i",
    ),
    "drop rate": (lambda: relu_regularizer(ONE, ONE, ONE, 1.0), r"drop_rate must lie in \[0, 1\), got 1.0"),
    "widths of paths": (
        lambda: path_norm_regularizer(torch.ones(1, 2).double(), ONE, 0.5),
        "output_weights must have one column for each row of hidden_weights, got 2 and 1",
    ),
    "variant": (
        lambda: path_norm_regularizer(ONE, ONE, 0.5, variant="x"),
        "variant must be 'derived' or 'printed', got 'x'",
    ),
    "second moment": (
        lambda: mahalanobis_norm(ONE, -ONE),
        "second_moment must be positive semidefinite, got the smallest eigenvalue -1.0",
    ),
    "size of the second moment": (
        lambda: mahalanobis_norm(ONE, torch.eye(2).double()),
        "second_moment must have one row for each column of inputs, got 2 and 1",
    ),
    "beta": (lambda: rademacher_bound(1.0, ONE, 0.6), r"retentivity must lie in \(0, 1/2\], got 0.6"),
    "negative flow": (lambda: rademacher_bound(-1.0, ONE, 0.5), "flow_norm must not be negative, got -1.0"),
    "space": (
        lambda: retentivity(torch.eye(3).double(), even(3)),
        "points must span a line or a plane, got 3 dimensions",
    ),
    "all zero": (lambda: retentivity(0 * ONE, ONE[0]), "points must span a line or a plane, got 0 dimensions"),
    "chances": (lambda: retentivity(ONE, ONE[0] / 2), "probabilities must sum to 1, got 0.5"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
