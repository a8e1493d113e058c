"""Dropout that is not inverted: one step of the thesis's algorithm 4, and what eval mode computes."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_tasks import binomial_bound
from torch import Tensor

from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.regularizers.base import Context
from tasks.regularizers.dropout import Dropout, ElementMask
from tasks.regularizers.lazy_dropout import LazyDropout
from tasks.runtime.streams import MaskStream
from tasks.sites import MaskLaw, mask_law, measure_sites, sites_of, watch_mask

CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="lazy_dropout",
    num_train_samples=1,
    num_epochs=1,
    num_steps=1,
    learning_rate=0.1,
)
X = torch.linspace(-2, 3, 40, dtype=torch.float64)
WIDTH, DIMENSION, KEEP = 200, 7, 0.3


def lazy_network() -> TwoLayerReLU:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TwoLayerReLU(num_classes=1, in_channels=DIMENSION, image_size=1, width=WIDTH, top="frozen")
    measure_sites(network, torch.zeros(1, DIMENSION, 1, 1))
    return network.double()


def attached() -> TwoLayerReLU:
    network = lazy_network()
    LazyDropout(drop_rate=1 - KEEP).attach(network, CONTEXT)
    return network


def an_input() -> Tensor:
    x = torch.randn(1, DIMENSION, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x / x.norm()


def test_what_is_kept_keeps_its_value() -> None:
    y = ElementMask(0.4, MaskStream(0, "lazy", "cpu"), is_inverted=False).train()(X.expand(20_000, 40))
    assert ((y == X) | (y == 0)).all()
    kept = (y != 0).double().mean(0)
    assert ((kept - 0.6).abs() <= binomial_bound(0.4, 20_000)).all()


def test_in_eval_mode_weights_are_multiplied_by_the_keep_rate() -> None:
    network, rescaled = attached().eval(), lazy_network()
    with torch.no_grad():
        rescaled.hidden.weight.mul_(KEEP)
    torch.testing.assert_close(network(an_input()), rescaled(an_input()), rtol=1e-14, atol=0)


def test_its_gradient_is_that_of_the_algorithm() -> None:
    network, x = attached().train(), an_input()
    mask_now = watch_mask(network.site)
    network(x).sum().backward()
    mask = mask_now()
    assert mask is not None
    active = (network.hidden.weight @ x.flatten() > 0).double()
    expected = (network.output.weight.flatten() * mask.double() * active)[:, None] * x.flatten()
    assert network.hidden.weight.grad is not None
    torch.testing.assert_close(network.hidden.weight.grad, expected.detach(), rtol=1e-12, atol=1e-15)


def test_frozen_networks_begin_as_the_algorithm_says() -> None:
    weights, top = lazy_network().hidden.weight.detach(), lazy_network().output.weight.detach()
    assert top.abs().unique().tolist() == pytest.approx([1 / math.sqrt(WIDTH)])
    assert abs(float(weights.square().mean()) - 1) < 5 * math.sqrt(2 / weights.numel())


@pytest.mark.parametrize(
    ("regularizer", "law"),
    [(Dropout(drop_rate=0.25), MaskLaw(0.75, True)), (LazyDropout(drop_rate=0.25), MaskLaw(0.75, False))],
    ids=["dropout", "lazy_dropout"],
)
def test_a_site_tells_the_law_of_its_masks(regularizer: Dropout | LazyDropout, law: MaskLaw) -> None:
    network = lazy_network()
    (site,) = sites_of(network, ("dense",))
    assert mask_law(site) is None
    regularizer.attach(network, CONTEXT)
    assert mask_law(site) == law
