"""Dropout in wide networks: constants by search, bounds against the steps of their proofs, margins by quadrature."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import binom
from torch import Tensor

from tasks.theory.lazy_dropout import (
    active_width_bound,
    error_bound,
    lazy_constants,
    margin_of,
    subnetwork_bound,
)


def condition(width: float, margin: float, dimension: int, step_size: float, num_steps: int) -> float:
    """Width less what is needed at this width; not negative where the theorem holds."""
    c = math.sqrt(dimension) + max(1 / (14 * margin**2), 2 * math.sqrt(math.log(width))) + 1
    inner = math.log(24 * step_size * c * math.sqrt(width) * num_steps**2)
    lam = 5 / margin * math.log(2 * step_size * num_steps) + math.sqrt(44 / margin**2 * inner)
    return width - 2401 * margin**-6 * lam**2


SETTINGS = {
    "digits": (0.1, 784, 0.5, 10**6),
    "wide margin": (0.5, 2, math.log(2), 1),
    "many steps": (0.25, 784, 0.5, 10**9),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_least_width_is_the_root_of_its_condition(name: str) -> None:
    constants = lazy_constants(*SETTINGS[name])
    root = brentq(condition, 1.0, 1e20, args=SETTINGS[name], rtol=1e-14)
    assert constants.least_width == pytest.approx(math.ceil(root), rel=1e-12)
    assert condition(constants.least_width * (1 - 1e-9) - 1, *SETTINGS[name]) < 0


def test_the_theory_is_vacuous_at_every_size_that_can_be_trained() -> None:
    constants = lazy_constants(*SETTINGS["digits"])
    assert constants.lam == pytest.approx(1168, abs=1)
    assert constants.least_width == pytest.approx(3.3e15, rel=0.02)
    assert error_bound(constants.lam, 0.5, 10**6) == pytest.approx(10.9, abs=0.05)
    assert lazy_constants(*SETTINGS["many steps"]).least_width == pytest.approx(3.9e12, rel=0.02)


def test_the_constants_at_another_width_are_their_formulas() -> None:
    constants = lazy_constants(0.25, 10, 0.5, 1000, width=100)
    c = math.sqrt(10) + max(1 / (14 * 0.0625), 2 * math.sqrt(math.log(100))) + 1
    assert constants.c == pytest.approx(c, rel=1e-14)
    lam = 20 * math.log(1000) + math.sqrt(704 * math.log(12 * c * 10 * 10**6))
    assert constants.lam == pytest.approx(lam, rel=1e-14)
    assert constants.least_width == lazy_constants(0.25, 10, 0.5, 1000).least_width


def test_rows_of_the_start_are_within_the_limit_and_not_within_that_of_the_text() -> None:
    start = torch.randn(100, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    largest = float(start.norm(dim=1).max())
    assert largest > 2 * math.sqrt(math.log(100))
    assert largest <= lazy_constants(0.25, 10, 0.5, 1000, width=100).c - 1


@pytest.mark.parametrize("keep_rate", [0.5, 1.0])
def test_no_row_is_ever_projected_at_the_limit_of_the_theorem(keep_rate: float) -> None:
    width, dimension, step_size, num_steps = 60, 10, math.log(2), 500
    generator = torch.Generator().manual_seed(1)
    W = torch.randn(width, dimension, generator=generator, dtype=torch.float64)
    top = torch.randint(2, (width,), generator=generator).double() * 2 - 1
    limit = lazy_constants(0.3 * keep_rate, dimension, step_size, num_steps, width).c
    largest = 0.0
    for _ in range(num_steps):
        x = torch.randn(dimension, generator=generator, dtype=torch.float64)
        y, x[0] = math.copysign(1.0, float(x[0])), 0.0
        x = 0.8 * x / x.norm()
        x[0] = 0.6 * y  # the margin of the first axis
        mask = torch.rand(width, generator=generator, dtype=torch.float64) < keep_rate
        active = top * mask * (W @ x >= 0) / math.sqrt(width)
        slope = -1 / (1 + math.exp(y * float(active @ (W @ x)))) / math.log(2)
        W = W - step_size * slope * y * active[:, None] * x
        largest = max(largest, float(W.norm(dim=1).max()))
    assert largest < limit


def test_base_2_logistic_loss_is_above_the_errors_and_the_natural_one_is_not() -> None:
    z = torch.linspace(-10, 0, 1001, dtype=torch.float64)
    slope = torch.sigmoid(-z) / math.log(2)
    loss = torch.log2(1 + torch.exp(-z))
    assert bool((2 * math.log(2) * slope >= 1 - 1e-12).all())
    assert bool((slope <= loss + 1e-12).all())
    assert bool((loss >= 1).all())
    assert bool((torch.log(1 + torch.exp(-z)) < 1).any())


def test_the_base_of_the_loss_costs_the_bound_nothing() -> None:
    """The losses of the competitor are at most 1 / (2 eta T ln 2), within lambda^2 / (2 eta T) as lambda^2 ln 2 > 1."""
    least = min(lazy_constants(margin, 1, 0.5, 1).lam for margin in (0.5, 0.25, 0.1))
    assert least**2 * math.log(2) > 1


def freedman_bound(lam: float, step_size: float, num_steps: int, failure_probability: float) -> float:
    """Largest mean error that Freedman's inequality allows, by solving it for the sum of the conditional slopes."""
    slopes, largest = 2 * lam**2 / step_size, 1 / math.log(2)

    def excess(total: float) -> float:
        variance = largest * total
        return (
            total - slopes - largest * math.log(1 / failure_probability) - (math.e - 2) * variance / largest
        )  # increasing, as e - 2 < 1

    return 2 * math.log(2) * brentq(excess, 0.0, 1e12, rtol=1e-14) / num_steps


