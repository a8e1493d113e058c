"""Steps of the optimizer by their formula, whatever the layout in memory; scaled gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

import tasks.optimizer
from tasks.optimizer import ScaledDescent, _are_finite, optimizer_by, stochastic_gradient_descent
from tasks.regularizers.base import OptimizerSettings

RATE, MOMENTUM, DECAY, STEPS = 0.1, 0.9, 0.01, 4
LAYOUTS = {
    "rows first": lambda values: values.contiguous(),
    "channels last": lambda values: values.contiguous(memory_format=torch.channels_last),
    "transposed": lambda values: values.transpose(0, 1).contiguous().transpose(0, 1),
}


def weight_after(gradients: list[Tensor], weight: Tensor, *, nesterov: bool) -> Tensor:
    """By the formulas of Sutskever et al. 2013 as torch documents them, in 64 bits."""
    weight, velocity = weight.double(), torch.zeros_like(weight, dtype=torch.float64)
    for gradient in gradients:
        slope = gradient.double() + DECAY * weight
        velocity = MOMENTUM * velocity + slope
        weight = weight - RATE * (slope + MOMENTUM * velocity if nesterov else velocity)
    return weight


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("last", LAYOUTS)
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("own", LAYOUTS)
def test_a_step_follows_its_formula_however_weights_gradients_and_momenta_lie(
    own: str, first: str, last: str, nesterov: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(STEPS + 1, 4, 3, 2, 5, generator=generator)
    layer = nn.Conv2d(3, 4, (2, 5), bias=False)
    layer.weight = nn.Parameter(LAYOUTS[own](start.clone()))
    settings = OptimizerSettings(learning_rate=RATE, momentum=MOMENTUM, nesterov=nesterov, weight_decay=DECAY)
    optimizer = stochastic_gradient_descent(layer, settings)
    for index, gradient in enumerate(gradients):  # the first one gives the momentum its layout
        layer.weight.grad = LAYOUTS[last if index else first](gradient)
        optimizer.step()
    expected = weight_after(gradients, start, nesterov=nesterov)
    torch.testing.assert_close(layer.weight.detach().double(), expected, rtol=1e-5, atol=1e-6)


def test_decay_of_adamw_is_apart_from_the_gradient() -> None:
    layer = nn.Linear(3, 2, bias=False)
    start = layer.weight.detach().clone()
    settings = OptimizerSettings(learning_rate=RATE, weight_decay=DECAY, optimizer="adamw")
    optimizer = optimizer_by(settings, layer)
    gradient = torch.tensor([[1.0, -2.0, 3.0], [0.5, -0.1, 2.0]])
    layer.weight.grad = gradient.clone()
    optimizer.step()  # with the first gradient, Adam's step is its sign
    torch.testing.assert_close(layer.weight.detach(), start * (1 - RATE * DECAY) - RATE * gradient.sign())


def test_weights_as_layers_hold_them_take_the_fused_step() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    network.to(memory_format=torch.channels_last)
    optimizer = stochastic_gradient_descent(network, OptimizerSettings(learning_rate=RATE, momentum=MOMENTUM))
    for _ in range(2):
        network(torch.randn(5, 3, 3, 3)).sum().backward()
        optimizer.step()
        assert [group["fused"] for group in optimizer.param_groups] == [True]


def test_layouts_are_compared_again_only_where_one_of_them_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = tasks.optimizer._can_fuse
    monkeypatch.setattr(tasks.optimizer, "_can_fuse", lambda *pair: compared.append(1) or compare(*pair))
    layer = nn.Conv2d(3, 4, 2, bias=False)
    optimizer = stochastic_gradient_descent(layer, OptimizerSettings(learning_rate=RATE, momentum=MOMENTUM))

    def comparisons_of_a_step(layout: str) -> int:
        layer.weight.grad = LAYOUTS[layout](torch.ones(4, 3, 2, 2))
        before = len(compared)
        optimizer.step()
        return len(compared) - before

    assert [comparisons_of_a_step("rows first") for _ in range(4)] == [1, 1, 0, 0]  # the second one has momenta
    assert [comparisons_of_a_step("transposed") for _ in range(3)] == [1, 0, 0]
    optimizer.load_state_dict(optimizer.state_dict())
    assert comparisons_of_a_step("transposed") == 1


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("dtypes", [[torch.float32] * 3, [torch.float32, torch.float64, torch.float16]], ids=str)
def test_one_number_that_is_not_finite_is_found_among_all_gradients(dtypes: list[torch.dtype], bad: float) -> None:
    gradients = [torch.ones(2, 3, dtype=dtype) for dtype in dtypes]
    assert _are_finite(gradients)
    assert _are_finite([])
    for gradient in gradients:
        gradient[1, 1] = bad
        assert not _are_finite(gradients)
        gradient[1, 1] = 1
    assert all(bool((gradient == 1).all()) for gradient in gradients)


def test_a_weight_whose_gradients_begin_later_stays_until_then() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(3, 2)
    starts = {"weight": layer.weight.detach().clone(), "bias": layer.bias.detach().clone()}
    seen: dict[str, list[Tensor]] = {"weight": [], "bias": []}
    settings = OptimizerSettings(learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    optimizer = stochastic_gradient_descent(layer, settings)
    for index in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        for name, parameter in layer.named_parameters():
            if name == "weight" or index >= 2:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
                seen[name].append(parameter.grad.clone())
        optimizer.step()
        if index == 1:
            assert torch.equal(layer.bias, starts["bias"])
    for name, parameter in layer.named_parameters():
        expected = weight_after(seen[name], starts[name], nesterov=False)
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-5, atol=1e-6)


def gradients_after(descent: ScaledDescent, weight: nn.Parameter, slope: float) -> Tensor:
    weight.grad = None
    descent.backward((weight * slope).sum())
    assert weight.grad is not None
    return weight.grad.clone()


def test_a_scaled_descent_is_the_plain_one_where_nothing_overflows() -> None:
    weight = nn.Parameter(torch.ones(3))
    descent = ScaledDescent(torch.optim.SGD([weight], lr=0.5))
    assert torch.equal(gradients_after(descent, weight, 0.25), torch.full((3,), 0.25))
    descent.step()
    assert torch.equal(weight, torch.full((3,), 0.875))


def test_a_scale_keeps_gradients_that_16_bits_would_lose() -> None:
    weight = nn.Parameter(torch.ones(2))
    tiny_slope = 2.0**-30  # below the least positive number of fp16, 2^-24

    def through_half(descent: ScaledDescent) -> Tensor:
        weight.grad = None
        descent.backward((weight.half() * torch.ones(2).half()).float().mul(tiny_slope).sum())
        assert weight.grad is not None
        return weight.grad

    descent = ScaledDescent(torch.optim.SGD([weight], lr=1.0))
    assert torch.equal(through_half(descent), torch.full((2,), tiny_slope))
    descent.scale = 1.0
    assert torch.equal(through_half(descent), torch.zeros(2))


def test_a_step_that_overflows_is_left_out_and_halves_the_scale_which_grows_again() -> None:
    weight = nn.Parameter(torch.ones(1))
    descent = ScaledDescent(torch.optim.SGD([weight], lr=0.0))
    gradients_after(descent, weight, math.inf)
    before = descent.scale
    descent._optimizer.param_groups[0]["lr"] = 1.0
    descent.step()
    assert (weight.item(), descent.scale) == (1.0, before / 2)
    descent._optimizer.param_groups[0]["lr"] = 0.0
    for _ in range(descent.GROWTH_STEPS):
        gradients_after(descent, weight, 1.0)
        descent.step()
    assert descent.scale == before


def test_gradients_that_hooks_ask_for_are_scaled_and_true_as_well() -> None:
    rate, other = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
    descent = ScaledDescent(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0))
    tiny_slope = 2.0**-30  # below the least positive number of fp16

    def through_half() -> Sequence[Tensor | None]:
        return descent.gradients((rate.half() * torch.ones(2).half()).float().mul(tiny_slope).sum(), [rate, other])

    gradient, unused = through_half()
    assert gradient is not None
    assert torch.equal(gradient, torch.full((2,), tiny_slope))
    assert unused is None
    descent.scale = 1.0
    lost, _ = through_half()
    assert lost is not None
    assert torch.equal(lost, torch.zeros(2))


def test_gradients_that_overflow_are_none_to_step_along() -> None:
    rate = torch.ones(2, requires_grad=True)
    descent = ScaledDescent(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0))
    descent.scale, descent.num_good_steps = 8.0, 7
    assert descent.gradients((rate * math.inf).sum(), [rate]) == [None]
    assert (descent.scale, descent.num_good_steps) == (4.0, 0)


def test_the_scale_does_not_fall_below_1() -> None:
    weight = nn.Parameter(torch.ones(1))
    descent = ScaledDescent(torch.optim.SGD([weight], lr=1.0))
    for _ in range(40):
        gradients_after(descent, weight, math.inf)
        descent.step()
    assert descent.scale == 1.0
