"""LocalDrop as a whole: rates that stay rates, a mean field whose gradient is right, and masks that agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_tasks import binomial_bound, prepared, tiny
from torch import Tensor, nn

from tasks.architectures.convnet_small import ConvNetSmall
from tasks.experiments import TASKS
from tasks.metrics import cross_entropy
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch, Context, Hooks, Regularizer, Step
from tasks.regularizers.localdrop import LocalDrop
from tasks.regularizers.localdrop_fc_only import LocalDropFcOnly
from tasks.regularizers.localdrop_no_dropblock import LocalDropNoDropblock
from tasks.regularizers.parts.localdrop_sites import BlockKeep, Keep, UnitKeep
from tasks.regularizers.parts.spectral_tails import num_kept_of, weight_layers
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, measure_sites

CPU = torch.device("cpu")
NUM_DRAWS = 20_000
NUM_SAMPLES = 600  # of the training, of which a batch has a few


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def keeps_of(network: nn.Module) -> list[Keep]:
    return [module for module in network.modules() if isinstance(module, Keep)]


@pytest.mark.parametrize("lam", [0.0, 30.0])
@pytest.mark.parametrize("form", ["exact", "union"])
def test_keep_rates_stay_between_0_and_1_however_hard_they_are_pushed(lam: float, form: str) -> None:
    task = tiny("digits-convnet", epochs=4, learning_rate=0.1, momentum=0.0)
    training = prepared(task, LocalDrop(lam=lam, m=1, keep_interval_steps=1, form=form, h_conv=0))
    start, seen = [keep.rates().clone() for keep in keeps_of(training.network)], []
    for epoch in range(1, 5):
        training.run_epoch(epoch)
        seen += [keep.rates().clone() for keep in keeps_of(training.network)]
        training.hooks.after_epoch(epoch, training.network)
    assert all(0 <= float(rates.min()) <= float(rates.max()) <= 1 for rates in seen)
    assert not all(torch.equal(*pair) for pair in zip(start, seen[-3:], strict=True))


@pytest.mark.parametrize("shape", [(6,), (2, 5, 6)], ids=["units", "maps"])
@pytest.mark.parametrize("gradient", [-100.0, 100.0])
def test_a_step_far_beyond_the_bounds_ends_at_them(shape: tuple[int, ...], gradient: float) -> None:
    keep = keep_at(shape)
    keep.descend(torch.full_like(keep.variable, gradient), 1.0)
    lowest, highest = (0.001, 1.0) if len(shape) == 1 else (0.0, 0.5)
    assert torch.equal(keep.variable, torch.full_like(keep.variable, lowest if gradient > 0 else highest))
    assert 0 <= float(keep.rates().min()) <= float(keep.rates().max()) <= 1


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("lam", [0.0, 0.3])
@pytest.mark.parametrize("c_norm", ["l2", "rms"])
def test_a_step_on_the_rates_goes_down_the_gradient_of_the_mean_field_objective(lam: float, c_norm: str) -> None:
    network, hooks, batch = small_network(
        LocalDrop(lam=lam, c_norm=c_norm, keep_interval_steps=1, h_dense_fraction=0.5)
    )
    keeps = keeps_of(network)
    for keep in keeps[:2]:
        keep.variable.fill_(0.2)  # away from the bound at 0, where a difference has one side only
    start = [keep.variable.clone() for keep in keeps]
    gradients = [torch.zeros_like(rates) for rates in start]
    for keep, rates, gradient in zip(keeps, start, gradients, strict=True):
        for index in np.ndindex(tuple(rates.shape)):
            values = []
            for shift in (1e-6, -1e-6):
                keep.variable[index] += shift
                values.append(mean_field_objective(network, batch, lam, c_norm))
                keep.variable.copy_(rates)
            gradient[index] = (values[0] - values[1]) / 2e-6
    hooks.after_step(step_on(network, batch, learning_rate=0.01))
    for keep, rates, gradient in zip(keeps, start, gradients, strict=True):
        assert float(gradient.abs().max()) > 0
        torch.testing.assert_close(keep.variable, keep.project(rates - 0.01 * gradient), rtol=0, atol=1e-10)


@pytest.mark.usefixtures("double")
def test_the_penalty_weighs_as_much_as_beside_a_loss_summed_over_all_training_samples() -> None:
    """Eq. 11 charges the sum over n samples with lam Reg; the step goes down its n-th part."""
    for regularizer in (LocalDrop, LocalDropFcOnly):
        moves = []
        for lam in (0.0, 0.3):
            settings = regularizer(lam=lam, keep_interval_steps=1, h_dense_fraction=0.5)
            network, hooks, batch = small_network(settings, block_size=2 if regularizer is LocalDrop else None)
            units = keeps_of(network)[-1]
            start = units.variable.clone()
            hooks.after_step(step_on(network, batch, learning_rate=0.01))
            moves.append(units.variable - start)
        tail = torch.linalg.svdvals(weight_layers(network)["classifier.5"].weight.detach())[2:].sum()
        slope = 0.3 * tail * start / start.norm()  # of lam Reg, by the rates that the output layer reads
        torch.testing.assert_close(moves[1] - moves[0], -0.01 * slope / NUM_SAMPLES, rtol=1e-6, atol=0)


@pytest.mark.usefixtures("double")
def test_a_step_on_the_rates_leaves_weights_gradients_and_the_mode_alone() -> None:
    network, hooks, batch = small_network(LocalDrop(keep_interval_steps=1))
    step = step_on(network, batch, learning_rate=0.1)
    step.loss(batch).backward()
    before = [(p.detach().clone(), p.grad.clone()) for p in network.parameters() if p.grad is not None]
    hooks.after_step(step)
    after = [(p.detach(), p.grad) for p in network.parameters() if p.grad is not None]
    assert all(
        torch.equal(old, new) for pairs in zip(before, after, strict=True) for old, new in zip(*pairs, strict=True)
    )
    assert network.training
    assert not any(keep.variable.requires_grad for keep in keeps_of(network))


def test_the_rates_are_no_parameters_but_are_saved_with_the_weights() -> None:
    network = prepared(tiny("digits-convnet"), LocalDrop()).network
    assert not any("variable" in name for name, _ in network.named_parameters())
    assert sum("variable" in name for name in network.state_dict()) == 3


@pytest.mark.parametrize("shape", [(6,), (2, 5, 6)], ids=["units", "maps"])
def test_the_mean_of_its_masked_output_is_its_output_in_eval_mode(shape: tuple[int, ...]) -> None:
    keep = keep_at(shape)
    x = torch.linspace(-1, 2, int(np.prod(shape)), dtype=torch.float64).view(shape)
    masked, expected = keep.train()(x.expand(NUM_DRAWS, *shape)), keep.eval()(x[None])[0]
    rates = keep.rates().expand(shape)
    standard_error = x.abs() * (rates * (1 - rates) / NUM_DRAWS).sqrt()
    assert ((masked.mean(0) - expected).abs() <= 5 * standard_error + 1e-12).all()
    torch.testing.assert_close(expected, x * rates)


@pytest.mark.parametrize("shape", [(6,), (2, 5, 6)], ids=["units", "maps"])
def test_units_are_kept_at_their_rates_and_not_rescaled(shape: tuple[int, ...]) -> None:
    keep = keep_at(shape).train()
    masks = keep(torch.ones(NUM_DRAWS, *shape))
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    rates = keep.rates().expand(shape)
    assert ((masks.double().mean(0) - rates).abs() <= binomial_bound(rates, NUM_DRAWS)).all()


def test_at_rate_1_nothing_is_ever_dropped() -> None:
    keep = keep_at((6,)).train()
    keep.variable.fill_(1.0)
    x = torch.randn(500, 6)
    assert torch.equal(keep(x), x)


@pytest.mark.parametrize("h", [1, 2])
def test_surgery_shrinks_what_lies_behind_the_first_h_values_of_every_kernel(h: int) -> None:
    training = prepared(tiny("digits-convnet", full_epochs=None), LocalDrop(lam=0.02, m=2, h_conv=h))
    kernels = next(layer for name, layer in weight_layers(training.network).items() if name == "branch.0").weight
    before = torch.linalg.svdvals(kernels.detach())
    training.hooks.after_epoch(1, training.network)
    assert torch.equal(torch.linalg.svdvals(kernels.detach()), before)  # not its epoch
    measured = training.hooks.after_epoch(2, training.network)
    after, threshold = torch.linalg.svdvals(kernels.detach()), measured["localdrop.threshold/stem.2"]
    torch.testing.assert_close(after[..., :h], before[..., :h], rtol=0, atol=1e-6)
    torch.testing.assert_close(after[..., h:], (before[..., h:] - threshold).clamp(min=0), rtol=0, atol=1e-6)
    assert measured["localdrop.next_singular_value/stem.2"] == pytest.approx(float(before[..., h].max()), rel=1e-5)
    assert measured["localdrop.num_zeroed/stem.2"] == int((before[..., h:] <= threshold).sum())


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_as_many_values_are_shrunk_in_kernels_of_every_size(size: int) -> None:
    layer = nn.Conv2d(1, 1, size)
    assert [size - num_kept_of(layer, 1.0, h) for h in (1, 2, 3, 9)] == [2, 1, 0, 0]
    assert num_kept_of(nn.Conv2d(1, 1, 1), 1.0, 0) == 1


@pytest.mark.parametrize("regularizer", [LocalDrop, LocalDropFcOnly], ids=lambda cls: cls.__name__)
def test_with_the_scaling_start_it_begins_as_the_unregularized_network(regularizer: type[Regularizer]) -> None:
    task = tiny("digits-mlp")
    plain, scaled = prepared(task), prepared(task, regularizer(unit_drop_rate=0.4, scaling="start"))  # type: ignore[call-arg]  # these contestants and tasks have it
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(scaled.network.eval()(x), plain.network.eval()(x))
    printed = prepared(task, regularizer(unit_drop_rate=0.4)).network.eval()  # type: ignore[call-arg]  # these contestants and tasks have it
    assert not torch.allclose(printed(x), plain.network(x))
    for keep in keeps_of(scaled.network):
        start = float(keep.rates().mean())
        keep.variable.mul_(0.5)
        values = keep.train()(torch.ones(NUM_DRAWS // 64, *keep.rates().shape))
        assert values.max() == pytest.approx(1 / start)
        assert float(values.double().mean()) == pytest.approx(0.5, abs=float(binomial_bound(0.5, 10_000)))
        torch.testing.assert_close(keep.eval()(torch.ones_like(keep.rates())), torch.full_like(keep.rates(), 0.5))


@pytest.mark.parametrize(("full_epochs", "m", "expected"), [(30, 10, 1), (30, 20, 2), (60, 10, 1), (None, 2, 2)])
def test_a_shorter_training_has_periods_in_proportion(full_epochs: int | None, m: int, expected: int) -> None:
    training = prepared(tiny("digits-convnet", full_epochs=full_epochs), LocalDropNoDropblock(lam=0.1, m=m))
    assert training.hooks.period_epochs() == expected
    shrunk = [epoch for epoch in (1, 2, 3) if training.hooks.after_epoch(epoch, training.network)]
    assert shrunk == [epoch for epoch in (1, 2, 3) if epoch % expected == 0]


def test_the_protocol_remembers_its_full_length_at_every_scale() -> None:
    protocol = TASKS["mnist-lenet"].protocol  # type: ignore[attr-defined]  # these contestants and tasks have it
    assert [protocol.at(scale).full_epochs for scale in ("short", "smoke")] == [protocol.epochs] * 2
    assert protocol.at("short").at("paper").full_epochs == protocol.epochs


@pytest.mark.parametrize("name", ["localdrop", "localdrop_fc_only", "localdrop_no_dropout", "localdrop_no_dropblock"])
def test_where_the_training_is_shorter_than_its_period_the_cell_is_skipped(name: str) -> None:
    reason = tiny("digits-convnet", epochs=9, full_epochs=None).skip_reason(REGULARIZERS[name]())
    assert reason == f"{REGULARIZERS[name].__name__} acts after every 10 epochs; the training has 9."
    assert TASKS["mnist-lenet"].skip_reason(REGULARIZERS[name]()) is None


def test_every_epoch_tells_the_drop_rates_learned() -> None:
    training = prepared(tiny("digits-convnet", full_epochs=None), LocalDrop(unit_drop_rate=0.25))
    measured = training.hooks.after_epoch(1, training.network)
    assert measured == pytest.approx(
        {"localdrop.drop_rate/stem.2": 0, "localdrop.drop_rate/joined": 0, "localdrop.drop_rate/classifier.4": 0.25}
    )


def keep_at(shape: tuple[int, ...]) -> Keep:
    site = Site("conv" if len(shape) == 3 else "dense")
    site.shape, site.name = shape, "here"
    stream = MaskStream(0, "localdrop", "cpu")
    keep: Keep
    if len(shape) == 3:
        keep = BlockKeep(site, 3, "exact", stream, CPU)
        keep.variable.fill_(0.3)
    else:
        keep = UnitKeep(site, 0.5, stream, CPU)
        keep.variable.copy_(torch.linspace(0.05, 0.95, shape[0]))
    return keep


def small_network(regularizer: Regularizer, block_size: int | None = 2) -> tuple[nn.Module, Hooks, Batch]:
    torch.manual_seed(0)
    network = ConvNetSmall(num_classes=3, in_channels=1, image_size=4, channels=2, width=5)
    measure_sites(network, torch.zeros(1, 1, 4, 4))
    context = Context(
        seed=0,
        device=CPU,
        name="localdrop",
        num_train_samples=NUM_SAMPLES,
        num_epochs=1,
        num_steps=1,
        learning_rate=0.1,
    )
    sized = regularizer if block_size is None else replace(regularizer, block_size=block_size)
    hooks = sized.attach(network, context)
    targets = torch.eye(3)[torch.arange(6) % 3]
    return network.train(), hooks, Batch(torch.randn(6, 1, 4, 4), targets)


def step_on(network: nn.Module, batch: Batch, learning_rate: float) -> Step:
    return Step(
        network=network,
        loss=lambda batch: cross_entropy(network(batch.inputs), batch.targets),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0.0,
        batch=batch,
        learning_rate=learning_rate,
    )


@torch.no_grad()
def mean_field_objective(network: nn.Module, batch: Batch, lam: float, c_norm: str) -> float:
    """Mean loss with the rates as multipliers, plus lam / n sum_l ||theta|| sum_{j > h} sigma_j, written out."""
    network.eval()
    loss = float(cross_entropy(network(batch.inputs), batch.targets))
    network.train()
    layers, total = weight_layers(network), 0.0
    norms: dict[str, tuple[Tensor, int]] = {
        "branch.0": (network.get_submodule("stem.2.fillings.0").rates(), 16),
        "classifier.2": (network.get_submodule("joined.fillings.0").rates(), 8),
        "classifier.5": (network.get_submodule("classifier.4.fillings.0").rates(), 5),
    }
    for name, (rates, size) in norms.items():
        mean_square = float(rates.square().mean())
        norm = mean_square**0.5 * (1 if c_norm == "rms" else size**0.5)
        num_kept = num_kept_of(layers[name], 0.5, 2)
        total += norm * float(torch.linalg.svdvals(layers[name].weight)[..., num_kept:].sum())
    return loss + lam / NUM_SAMPLES * total
