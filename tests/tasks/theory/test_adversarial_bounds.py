"""Guarantees of adversarial training: attacks and trainings that keep them, and printed forms that do not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.attacks.attack import AttackSettings, attack
from tasks.attacks.loss import hard_margins, logistic_slope
from tasks.attacks.two_layer import TwoLayer
from tasks.theory.adversarial_bounds import (
    AdversarialSetting,
    attack_schedule,
    attack_steps_for,
    beta_robust_error,
    convergence,
    effective_slope_bound,
    halfspace_convergence,
    is_effective_attack,
    largest_training_step,
    least_beta,
    output_weight_for,
    steps_to_small_slope,
    weight_norm_bound,
    worst_case_cost,
)

SETTING = AdversarialSetting(
    input_norm=1.0, margin=0.5, radius=0.1, slope=0.9, output_weight=0.25, width=16, initial_norm=2.0
)


def leaky_network(setting: AdversarialSetting, dimension: int, seed: int) -> nn.Sequential:
    """Hidden weights at random, output weights +-kappa, no biases."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(dimension, setting.width, bias=False),
        nn.LeakyReLU(setting.slope),
        nn.Linear(setting.width, 1, bias=False),
    ).double()
    network[2].weight.data = setting.output_weight * torch.randn(1, setting.width, dtype=torch.float64).sign()
    return network


@torch.no_grad()
def margins_at(network: nn.Module, points: Tensor, labels: Tensor) -> Tensor:
    return hard_margins(network(points), labels)


@pytest.mark.parametrize("seed", range(3))
def test_attacks_on_the_reflected_loss_bound_the_slope_at_every_effective_attack(seed: int) -> None:
    network = leaky_network(SETTING, 5, seed)
    points = nn.functional.normalize(torch.randn(400, 5, dtype=torch.float64), dim=1) / 2
    labels = (network(points)[:, 0] > 0).long()
    weight_norm = float(network[0].weight.detach().norm())
    schedule = attack_schedule(SETTING, weight_norm, epsilon=0.1)
    strong = AttackSettings(
        radius=SETTING.radius,
        norm="l2",
        step="normalised",
        step_size=0.02,
        num_steps=60,
        step_decay=0.5,
        decay_every=20,
        random_start=True,
        num_restarts=3,
    )
    best = attack(network, points, labels, strong, generator=torch.Generator().manual_seed(seed))
    effective = is_effective_attack(margins_at(network, best, labels), weight_norm, least_beta(SETTING))
    assert int(effective.sum()) >= 3
    slopes = -logistic_slope(margins_at(network, best, labels))
    settings = AttackSettings(radius=SETTING.radius, norm="l2", step="raw", loss="margin", step_size=schedule.step_size)
    for num_steps in (1, 2, 5, 20):
        found = attack(network, points, labels, replace(settings, num_steps=num_steps), gradients=TwoLayer.of(network))
        margins = margins_at(network, found, labels)
        bound = effective_slope_bound(margins, SETTING.radius, schedule.step_size, num_steps + 1)
        assert bool((slopes <= bound)[effective].all())


def train_on_one_point(output_weight: float, margin: float, radius: float, start: float, num_steps: int) -> list[float]:
    """Weights of f = a w x under Algorithm 6 for data at x = gamma, y = 1: the exact attack is x -+ nu."""
    step_size, weight, weights = 1 / (1.0 + radius) ** 2, start, [start]
    for _ in range(num_steps):
        attacked = margin - radius * math.copysign(1, weight)
        weight += step_size * output_weight * attacked / (1 + math.exp(output_weight * weight * attacked))
        weights.append(weight)
    return weights


