"""The complexity penalty of adaptive dropout against the formula written out, and its degrees."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, TINY_TASKS, prepared
from torch import nn

from tasks.regularizers.adaptive_dropout_rc import (
    EXPONENTS,
    AdaptiveDropoutRC,
    Factor,
    Norms,
    Scaling,
    rademacher_penalty,
)
from tasks.regularizers.base import Batch, Context, Step
from tasks.regularizers.parts.localdrop_sites import UnitKeep
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, chain_next_layers, measure_sites, sites_of

CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="rc",
    num_train_samples=7,
    num_epochs=1,
    num_steps=1,
    learning_rate=0.1,
)
NORMS: tuple[Norms, ...] = ("2,2", "1,inf", "inf,1")
GENERATOR = torch.Generator().manual_seed(0)
BATCH = Batch(torch.randn(12, 5, generator=GENERATOR).double(), torch.zeros(12, 3).double())


@pytest.fixture(autouse=True)
def _draws_of_each_test() -> None:
    GENERATOR.manual_seed(1)


def keep_of(shape: tuple[int, ...]) -> UnitKeep:
    site = Site("dense")
    site.shape = shape
    keep = UnitKeep(site, 1.0, MaskStream(0, "mask", "cpu"), torch.device("cpu")).double()
    keep.variable.copy_(torch.rand(shape, generator=GENERATOR) * 0.9 + 0.05)
    return keep


def factors_of(norms: Norms, scaling: Scaling) -> list[Factor]:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 4).double(), nn.Linear(4, 6).double(), nn.Linear(6, 3).double()]
    return [Factor(layer, keep_of((layer.in_features,)), *EXPONENTS[norms], scaling) for layer in layers]


def by_loops(factors: list[Factor], norms: Norms, scaling: Scaling) -> float:
    """Theorem 3.1 in plain Python."""
    values = [max(abs(float(v)) for v in row) for row in BATCH.inputs]
    result = 3 * math.sqrt(math.log(5) / 12) * max(values)
    for factor in factors:
        weight = factor.layer.weight.detach().numpy()
        theta = cast(UnitKeep, factor.keep).variable.numpy()
        outputs, fan_in = weight.shape
        if norms == "2,2":
            result *= max(math.sqrt(sum(w * w for w in row)) for row in weight) * math.sqrt(sum(t * t for t in theta))
            scale = math.sqrt((fan_in + outputs) / math.log(outputs))
        elif norms == "1,inf":
            result *= max(sum(abs(w) for w in row) for row in weight) * max(theta)
            scale = math.sqrt(fan_in + outputs)
        else:
            result *= max(abs(w) for row in weight for w in row) * sum(theta)
            scale = math.sqrt(fan_in + outputs)
        result *= {"fan_in": scale / fan_in, "printed": scale / outputs, "none": 1}[scaling]
    return float(result)


@pytest.mark.parametrize("scaling", ["fan_in", "printed", "none"])
@pytest.mark.parametrize("norms", NORMS)
def test_the_penalty_is_the_formula_written_out(norms: Norms, scaling: Scaling) -> None:
    factors = factors_of(norms, scaling)
    assert rademacher_penalty(factors, BATCH).item() == pytest.approx(by_loops(factors, norms, scaling), rel=1e-12)


@pytest.mark.parametrize("norms", NORMS)
def test_the_penalty_has_degree_one_in_every_weight_matrix_and_every_vector_of_rates(norms: Norms) -> None:
    factors = factors_of(norms, "fan_in")
    before = rademacher_penalty(factors, BATCH).item()
    for factor in factors:
        for tensor in (factor.layer.weight.data, cast(UnitKeep, factor.keep).variable):
            original = tensor.clone()
            tensor.mul_(0.37)
            assert rademacher_penalty(factors, BATCH).item() == pytest.approx(0.37 * before, rel=1e-12)
            tensor.zero_()
            assert rademacher_penalty(factors, BATCH).item() == 0
            tensor.copy_(original)


def test_its_gradient_in_a_keep_rate_is_the_penalty_times_the_rate_over_the_squared_norm() -> None:
    factors = factors_of("2,2", "fan_in")
    theta = cast(UnitKeep, factors[1].keep).variable.requires_grad_()
    penalty = rademacher_penalty(factors, BATCH)
    (gradient,) = torch.autograd.grad(penalty, theta)
    expected = penalty.detach() * theta.detach() / theta.detach().square().sum()
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("norms", NORMS)
def test_its_gradient_in_the_weights_matches_finite_differences(norms: Norms) -> None:
    factors = factors_of(norms, "fan_in")
    weight = factors[1].layer.weight
    (gradient,) = torch.autograd.grad(rademacher_penalty(factors, BATCH), weight)
    for index in np.ndindex(tuple(weight.shape)):
        values = []
        for shift in (1e-6, -1e-6):
            weight.data[index] += shift
            values.append(rademacher_penalty(factors, BATCH).item())
            weight.data[index] -= shift
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("norms", NORMS)
def test_a_conv_layer_counts_as_the_dense_layer_of_one_position(norms: Norms) -> None:
    conv = nn.Conv2d(3, 4, 2).double()
    dense = nn.Linear(12, 4).double()
    dense.weight.data.copy_(conv.weight.data.flatten(1))
    of_map, of_patch = keep_of((3, 7, 7)), keep_of((12,))
    of_map.variable.fill_(0.6)
    of_patch.variable.fill_(0.6)
    values = [
        Factor(layer, keep, *EXPONENTS[norms], "fan_in").value().item()
        for layer, keep in ((conv, of_map), (dense, of_patch))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_every_layer_stands_in_the_product_with_the_rates_that_it_reads() -> None:
    for task, sites in ((IMAGE_TASK, 4), (TINY_TASKS["digits-mlp"], 3)):
        training = prepared(task, AdaptiveDropoutRC())
        factors = training.hooks.parts[0]._factors  # type: ignore[attr-defined]  # its own attribute
        layers = [m for m in training.network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        assert [factor.layer for factor in factors] == layers
        assert len({id(factor.keep) for factor in factors}) == sites == len(layers)


@pytest.mark.parametrize("norms", NORMS)
def test_a_layer_that_reads_two_sites_has_the_product_of_their_rates(norms: Norms) -> None:
    """What passes both masks is kept with the product of the rates."""
    values = []
    for num_sites in (1, 2):
        torch.manual_seed(0)
        sites = [Site("dense") for _ in range(num_sites)]
        network = nn.Sequential(*sites, nn.Linear(6, 3)).double()
        measure_sites(network, torch.zeros(1, 6, dtype=torch.float64))
        chain_next_layers(network)
        factors = AdaptiveDropoutRC(norms=norms).attach(network, CONTEXT)._factors  # type: ignore[attr-defined]  # its own attribute
        rates = [torch.linspace(0.2, 0.9, 6).double(), torch.linspace(0.8, 0.5, 6).double()]
        for site, rate in zip(sites, [rates[0] * rates[1]] if num_sites == 1 else rates, strict=True):
            site.fillings[0].double().variable.copy_(rate)
        values.append(rademacher_penalty(factors, BATCH).item())
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("norms", NORMS)
def test_layers_without_masks_are_left_out(norms: Norms) -> None:
    """One more layer in front, unmasked, changes nothing."""
    values = []
    for in_front in ((), (nn.Conv2d(3, 256, 5), nn.Flatten())):
        torch.manual_seed(0)
        chain = nn.Sequential(Site("dense"), nn.Linear(256, 7), nn.ReLU(), Site("dense"), nn.Linear(7, 3))
        network = nn.Sequential(*in_front, *chain)
        measure_sites(network, torch.zeros(1, 3, 5, 5) if in_front else torch.zeros(1, 256))
        chain_next_layers(network)
        factors = AdaptiveDropoutRC(norms=norms).attach(network, CONTEXT)._factors  # type: ignore[attr-defined]  # its own attribute
        values.append(rademacher_penalty(factors, BATCH).item())
    assert values[0] == values[1] > 0


def test_without_a_layer_that_reads_a_masked_site_it_is_skipped() -> None:
    network = nn.Sequential(nn.Linear(4, 5), Site("dense"), nn.ReLU())
    assert "one weight layer reads" in str(AdaptiveDropoutRC().skip_reason(network))


def test_the_rates_start_where_the_fields_say() -> None:
    fields = {"input_drop_rate": 0.2, "conv_drop_rate": 0.3, "unit_drop_rate": 0.4}
    training = prepared(IMAGE_TASK, AdaptiveDropoutRC(**fields))
    measured = training.hooks.after_epoch(1, training.network)
    assert sorted(measured.values()) == pytest.approx([0.2, 0.3, 0.3, 0.4])


def test_without_a_penalty_rates_move_only_where_the_loss_depends_on_them() -> None:
    network = nn.Sequential(
        Site("dense"), nn.Linear(4, 5), nn.ReLU(), Site("dense"), nn.Linear(5, 6), Site("dense"), nn.Linear(6, 3)
    ).double()
    measure_sites(network, torch.zeros(1, 4, dtype=torch.float64))
    chain_next_layers(network)
    network[4].weight.data.zero_()  # nothing that stands in front of it reaches the loss; its bias does
    hooks = AdaptiveDropoutRC(lam=0.0, keep_interval_steps=1).attach(network, CONTEXT)
    network.double()
    before = [site.fillings[0].variable.clone() for site in sites_of(network)]
    batch = Batch(torch.randn(7, 4, generator=GENERATOR).double(), torch.randn(7, 3, generator=GENERATOR).double())
    step = Step(
        network=network,
        loss=lambda batch: (network(batch.inputs) - batch.targets).square().mean(),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0.0,
        batch=batch,
        learning_rate=0.1,
    )
    hooks.after_step(step)
    moved = [
        not torch.equal(site.fillings[0].variable, old) for site, old in zip(sites_of(network), before, strict=True)
    ]
    assert moved == [False, False, True]
