"""Concrete dropout: a mask whose law and gradient are those of its formula, and a penalty written out again here."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from tiny_tasks import TINY_TASKS, binomial_bound, prepared, trained
from torch import Tensor

from tasks.regularizers.base import Context
from tasks.regularizers.concrete_dropout import ConcreteDropout, ConcreteMask
from tasks.regularizers.weight_decay import WeightDecay
from tasks.runtime.streams import MaskStream
from tasks.sites import sites_of

MLP = TINY_TASKS["digits-mlp"]
CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="test",
    num_train_samples=100,
    num_epochs=1,
    num_steps=1,
    learning_rate=0.1,
)


class GivenUniform:
    """Stands for a stream whose uniform numbers are given."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def uniform(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self.numbers


def concrete_mask(uniform: Tensor, **fields: float) -> ConcreteMask:
    return ConcreteMask(ConcreteDropout(**fields), CONTEXT, GivenUniform(uniform)).double()


@pytest.mark.parametrize("drop_rate", [0.1, 0.5, 0.8])
def test_a_cold_mask_is_bernoulli_with_the_drop_rate(drop_rate: float) -> None:
    uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    y = concrete_mask(uniform, initial_drop_rate=drop_rate, temperature=1e-3)(torch.ones(10_000, dtype=torch.float64))
    kept = y * (1 - drop_rate)
    assert float((kept < 0.5).double().mean()) == pytest.approx(drop_rate, abs=2e-4)  # one step of the grid
    assert float(((kept > 1e-3) & (kept < 1 - 1e-3)).double().mean()) < 0.01
    assert float(y.detach().mean()) == pytest.approx(1, abs=1e-3)


def test_the_mask_is_the_papers_concrete_distribution() -> None:
    uniform = torch.tensor([0.02, 0.3, 0.9, 0.97], dtype=torch.float64)
    d, temperature = 0.3, 0.5
    y = concrete_mask(uniform, initial_drop_rate=d, temperature=temperature)(torch.ones(4, dtype=torch.float64))
    for u, value in zip(uniform.tolist(), y.tolist(), strict=True):
        exponent = (math.log(d) - math.log(1 - d) + math.log(u) - math.log(1 - u)) / temperature
        assert value == pytest.approx((1 - 1 / (1 + math.exp(-exponent))) / (1 - d), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_small_rates_are_met_in_every_number_format(dtype: torch.dtype) -> None:
    settings = ConcreteDropout(initial_drop_rate=0.003, temperature=1e-3)
    mask = ConcreteMask(settings, CONTEXT, MaskStream(0, "test", "cpu"))
    y = mask(torch.ones(200_000, dtype=dtype)).detach()
    assert y.dtype == dtype
    dropped = float((y < 0.5).double().mean())
    assert dropped == pytest.approx(0.003, abs=float(binomial_bound(0.003, 200_000)))


def test_the_gradient_in_the_rate_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    x, uniform = torch.rand(2, 50, generator=generator, dtype=torch.float64)
    mask = concrete_mask(uniform, initial_drop_rate=0.2, temperature=0.5)

    def loss() -> Tensor:
        return mask(x).square().sum() + mask.negative_entropy()

    (gradient,) = torch.autograd.grad(loss(), mask.logit)
    step, values = 1e-5, []
    for sign in (1, -1):
        mask.logit.data += sign * step
        values.append(float(loss().detach()))
        mask.logit.data -= sign * step
    assert float(gradient) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("drop_rate", [0.01, 0.3, 0.5, 0.9])
def test_the_entropy_is_that_of_a_bernoulli_variable(drop_rate: float) -> None:
    mask = concrete_mask(torch.zeros(1), initial_drop_rate=drop_rate)
    assert -float(mask.negative_entropy().detach()) == pytest.approx(stats.bernoulli(drop_rate).entropy(), rel=1e-6)


def test_the_penalty_is_the_kullback_leibler_term_per_training_sample() -> None:
    d, length_scale, kl_weight = 0.2, 0.3, 2.0
    regularizer = ConcreteDropout(initial_drop_rate=d, length_scale=length_scale, kl_weight=kl_weight)
    training = prepared(MLP, regularizer)
    expected = 0.0
    for site in sites_of(training.network, ("dense",)):
        assert site.next_layer is not None
        weight = site.next_layer.weight.detach().double().square().sum()
        entropy = stats.bernoulli(d).entropy()
        expected += float(length_scale**2 / 2 * weight / (1 - d)) - 128 * entropy
    expected *= kl_weight / len(training.batches.split)  # type: ignore[attr-defined]  # data in memory
    (part,) = training.hooks.parts
    assert float(part.penalty(None).detach()) == pytest.approx(expected, rel=1e-5)


def test_the_optimizer_moves_the_rates_and_the_curves_tell_them() -> None:
    training, outcome = trained(MLP, ConcreteDropout())
    masks = [site.fillings[0] for site in sites_of(training.network, ("dense",))]
    final = [point.value for point in outcome.curves if point.metric.startswith("drop_rate/")][-2:]
    assert final == pytest.approx([float(torch.sigmoid(mask.logit.detach())) for mask in masks])
    assert all(rate != pytest.approx(0.1, abs=1e-7) for rate in final)


def test_weight_decay_does_not_touch_the_rates() -> None:
    training = prepared(MLP, ConcreteDropout(), WeightDecay(rate=0.1))
    rates = {id(site.fillings[0].logit) for site in sites_of(training.network, ("dense",))}
    for group in training._optimizer.param_groups:
        assert group["weight_decay"] == 0 or not rates & {id(parameter) for parameter in group["params"]}
