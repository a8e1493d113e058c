"""The probe looks on: it reports the bound of the paper and leaves training alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fake_accelerator import DEVICE, fake_accelerator
from tiny_tasks import IMAGE_TASK, TINY_TASKS, prepared, tasks_for, trained, weights_after
from torch import Tensor, nn

from tasks.architectures.resnet56 import ResNet56
from tasks.regularizers.base import Context
from tasks.regularizers.localdrop import LocalDrop
from tasks.regularizers.none import Unregularized
from tasks.regularizers.rademacher_probe import RademacherProbe, log_bound_of
from tasks.sites import Site, chain_next_layers, measure_sites, sites_of
from tasks.theory.drop_rates import keep_matrix
from tasks.training import Training

MLP_TASK = TINY_TASKS["digits-mlp"]
TASKS_WITH_LAYERS = tasks_for(RademacherProbe())
NAME = "rademacher_probe.log10_bound"


def inputs_of(training: Training) -> Tensor:
    """All inputs of an epoch as the network sees them: every sample once, in some order."""
    split = training.batches.split  # type: ignore[attr-defined]  # data in memory
    return split.normalised(torch.cat([batch.inputs for batch in training.batches.epoch()])).double()


@pytest.mark.parametrize("task", TASKS_WITH_LAYERS.values(), ids=TASKS_WITH_LAYERS)
def test_training_is_the_same_with_the_probe_as_without(task: object) -> None:
    assert torch.equal(weights_after(task, RademacherProbe()), weights_after(task, Unregularized()))


def test_it_leaves_the_masks_of_its_company_as_they_are() -> None:
    localdrop = LocalDrop(m=1, keep_interval_steps=1)
    assert torch.equal(weights_after(IMAGE_TASK, localdrop, RademacherProbe()), weights_after(IMAGE_TASK, localdrop))


def test_it_reports_the_bound_of_theorem_1_written_out() -> None:
    training = prepared(MLP_TASK, LocalDrop(m=100, keep_interval_steps=1), RademacherProbe(delta=0.25))
    training.run_epoch(1)
    network = training.network
    inputs = inputs_of(training)
    weights = [m.weight.detach().double().numpy() for m in network.modules() if isinstance(m, nn.Linear)]
    keeps = [m.variable.double().numpy() for m in network.modules() if hasattr(m, "variable")]
    terms = []
    for weight, keep in zip(weights, keeps, strict=True):
        root_mean_square = math.sqrt((keep**2).mean())  # the probe spreads the rates evenly
        norm = root_mean_square * math.sqrt(weight.shape[1])
        assert norm == pytest.approx(np.linalg.norm(keep), rel=1e-6)  # which is their own norm here
        terms.append(norm * np.linalg.svd(weight, compute_uv=False).sum())
    # k [sqrt(delta) + (B / n) 2^(L-1) T_1 T_2 T_3 + 2 sqrt(delta) T_3 + 4 sqrt(delta) T_3 T_2]
    first, second, third = terms
    by_hand = 10 * (
        0.5
        + float(inputs.norm()) / len(inputs) * 4 * first * second * third
        + 2 * 0.5 * third
        + 4 * 0.5 * third * second
    )
    measured = training.hooks.after_epoch(1, network)
    assert measured[NAME] == pytest.approx(math.log10(by_hand), rel=1e-6)


def test_without_masks_the_norms_are_left_out() -> None:
    training = prepared(MLP_TASK, RademacherProbe(delta=0.0))
    training.run_epoch(1)
    inputs = inputs_of(training)
    product = 10 * float(inputs.norm()) / len(inputs) * 4
    for module in training.network.modules():
        if isinstance(module, nn.Linear):
            product *= float(torch.linalg.svdvals(module.weight.detach().double()).sum())
    assert training.hooks.after_epoch(1, training.network)[NAME] == pytest.approx(math.log10(product), rel=1e-9)


def test_when_every_value_is_left_out_only_the_last_variance_remains() -> None:
    probe = RademacherProbe(untouched_dense_fraction=1.0, untouched_conv=99, delta=4.0)
    training = prepared(IMAGE_TASK, probe)
    training.run_epoch(1)
    assert training.hooks.after_epoch(1, training.network)[NAME] == pytest.approx(math.log10(10 * 2))


def test_the_printed_bound_is_never_below_the_derived_one() -> None:
    values = []
    for variant in ("derived", "printed"):
        training = prepared(IMAGE_TASK, RademacherProbe(variant=variant))
        training.run_epoch(1)
        values.append(training.hooks.after_epoch(1, training.network)[NAME])
    assert values[1] > values[0]


def test_it_speaks_only_in_the_epochs_asked_for() -> None:
    curves = trained(IMAGE_TASK, RademacherProbe(every_epochs=2))[1].curves
    assert [point.epoch for point in curves if point.metric == NAME] == [2]


def test_a_layer_behind_a_masked_and_an_unmasked_site_counts_the_masked_one() -> None:
    """In ResNet-56 every conv layer at the head of a block reads a masked conv site and an empty branch site."""
    torch.manual_seed(0)
    network = ResNet56(num_classes=3, in_channels=3, image_size=8).double()
    example = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    measure_sites(network, example)
    context = Context(
        seed=0,
        device=torch.device("cpu"),
        name="localdrop",
        num_train_samples=1,
        num_epochs=1,
        num_steps=1,
        learning_rate=0.1,
    )
    LocalDrop(block_size=3).attach(network, context)
    factors = dict.fromkeys(
        (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)), (1.0, 1.0)
    )
    for site in sites_of(network, ("conv",)):
        site.fillings[0].variable.fill_(0.2)
        assert site.shape is not None
        rates = keep_matrix(0.2, 3, *site.shape[-2:])
        assert site.next_layer is not None
        factors[site.next_layer] = float(rates.norm()), float(rates.square().mean()) ** 0.5
    assert list(factors.values()).count((1.0, 1.0)) == 2  # no conv site stands in front of the first two layers
    product = 1.0
    for layer, (norm, root_mean_square) in factors.items():
        values = float(torch.linalg.svdvals(layer.weight.detach()).sum())
        if isinstance(layer, nn.Linear):
            product *= values * root_mean_square * math.sqrt(layer.in_features)
        else:
            product *= values * norm * math.sqrt(layer.weight.numel())
    bound = log_bound_of(network, RademacherProbe(delta=0.0), data_norm=1.0, num_examples=1, k=1)
    assert bound == pytest.approx(math.log(product) + (len(factors) - 1) * math.log(2), abs=1e-5)  # rates are float32


def test_a_depthwise_layer_counts_each_kernel_with_the_rates_of_its_own_map() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 4, 3, groups=2, bias=False).double()
    network = nn.Sequential(Site("conv"), layer)
    measure_sites(network, torch.zeros(1, 2, 5, 5, dtype=torch.float64))
    chain_next_layers(network)
    network[0].fill(Constant(torch.tensor([0.3, 0.8]).double()[:, None, None]))
    bound = log_bound_of(network, RademacherProbe(delta=0.0), data_norm=1.0, num_examples=1, k=1)
    tails = torch.linalg.svdvals(layer.weight.detach()).sum((1, 2))  # outputs 0 and 1 read the first map
    expected = math.sqrt(layer.weight.numel()) * 5 * float(0.3 * tails[:2].sum() + 0.8 * tails[2:].sum())
    assert bound == pytest.approx(math.log(expected), rel=1e-6)


class Constant(nn.Module):
    """Multiplies by rates."""

    def __init__(self, rates: Tensor) -> None:
        super().__init__()
        self.register_buffer("rates", rates)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.rates


def test_on_an_accelerator_the_factors_of_masks_without_tensors_are_made_there() -> None:
    with fake_accelerator():
        site, layer, filling = Site("conv"), nn.Conv2d(2, 4, 3, device=DEVICE), Halving()
        site.shape, site.next_layer = (2, 5, 5), layer
        site.fill(filling)
        log_bound_of(nn.Sequential(site, layer), RademacherProbe(), data_norm=1.0, num_examples=1, k=1)
    assert filling.seen_on == [DEVICE.type]


class Halving(nn.Module):
    """Has no tensor that would tell a device, as `lazy_dropout` and `shakedrop`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_on: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen_on.append(x.device.type)
        return x / 2