@pytest.mark.parametrize("lam", [0.1, 3.0, 1000.0])
@pytest.mark.parametrize("failure_probability", [0.5, 1e-3])
def test_the_derived_bound_is_what_freedmans_inequality_allows(lam: float, failure_probability: float) -> None:
    wanted = freedman_bound(lam, 0.5, 1000, failure_probability)
    assert subnetwork_bound(lam, 0.5, 1000, failure_probability) == pytest.approx(wanted, rel=1e-10)


def test_the_printed_bound_has_too_small_a_second_term_and_is_larger_in_the_first() -> None:
    assert subnetwork_bound(1e-3, 0.5, 100, 1e-3, "printed") < freedman_bound(1e-3, 0.5, 100, 1e-3)
    assert subnetwork_bound(10.0, 0.5, 100, 1e-3, "printed") > freedman_bound(10.0, 0.5, 100, 1e-3)
    printed = 12 * 4 / (0.5 * 100) + 6 * math.log(10) / 100
    assert subnetwork_bound(2.0, 0.5, 100, 0.1, "printed") == pytest.approx(printed, rel=1e-14)
    derived = 9.84 * 4 / (0.5 * 100) + 7.10 * math.log(10) / 100
    assert subnetwork_bound(2.0, 0.5, 100, 0.1) == pytest.approx(derived, rel=1e-3)


