"""The parts of LocalDrop: which layers are charged and shrunk, by how much, and how its four forms hang together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, TINY_TASKS, binomial_bound, prepared, weights_after
from torch import Tensor, nn

from tasks.regularizers.base import Batch, Context, Step
from tasks.regularizers.localdrop import Alternation, LocalDrop
from tasks.regularizers.localdrop_fc_only import LocalDropFcOnly
from tasks.regularizers.localdrop_no_dropblock import LocalDropNoDropblock
from tasks.regularizers.localdrop_no_dropout import LocalDropNoDropout
from tasks.regularizers.parts.keep_rate_steps import KeepRateSteps
from tasks.regularizers.parts.localdrop_sites import BlockKeep, Keep, UnitKeep
from tasks.regularizers.parts.spectral_tails import Shrinkage, SpectralTail, charged_tails, norm_of_rates
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, chain_next_layers, measure_sites

MLP_TASK = TINY_TASKS["digits-mlp"]
CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="test",
    num_train_samples=8,
    num_epochs=1,
    num_steps=4,
    learning_rate=0.1,
)
STILL = {"unit_drop_rate": 0.0, "input_drop_rate": 0.0, "keep_interval_steps": 10**9}


def shrunk_by_loops(weight: Tensor, num_kept: int, threshold: float) -> Tensor:
    """Every matrix of the batch on its own, by numpy in float64."""
    matrices = weight.detach().double().flatten(0, -3) if weight.dim() > 2 else weight.detach().double()[None]
    result = []
    for matrix in matrices.numpy():
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        for j in range(num_kept, len(values)):
            values[j] = max(values[j] - threshold, 0.0)
        result.append(left @ np.diag(values) @ right)
    return torch.from_numpy(np.stack(result)).view(weight.shape)


def keep_at(shape: tuple[int, ...], kind: str = "dense", **options: float) -> Keep:
    site = Site("conv" if kind == "conv" else "dense")
    site.shape, site.name = shape, "here"
    stream = MaskStream(0, "mask", "cpu")
    keep: Keep
    if kind == "conv":
        keep = BlockKeep(site, 3, "exact", stream, torch.device("cpu"))
    else:
        keep = UnitKeep(site, 0.5, stream, torch.device("cpu"))
    return keep.double()


def test_every_layer_but_the_output_is_shrunk_by_its_own_threshold() -> None:
    lam = 0.05
    training = prepared(IMAGE_TASK, LocalDrop(lam=lam, m=1, h_dense_fraction=0.5, h_conv=1))
    training.run_epoch(1)
    network = training.network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    measured = training.hooks.after_epoch(1, network)
    keeps = {name: module for name, module in network.named_modules() if isinstance(module, Keep)}
    norms = {
        "stem.0": 1.0,  # no mask stands before the first layer
        "branch.0": float(keeps["stem.2.fillings.0"].rates().norm()),  # Frobenius norm of one 8x8 map
        "classifier.2": float(keeps["joined.fillings.0"].rates().norm()) * 2.0,  # 8x8 map pooled, 16 channels left
    }
    for name, norm in norms.items():
        num_kept = 32 if name == "classifier.2" else 1
        expected = shrunk_by_loops(before[f"{name}.weight"], num_kept, lam * norm)
        actual = dict(network.named_parameters())[f"{name}.weight"].detach().double()
        torch.testing.assert_close(actual, expected, rtol=0, atol=2e-6)
    assert torch.equal(before["classifier.5.weight"], dict(network.named_parameters())["classifier.5.weight"])
    assert measured["localdrop.threshold/stem.2"] == pytest.approx(lam * norms["branch.0"])
    assert measured["localdrop.threshold/joined"] == pytest.approx(lam * norms["classifier.2"])
    assert measured["localdrop.threshold/stem.0"] == pytest.approx(lam)


def test_shrinkage_waits_for_its_epoch_and_never_touches_1x1_kernels() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    assert [tail.name for tail in charged_tails(network, {}, 0.5, 1, "l2")] == ["1"]
    assert charged_tails(network, {}, 0.5, 3, "l2") == []  # h at the rank of every kernel: nothing to do
    hooks = LocalDropNoDropout(lam=1.0, m=3, h_conv=0).attach(network, CONTEXT)
    before = network[1].weight.clone()
    for epoch in (1, 2, 4):
        assert hooks.after_epoch(epoch, network) == {}
    assert torch.equal(network[1].weight, before)
    assert hooks.after_epoch(3, network)
    assert not torch.equal(network[1].weight, before)


def test_a_layer_that_reads_two_sites_is_shrunk_once() -> None:
    network = nn.Sequential(nn.Linear(4, 5), Site("dense"), nn.ReLU(), Site("dense"), nn.Linear(5, 5), nn.Linear(5, 2))
    chain_next_layers(network)
    measure_sites(network, torch.zeros(1, 4))
    sites = [network[1], network[3]]
    keeps = {site: keep_at((5,)) for site in sites}
    assert [tail.layer for tail in charged_tails(network, keeps, 0.5, 0, "l2")] == [network[0], network[4]]


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("c_norm", ["l2", "rms"])
def test_the_gradient_of_the_penalty_matches_finite_differences(kind: str, c_norm: str) -> None:
    torch.manual_seed(0)
    shape, layer = ((5,), nn.Linear(5, 4)) if kind == "dense" else ((2, 6, 7), nn.Conv2d(2, 3, 3))
    keep = keep_at(shape, kind)
    keep.variable.copy_(torch.rand(keep.variable.shape) * 0.4 + 0.05)
    tail = SpectralTail("here", layer.double(), 1, norm_of_rates(keep, layer, c_norm))
    point = keep.variable.clone()
    keep.variable.requires_grad_()
    (gradient,) = torch.autograd.grad(tail.penalty(), keep.variable)
    keep.variable.requires_grad_(False)
    for index in np.ndindex(tuple(point.shape)):
        values = []
        for shift in (1e-5, -1e-5):
            keep.variable.copy_(point)
            keep.variable[index] += shift
            values.append(float(tail.penalty()))
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_the_penalty_does_not_change_when_rows_and_columns_are_rotated() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    left, right = (torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0] for n in (6, 4))
    penalties = []
    for matrix in (weight, left @ weight @ right):
        layer = nn.Linear(4, 6).double()
        layer.weight.data.copy_(matrix)
        penalties.append(float(SpectralTail("here", layer, 2).penalty()))
    assert penalties[0] == pytest.approx(float(torch.linalg.svdvals(weight)[2:].sum()), rel=1e-12)
    assert penalties[1] == pytest.approx(penalties[0], rel=1e-12)


class OneGate(nn.Module):
    """A loss that depends on the first of two keeps alone."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps = nn.ModuleList([keep_at((3,)), keep_at((3,))])

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.keeps[0](x).sum())