def test_the_printed_number_of_steps_is_too_small_where_output_weights_are_smaller_than_their_bound() -> None:
    margin, radius, epsilon, output_weight = 0.5, 0.1, 0.4, 1e-3
    setting = AdversarialSetting(
        input_norm=1.0,
        margin=margin,
        radius=radius,
        slope=1.0,
        output_weight=1.0,
        width=1,
        initial_norm=2.0,
        output_norm=output_weight,
    )
    printed = convergence(setting, epsilon, variant="printed").num_steps
    assert printed == pytest.approx(convergence(replace(setting, output_norm=None), epsilon).num_steps)
    derived = convergence(setting, epsilon).num_steps
    weights = train_on_one_point(output_weight, margin, radius, start=-2.0, num_steps=4 * math.ceil(printed))
    assert max(weights[: math.ceil(printed) + 1]) < 0  # every iterate is wrong on all data: the robust error is 1
    first_right = next(t for t, weight in enumerate(weights) if weight > 0)
    assert printed < first_right < derived
    slopes = [1 / (1 + math.exp(output_weight * w * (margin - math.copysign(radius, w)))) for w in weights]
    step_size = largest_training_step(setting)
    assert min(slopes[: math.ceil(steps_to_small_slope(setting, epsilon, step_size, variant="printed"))]) > epsilon


@pytest.mark.parametrize("seed", range(2))
def test_halfspaces_trained_on_attacked_points_reach_the_robust_error_in_time(seed: int) -> None:
    margin, radius, epsilon = 0.5, 0.1, 0.2
    bound = halfspace_convergence(input_norm=1.0, margin=margin, radius=radius, epsilon=epsilon)
    assert bound.num_steps == pytest.approx(24_200)
    generator = torch.Generator().manual_seed(seed)
    normal = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    side = torch.nn.functional.normalize(torch.randn(40, 2, generator=generator, dtype=torch.float64), dim=1)
    points = torch.cat([torch.full((40, 1), margin, dtype=torch.float64), math.sqrt(1 - margin**2) * side], 1)  # y x
    weights, norms = -normal / margin, []  # the worst start of norm omega
    order = torch.randint(len(points), (math.ceil(bound.num_steps),), generator=generator)
    reached = None
    for t, place in enumerate(order.tolist()):
        worst = points @ weights - radius * weights.norm()
        if -float(logistic_slope(worst).mean()) <= epsilon / 4:
            reached = t
            break
        norms.append(float(weights.norm()))
        attacked = points[place] - radius * weights / weights.norm()
        weights = weights - bound.step_size * logistic_slope(attacked @ weights) * attacked
    assert reached is not None
    assert float(beta_robust_error(worst, float(weights.norm()), beta=0.0)) <= bound.error
    limits = [weight_norm_bound(1 / margin, bound.step_size, t) for t in range(len(norms))]
    assert all(norm <= limit + 1e-12 for norm, limit in zip(norms, limits, strict=True))


def test_the_theorem_follows_from_the_lemmas() -> None:
    for epsilon in (0.05, 0.3, 1.0):
        whole = convergence(SETTING, epsilon)
        lemma = steps_to_small_slope(SETTING, epsilon / 4, whole.step_size)
        assert 0.25 * whole.num_steps < lemma <= whole.num_steps
        schedule = attack_schedule(SETTING, 3.0, epsilon)
        remainder = 4 * SETTING.radius**2 / (schedule.step_size * schedule.num_steps)
        assert 2 * (2 * epsilon / 4 + remainder) == pytest.approx(whole.error)  # Markov's inequality, then both lemmas


def test_the_corollaries_are_cases_of_the_theorem() -> None:
    for epsilon in (0.1, 1.0):
        linear = AdversarialSetting(
            input_norm=1.0, margin=0.5, radius=0.1, slope=1.0, output_weight=0.2, width=25, initial_norm=2.0
        )
        corollary, theorem = halfspace_convergence(1.0, 0.5, 0.1, epsilon), convergence(linear, epsilon)
        assert theorem.num_steps <= corollary.num_steps * (1 + 1e-12)
        assert (corollary.step_size, corollary.beta) == (pytest.approx(theorem.step_size), 0.0)
    assert theorem.num_steps == pytest.approx(corollary.num_steps)  # at epsilon = 1
    beta = 0.03
    setting = replace(SETTING, output_weight=output_weight_for(beta, SETTING.radius, SETTING.slope, SETTING.width))
    assert least_beta(setting) == pytest.approx(beta)
    growth = (
        setting.initial_norm * setting.margin * setting.slope * beta * 0.2 / (2 * setting.radius * (1 - setting.slope))
    )
    printed = 64 * 1.1**2 * (1 + growth) / ((0.4 * setting.slope) ** 2 * 0.2**2)
    assert convergence(setting, 0.2).num_steps == pytest.approx(printed)


