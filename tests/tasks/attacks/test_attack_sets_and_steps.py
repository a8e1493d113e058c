"""Steps and projections of attacks: their definitions as optimality conditions, and points inside left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tasks.attacks.sets import STARTS, NormName, l2, projection
from tasks.attacks.steps import STEPS, StepName, normalised_step, sign_step

NORMS: list[NormName] = ["linf", "l2"]


def linf(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    return projection("linf", centres, radius, None)(points.clone())


PROJECTIONS: dict[NormName, Callable[[Tensor, Tensor, float], Tensor]] = {"linf": linf, "l2": l2}


def points(shape: tuple[int, ...] = (6, 2, 3), seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lengths(moves: Tensor, norm: NormName) -> Tensor:
    result: Tensor = torch.linalg.vector_norm(moves.flatten(1), ord=2 if norm == "l2" else torch.inf, dim=1)
    return result


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_the_nearest_point_of_its_ball(norm: NormName) -> None:
    centres, outside = points(seed=1), 3 * points()
    projected = PROJECTIONS[norm](outside, centres, 0.7)
    assert bool((lengths(projected - centres, norm) <= 0.7 + 1e-12).all())
    for seed in range(2, 30):  # the angle at a projection to any point of a convex set is not acute
        other = STARTS[norm](centres, 0.7, torch.Generator().manual_seed(seed))
        angles = ((outside - projected) * (other - projected)).flatten(1).sum(1)
        assert bool((angles <= 1e-12).all())


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_leaves_points_inside_as_they_are_and_is_idempotent(norm: NormName) -> None:
    centres = points(seed=1, dtype=torch.float32)
    inside = STARTS[norm](centres, 0.69, torch.Generator().manual_seed(2))
    assert torch.equal(PROJECTIONS[norm](inside, centres, 0.7), inside)
    once = PROJECTIONS[norm](5 * inside, centres, 0.7)
    torch.testing.assert_close(PROJECTIONS[norm](once, centres, 0.7), once, rtol=1e-6, atol=1e-6)
    assert torch.equal(PROJECTIONS[norm](inside, centres, 0.0), centres)


@pytest.mark.parametrize("norm", NORMS)
def test_box_first_and_ball_second_ends_in_both_sets(norm: NormName) -> None:
    centres = torch.rand(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    far = centres + 3 * points((50, 8), seed=1)
    both = PROJECTIONS[norm](far.clamp(0.0, 1.0), centres, 0.4)
    assert bool((both >= 0).all())
    assert bool((both <= 1).all())
    assert bool((lengths(both - centres, norm) <= 0.4 + 1e-12).all())
    other_order = PROJECTIONS[norm](far, centres, 0.4).clamp(0.0, 1.0)
    if norm == "linf":
        torch.testing.assert_close(both, other_order, rtol=0, atol=1e-15)
    else:
        assert float((both - other_order).abs().max()) > 0.01


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)], ids=["no box", "box"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_projection_of_an_attack_is_the_box_and_then_the_ball(
    norm: NormName, bounds: tuple[float, float] | None
) -> None:
    centres = torch.rand(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    far = centres + 3 * points((50, 8), seed=1)
    expected = PROJECTIONS[norm](far if bounds is None else far.clamp(*bounds), centres, 0.4)
    assert torch.equal(projection(norm, centres, 0.4, bounds)(far.clone()), expected)


def test_the_balls_are_those_around_each_example_alone() -> None:
    centres, moved = torch.zeros(2, 3), torch.tensor([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert torch.equal(l2(moved, centres, 1.0), torch.tensor([[1.0, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    assert torch.equal(linf(moved, centres, 1.0), torch.tensor([[1.0, 0.0, 0.0], [0.1, 0.0, 0.0]]))


def test_random_starts_are_uniform_in_their_balls() -> None:
    centres = torch.zeros(20_000, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    inside = lengths(STARTS["l2"](centres, 2.0, generator), "l2") / 2
    assert abs(float((inside**3).mean()) - 0.5) < 0.01  # u = (|delta| / nu)^d is uniform
    assert abs(float((inside**3 < 0.25).double().mean()) - 0.25) < 0.01
    in_cube = STARTS["linf"](centres, 2.0, generator)
    assert abs(float(in_cube.abs().mean()) - 1) < 0.01
    assert abs(float(in_cube.mean())) < 0.02


@pytest.mark.parametrize(("step", "dual"), [("sign", 1), ("normalised", 2)], ids=["sign", "normalised"])
def test_a_step_is_the_steepest_ascent_under_its_norm(step: StepName, dual: int) -> None:
    gradients = points()
    inner = (STEPS[step](gradients) * gradients).flatten(1).sum(1)  # max over the unit ball of g.d is the dual norm
    torch.testing.assert_close(inner, torch.linalg.vector_norm(gradients.flatten(1), ord=dual, dim=1))


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1.0, 1e30])
def test_normalised_steps_do_not_depend_on_the_length_of_the_gradient(scale: float) -> None:
    gradients = points(dtype=torch.float32)
    torch.testing.assert_close(normalised_step(scale * gradients), normalised_step(gradients), rtol=1e-4, atol=1e-6)


def test_a_zero_gradient_makes_no_step() -> None:
    for step in STEPS.values():
        assert torch.equal(step(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_raw_steps_are_the_gradient_and_signs_have_three_values() -> None:
    assert torch.equal(STEPS["raw"](points()), points())
    assert torch.equal(sign_step(torch.tensor([-2.0, 0.0, 1e-30])), torch.tensor([-1.0, 0.0, 1.0]))