@pytest.mark.parametrize("lam", [0.0, 0.2])
def test_a_step_on_the_rates_goes_down_the_mean_field_loss_and_the_penalty(lam: float) -> None:
    network = OneGate()
    keeps = cast("list[Keep]", list(network.keeps))
    x = torch.tensor([[0.3, -0.1, 0.0]], dtype=torch.float64)
    steps = KeepRateSteps(
        label="test",
        keeps=keeps,
        interval_steps=2,
        penalty_of_rates=lambda _: lam * keeps[0].rates().norm() if lam else None,
    )
    step = Step(
        network=network,
        loss=lambda batch: network(batch.inputs),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0.0,
        batch=Batch(x, x),
        learning_rate=0.5,
    )
    steps.after_step(step)
    assert torch.equal(keeps[0].variable, torch.full((3,), 0.5, dtype=torch.float64))  # not its turn
    steps.after_step(Step(**{**vars(step), "index": 1}))
    by_hand = 0.5 - 0.5 * (x[0] + lam * 0.5 / (0.5 * 3**0.5))
    torch.testing.assert_close(keeps[0].variable, by_hand, rtol=1e-12, atol=0)
    assert torch.equal(keeps[1].variable, torch.full((3,), 0.5, dtype=torch.float64))  # not reached
    assert not keeps[0].variable.requires_grad
    assert network.training


def test_without_masks_and_with_the_rms_norm_localdrop_is_localdrop_without_dropout() -> None:
    common: Mapping[str, float] = {"lam": 0.02, "m": 1, "h_dense_fraction": 0.5, "h_conv": 1}
    for task in (IMAGE_TASK, MLP_TASK):
        masked = weights_after(task, LocalDrop(c_norm="rms", **STILL, **common))
        unmasked = weights_after(task, LocalDropNoDropout(**common))
        assert torch.equal(masked, unmasked)