def test_the_attack_steps_of_corollary_5_are_printed_upside_down() -> None:
    beta, weight_norm, epsilon = 0.03, 7.0, 0.2
    setting = replace(SETTING, output_weight=output_weight_for(beta, SETTING.radius, SETTING.slope, SETTING.width))
    schedule = attack_schedule(setting, weight_norm, epsilon)
    assert attack_steps_for(beta, setting.slope, weight_norm, epsilon) == pytest.approx(schedule.num_steps)
    printed = attack_steps_for(beta, setting.slope, weight_norm, epsilon, variant="printed")
    assert printed * schedule.num_steps == pytest.approx(4 / epsilon**2)
    larger = attack_steps_for(beta, setting.slope, 2 * weight_norm, epsilon, variant="printed")
    assert larger < printed  # though steps are shorter for larger weights
    assert attack_schedule(setting, 2 * weight_norm, epsilon).step_size < schedule.step_size


def test_the_printed_cost_needs_more_than_it_says() -> None:
    usual: dict[str, Any] = {"input_norm": 1.0, "margin": 0.5, "radius": 0.1, "slope": 0.5, "epsilon": 0.1}
    assert worst_case_cost(**usual) < worst_case_cost(**usual, variant="printed")
    close = usual | {"margin": 1.0, "radius": 0.01, "slope": 1.0, "epsilon": 1.0}  # omega gamma alpha epsilon = 1.7
    assert worst_case_cost(**close) > 1.5 * worst_case_cost(**close, variant="printed")
    setting = AdversarialSetting(
        input_norm=1.0, margin=0.5, radius=0.1, slope=0.5, output_weight=1.0, width=1, initial_norm=math.sqrt(3) / 1.1
    )
    num_steps, step_size = convergence(setting, 0.9).num_steps, largest_training_step(setting)
    norms = [weight_norm_bound(setting.initial_norm, step_size, t) for t in range(int(num_steps))]
    summed = sum(attack_schedule(setting, norm, 0.9).num_steps for norm in norms)
    assert summed == pytest.approx(worst_case_cost(**(usual | {"epsilon": 0.9})), rel=2 / num_steps)


def test_what_counts_as_an_attack_does_not_depend_on_the_scale_of_the_weights() -> None:
    network, points = leaky_network(SETTING, 5, 0), torch.randn(50, 5, dtype=torch.float64)
    labels = torch.arange(50) % 2
    found = []
    for scale in (1.0, 7.0):
        network[0].weight.data *= scale
        norm = float(network[0].weight.detach().norm())
        found.append(is_effective_attack(margins_at(network, points, labels), norm, beta=0.05))
    assert torch.equal(*found)
    assert 0 < int(found[0].sum()) < 50


def test_the_edge_of_an_effective_attack_is_effective_and_no_robust_error() -> None:
    edge = torch.tensor([-0.5], dtype=torch.float64)
    assert bool(is_effective_attack(edge, weight_norm=1.0, beta=0.5))
    assert float(beta_robust_error(edge, weight_norm=1.0, beta=0.5)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 0.5}, "0 <= radius < margin <= input_norm"),
        ({"margin": 1.5}, "0 <= radius < margin <= input_norm"),
        ({"slope": 0.0}, "slope must lie in"),
        ({"output_weight": 0.0}, "output_weight must be positive"),
        ({"width": 0}, "width"),
        ({"initial_norm": -1.0}, "initial_norm"),
        ({"output_norm": 1.1}, "output_norm must lie in"),
    ],
    ids=str,
)
def test_a_setting_says_what_is_wrong_with_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTING, **changes)


def test_numbers_outside_their_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match="epsilon must lie in"):
        convergence(SETTING, 1.5)
    with pytest.raises(ValueError, match="step_size must be at most"):
        steps_to_small_slope(SETTING, 0.1, step_size=10.0)
    with pytest.raises(ValueError, match="variant must be 'derived' or 'printed'"):
        convergence(SETTING, 0.1, variant="exact")
    with pytest.raises(ValueError, match="for a linear network beta is 0"):
        output_weight_for(0.1, 0.1, slope=1.0, width=4)
    with pytest.raises(ValueError, match="weight_norm must be positive"):
        attack_schedule(SETTING, 0.0, 0.1)