@pytest.mark.parametrize("keep_rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("width", "num_steps"), [(10, 1), (1000, 3000), (20, 10**6)])
def test_the_active_width_is_exceeded_with_at_most_the_chance_stated(
    width: int, num_steps: int, keep_rate: float
) -> None:
    bound = active_width_bound(keep_rate, width, num_steps, 0.05)
    one_mask = binom.sf(bound, width, keep_rate)
    assert -math.expm1(num_steps * math.log1p(-one_mask)) <= 0.05
    halved = keep_rate * width + (bound - keep_rate * width) / 2
    assert -math.expm1(num_steps * math.log1p(-binom.sf(halved, width, keep_rate))) <= 0.05


def separable(count: int = 12) -> tuple[Tensor, Tensor]:
    """Points on the circle, more than 0.2 beside a line, and their sides."""
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = points / points.norm(dim=1, keepdim=True)
    points = points[points[:, 0].abs() > 0.2][:count]
    return points, points[:, 0].sign()


def margin_by_quadrature(
    inputs: Tensor, labels: Tensor, keep_rate: float, psi: Callable[[Tensor], Tensor], count: int = 20_000
) -> float:
    """The law of psi(z) 1[<z, x> >= 0] depends on the angle of z alone, if psi does."""
    angles = (torch.arange(count, dtype=torch.float64) + 0.5) * (2 * math.pi / count)
    z = torch.stack([angles.cos(), angles.sin()], dim=1)
    products = (psi(z) @ inputs.T) * (z @ inputs.T >= 0) * labels
    return keep_rate * float(products.mean(0).min())


@pytest.mark.parametrize("keep_rate", [0.3, 1.0])
def test_the_margin_of_a_direction_is_the_expectation_over_the_normal_law(keep_rate: float) -> None:
    inputs, labels = separable()
    direction = torch.tensor([3.0, 0.4], dtype=torch.float64)
    unit = direction / direction.norm()
    wanted = margin_by_quadrature(inputs, labels, keep_rate, lambda z: unit.expand_as(z))
    assert float(margin_of(inputs, labels, direction, keep_rate)) == pytest.approx(wanted, abs=1e-4)
    assert 0 < wanted <= keep_rate / 2


def test_a_map_that_is_not_constant_may_give_a_larger_margin() -> None:
    inputs, labels = torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    best_constant = float(margin_of(inputs, labels, torch.ones(2, dtype=torch.float64)))

    def psi(z: Tensor) -> Tensor:
        active = (z >= 0).double() + 1e-12
        return active / active.norm(dim=1, keepdim=True)

    assert margin_by_quadrature(inputs, labels, 1.0, psi) > best_constant + 0.05


def test_directions_are_batched() -> None:
    inputs, labels = separable()
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.2]], dtype=torch.float64)
    one_by_one = torch.stack([margin_of(inputs, labels, direction, 0.5) for direction in directions])
    torch.testing.assert_close(margin_of(inputs, labels, directions, 0.5), one_by_one, rtol=1e-14, atol=0)
    assert float(one_by_one[1]) < 0  # does not separate


X, Y, DIRECTION = torch.eye(2).double(), torch.tensor([1, -1]), torch.ones(2).double()
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "margin above one half": (lambda: lazy_constants(0.6, 1, 0.5, 10), r"margin must lie in \(0, 1/2\], got 0.6"),
    "margin 0": (lambda: lazy_constants(0.0, 1, 0.5, 10), r"margin must lie in \(0, 1/2\], got 0.0"),
    "dimension": (lambda: lazy_constants(0.1, 0, 0.5, 10), "dimension must be an integer >= 1, got 0"),
    "step size": (lambda: lazy_constants(0.1, 1, 0.7, 10), r"step_size must lie in \(0, ln 2\], got 0.7"),
    "too short": (lambda: lazy_constants(0.1, 1, 0.1, 2), r"step_size \* num_steps must be at least 1/2, got 0.2"),
    "width": (lambda: lazy_constants(0.1, 1, 0.5, 10, width=0), "width must be an integer >= 1, got 0"),
    "lam": (lambda: error_bound(-1.0, 0.5, 10), "lam must be finite and > 0, got -1.0"),
    "steps": (lambda: error_bound(1.0, 0.5, 0), "num_steps must be an integer >= 1, got 0"),
    "delta": (
        lambda: subnetwork_bound(1.0, 0.5, 10, 0.0),
        r"failure_probability must lie in \(0, 1\), got 0.0",
    ),
    "variant": (
        lambda: subnetwork_bound(1.0, 0.5, 10, 0.1, "x"),
        "variant must be 'derived' or 'printed', got 'x'",
    ),
    "keep rate": (lambda: active_width_bound(0.0, 10, 10, 0.1), r"keep_rate must lie in \(0, 1\], got 0.0"),
    "labels": (lambda: margin_of(X, Y * 2, DIRECTION), "labels must be -1 or 1, got another value"),
    "number of labels": (
        lambda: margin_of(X, Y[:1], DIRECTION),
        "labels must hold one number for each row of inputs, got 1 and 2",
    ),
    "zero row": (lambda: margin_of(0 * X, Y, DIRECTION), "inputs must have no row that is zero, got one"),
    "zero direction": (lambda: margin_of(X, Y, 0 * DIRECTION), "direction must not be zero, got zero"),
    "size of the direction": (
        lambda: margin_of(X, Y, DIRECTION[:1]),
        "direction must have one entry for each column, got 1 and 2",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