def test_without_dense_layers_localdrop_without_dropout_is_localdrop_without_dropblock() -> None:
    whole = weights_after(IMAGE_TASK, LocalDropNoDropout(lam=0.02, m=1, h_dense_fraction=1.0, h_conv=1))
    assert torch.equal(whole, weights_after(IMAGE_TASK, LocalDropNoDropblock(lam=0.02, m=1, h_conv=1)))


def test_localdrop_on_dense_layers_leaves_kernels_and_maps_alone() -> None:
    training = prepared(IMAGE_TASK, LocalDropFcOnly(lam=1.0, m=1, h_dense_fraction=0.0))
    hooks = cast(Alternation, training.hooks.parts[0])
    assert [keep.name for keep in hooks.steps.keeps] == ["classifier.4"]
    tails = [(tail.name, tail.num_kept, tail.is_shrunk) for tail in hooks.shrinkage.tails]
    assert tails == [("classifier.2", 0, True), ("classifier.4", 0, False)]  # the output is charged to its site's rates


def test_the_output_is_charged_to_the_rates_that_it_reads_and_never_shrunk() -> None:
    keep = keep_at((5,))
    network = nn.Sequential(nn.Linear(4, 5), site := Site("dense", next_layer=(output := nn.Linear(5, 3))), output)
    tails = charged_tails(network, {site: keep}, 0.0, 0, "l2")
    before = output.weight.detach().clone()
    values = [torch.linalg.svdvals(layer.weight.detach()).sum() for layer in (network[0], output)]
    shrinkage = Shrinkage(lam=0.5, every_epochs=1, tails=tails)
    expected = 0.5 / 8 * (float(values[0]) + float(keep.rates().norm() * values[1]))
    assert float(cast(Tensor, shrinkage.penalty_of_rates(8))) == pytest.approx(expected, rel=1e-6)
    measured = shrinkage.after_epoch(1, network)
    assert torch.equal(output.weight, before)
    assert [name for name in measured if "threshold" in name] == ["localdrop.threshold/0"]
    assert [tail.layer for tail in charged_tails(network, {}, 0.0, 0, "l2")] == [network[0]]  # without masks, no output


def test_a_weight_that_layers_share_is_shrunk_once() -> None:
    network = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    network[1].weight = network[0].weight
    before = network[0].weight.detach().clone()
    LocalDropNoDropout(lam=0.01, m=1, h_dense_fraction=0.0).attach(network, CONTEXT).after_epoch(1, network)
    expected = shrunk_by_loops(before, 0, 0.01).float()
    torch.testing.assert_close(network[0].weight.detach(), expected, rtol=0, atol=1e-6)


def test_a_network_without_large_kernels_is_no_place_for_localdrop_without_dropblock() -> None:
    assert "kernels larger than 1x1" in str(MLP_TASK.skip_reason(LocalDropNoDropblock()))


def test_on_dense_networks_the_features_of_the_input_have_keep_rates_too() -> None:
    hooks = cast(Alternation, prepared(MLP_TASK, LocalDrop()).hooks.parts[0])
    rates = {keep.name: keep.variable for keep in hooks.steps.keeps}
    assert torch.equal(rates["input"], torch.full((1, 8, 8), 0.9))
    assert [tail.name for tail in hooks.shrinkage.tails] == ["input", "layers.3"]


def test_every_unit_is_kept_at_its_own_rate() -> None:
    num_draws, rates = 200_000, torch.tensor([0.0, 0.001, 0.3, 0.5, 0.77, 0.999, 1.0])
    masks = MaskStream(0, "mask", "cpu").bernoulli_each(num_draws, rates).double()
    assert ((masks.mean(0) - rates).abs() <= binomial_bound(rates, num_draws)).all()
    assert (masks[:, rates == 1] == 1).all()
    assert (masks[:, rates == 0] == 0).all()
    both = (masks[:, 2] * masks[:, 3]).mean()
    assert abs(both - 0.15) < binomial_bound(0.15, num_draws)


def test_masks_are_not_rescaled_and_eval_multiplies_by_the_rates() -> None:
    x = torch.ones(1000, 2, 6, 7, dtype=torch.float64)
    keep = keep_at((2, 6, 7), "conv")
    assert torch.equal(keep(x), x)  # rate 0, where it begins
    keep.variable.fill_(0.3)
    assert set(keep(x).unique().tolist()) == {0.0, 1.0}
    keep.eval()
    torch.testing.assert_close(keep(x)[0, 0], keep.rates())
