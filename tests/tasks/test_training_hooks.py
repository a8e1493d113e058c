"""What tasks may ask of a training: Adam, frozen weights, steps of their own, readings by step and at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, TINY_TASKS, prepared, tiny, trained, trained_in_two_parts, weights_of
from torch import Tensor, nn

from tasks.datasets.batches import Split
from tasks.datasets.cifar import CIFAR10
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.datasets.pseudo_epochs import PseudoEpochs
from tasks.input_space import InputSpace
from tasks.metrics import cross_entropy
from tasks.optimizer import optimizer_by
from tasks.protocols import Protocol
from tasks.regularizers.base import Batch, Hooks, OptimizerSettings, Regularizer, Step
from tasks.regularizers.chain import Chain
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.l1 import L1
from tasks.regularizers.max_norm import MaxNorm
from tasks.regularizers.weight_decay import WeightDecay
from tasks.runtime.streams import Streams
from tasks.sites import sites_of, watch_mask
from tasks.training import Training

PROTOCOL = Protocol(source="test", epochs=2, batch_size=4, learning_rate=0.1, momentum=0.0, nesterov=False)


def small_training(
    *regularizers: Regularizer, protocol: Protocol = PROTOCOL, network: nn.Module | None = None, **options: object
) -> Training:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 3, generator=generator)
    split = Split(inputs=inputs, targets=torch.eye(2)[(inputs[:, 0] > 0).long()])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = network or nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

    def evaluate(trained: nn.Module) -> Mapping[str, Mapping[str, float]]:
        return {"validation": {"loss": float(cross_entropy(trained(split.inputs), split.targets))}}

    return Training(
        network,
        [(type(each).__name__, each) for each in regularizers],
        split.batches(protocol.batch_size, seed=0),
        cross_entropy,
        evaluate,
        selection=("loss", False),
        protocol=protocol,
        learning_rate=protocol.learning_rate,
        seed=0,
        **options,
    )


def test_adam_steps_by_its_formula() -> None:
    layer = nn.Linear(2, 1, bias=False).double()
    start = layer.weight.detach().clone()
    optimizer = optimizer_by(OptimizerSettings(learning_rate=0.1, optimizer="adam", weight_decay=0.5), layer)
    first, second, weight = torch.zeros(1, 2), torch.zeros(1, 2), start
    for number in (1, 2, 3):
        gradient = torch.tensor([[0.3, -2.0]], dtype=torch.float64) * number
        layer.weight.grad = gradient.clone()
        optimizer.step()
        slope = gradient + 0.5 * weight  # Kingma and Ba 2015, algorithm 1, with coupled weight decay
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weight = weight - 0.1 * (first / (1 - 0.9**number)) / ((second / (1 - 0.999**number)).sqrt() + 1e-8)
    torch.testing.assert_close(layer.weight.detach(), weight, rtol=1e-10, atol=0)


def test_an_optimizer_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of sgd, adam, adamw, got 'lion'"):
        small_training(protocol=replace(PROTOCOL, optimizer="lion"))


def test_a_training_with_adam_goes_on_bit_for_bit() -> None:
    task = tiny("digits-mlp", optimizer="adam")
    whole, expected = trained(task, Dropout())
    broken, outcome = trained_in_two_parts(task, Dropout())
    assert torch.equal(weights_of(whole.network), weights_of(broken.network))
    assert outcome.curves == expected.curves
    assert not torch.equal(weights_of(whole.network), weights_of(trained(tiny("digits-mlp"), Dropout())[0].network))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_frozen_weights_stay_and_are_not_counted(name: str) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    network[2].requires_grad_(False)
    before = network[2].weight.detach().clone()
    protocol = replace(PROTOCOL, optimizer=name)
    training = small_training(MaxNorm(limit=1e-3), WeightDecay(rate=0.5), network=network, protocol=protocol)
    training.run()
    assert training.num_parameters == 3 * 4 + 4
    assert torch.equal(network[2].weight, before)
    assert network[0].weight.norm(dim=1).max() <= 1e-3 * (1 + 1e-6)
    step = Step(network=network, loss=lambda batch: batch.inputs.sum(), rng=None, index=0, epoch=1, progress=0.0)
    penalty = L1(rate=1.0).penalty(step)
    torch.testing.assert_close(penalty, network[0].weight.abs().sum())


def test_what_is_measured_at_the_end_joins_the_last_values_and_may_take_gradients() -> None:
    def slopes(network: nn.Module) -> Mapping[str, Mapping[str, float]]:
        assert not network.training
        assert not torch.is_grad_enabled()
        point = torch.ones(1, 3, requires_grad=True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(network(point).sum(), point)
        return {"validation": {"slope": float(gradient.norm())}, "train": {"share": 0.5}}

    outcome = small_training(evaluate_at_end=slopes).run()
    assert set(outcome.final["validation"]) == {"loss", "slope"}
    assert outcome.final["train"] == {"share": 0.5}
    assert set(outcome.best["validation"]) == {"loss"}


def own_gradient_descent(training: Training) -> list[int]:
    """Let a training make its steps by hand; returns the list of the batches' sizes, which grows."""
    sizes: list[int] = []

    def step(batch: Batch, step: Step) -> Tensor:
        loss = step.loss(batch)
        weights = list(training.network.parameters())
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight -= step.learning_rate * gradient
        sizes.append(len(batch.inputs))
        return loss.detach()

    training._own_step = training._own_step and step
    return sizes


def test_a_step_of_the_tasks_own_keeps_hooks_curves_and_schedules() -> None:
    usual, own = (
        small_training(Dropout()),
        small_training(Dropout(), own_step=lambda network: lambda batch, step: torch.zeros(())),
    )
    sizes = own_gradient_descent(own)
    expected, outcome = usual.run(), own.run()
    assert sizes == [4] * 6
    torch.testing.assert_close(weights_of(own.network), weights_of(usual.network))
    assert [point.metric for point in outcome.curves] == [point.metric for point in expected.curves]


@pytest.mark.parametrize("regularizer", [L1(rate=0.1), WeightDecay(rate=0.1)], ids=["a penalty", "the optimizer"])
def test_a_contestant_that_changes_gradients_gets_the_usual_step(regularizer: Regularizer) -> None:
    own = small_training(regularizer, own_step=lambda network: lambda batch, step: torch.zeros(()))
    sizes = own_gradient_descent(own)
    usual = small_training(regularizer)
    own.run(), usual.run()
    assert sizes == []
    assert torch.equal(weights_of(own.network), weights_of(usual.network))


def test_readings_by_step_change_no_step() -> None:
    by_pass = small_training(protocol=replace(PROTOCOL, epochs=4))
    by_step = small_training(protocol=replace(PROTOCOL, epochs=6, steps_per_epoch=2, evaluate_at_epochs=(1, 3)))
    by_pass.run()
    outcome = by_step.run()
    assert torch.equal(weights_of(by_pass.network), weights_of(by_step.network))
    assert [point.epoch for point in outcome.curves if point.split == "validation"] == [0, 1, 3, 6]


def test_pseudo_epochs_go_on_in_the_middle_of_a_pass() -> None:
    task = tiny("digits-mlp", steps_per_epoch=3, epochs=4)  # 4 steps are a pass
    whole, _ = trained(task, Dropout())
    for epochs in (1, 2, 3):
        broken, _ = trained_in_two_parts(task, Dropout(), first_epochs=epochs)
        assert torch.equal(weights_of(whole.network), weights_of(broken.network))
    with pytest.raises(ValueError, match=r"steps_per_epoch must be >= 1 .* got 0"):
        PseudoEpochs(whole.batches, 0)


def test_the_current_mask_is_that_of_the_first_sample_of_the_last_step() -> None:
    training = prepared(TINY_TASKS["digits-mlp"], Dropout(drop_rate=0.5))
    site = sites_of(training.network, ("dense",))[-1]
    current, seen = watch_mask(site), []
    site.register_forward_hook(lambda module, inputs, output: seen.append(output[0] / inputs[0][0]))
    assert current() is None
    training.run_epoch(1)
    mask, ratio = current(), seen[-1]
    assert mask is not None
    known = ~ratio.isnan()  # units that are 0 do not tell
    assert known.sum() > 0
    assert torch.equal(mask[known], ratio[known] > 0)


def test_passes_aside_leave_the_streams_of_masks_where_they_were() -> None:
    def draws(with_passes_aside: bool) -> tuple[list[Tensor], list[Tensor]]:
        streams, aside = Streams(), []
        masks = streams.masks(0, "dropout/site", torch.device("cpu"))
        drawn = []
        for _ in range(3):
            if with_passes_aside:
                with streams.aside():
                    aside.append(masks.bernoulli((64,), 0.5))
            drawn.append(torch.cat([masks.bernoulli((64,), 0.5), masks.uniform((4,))]))
        return drawn, aside

    (plain, _), (drawn, aside) = draws(False), draws(True)
    assert all(map(torch.equal, plain, drawn))
    assert len({tuple(mask.tolist()) for mask in aside}) == 3
    assert not any(torch.equal(mask, each[:64]) for mask in aside for each in drawn)


def test_the_units_of_inputs_are_those_of_the_preprocessing() -> None:
    normalisation = ChannelNormalisation(mean=(0.5, 0.25), std=(0.5, 0.1))
    images = torch.tensor([[[[0, 255]], [[51, 102]]]], dtype=torch.uint8)
    space = normalisation.input_space
    torch.testing.assert_close(space.seen(images / 255), normalisation(images))
    torch.testing.assert_close(space.natural(normalisation(images)), images / 255)
    assert space.box == (0.0, 1.0)


@pytest.mark.parametrize("preprocessing", ["standard", "gcn_zca"])
def test_whitened_inputs_have_no_units(preprocessing: str) -> None:
    space = CIFAR10.input_space(preprocessing)
    assert (space is None) == (preprocessing == "gcn_zca")


def test_the_training_tells_its_contestants_the_units() -> None:
    class Curious(Regularizer):
        found: ClassVar[list[InputSpace | None]] = []

        def attach(self, network: nn.Module, context):
            self.found.append(context.input_space)
            return self

    small_training(Curious())
    prepared(TINY_TASKS["digits-mlp"], Curious())
    assert Curious.found == [InputSpace(), TINY_TASKS["digits-mlp"].input_space]


@pytest.mark.parametrize("how", ["in place", "anew"])
def test_the_loss_is_that_of_the_targets_as_a_hook_leaves_them(how: str) -> None:
    """Although labels, which are read from the targets before, have a faster loss."""

    class Flat(Hooks):
        def transform_batch(self, batch: Batch, step: Step) -> Batch:
            flat = torch.full_like(batch.targets, 1 / batch.targets.shape[1])
            return batch._replace(targets=batch.targets.copy_(flat) if how == "in place" else flat)

    training = prepared(IMAGE_TASK)
    training.hooks = Chain([Flat()], [np.random.default_rng(0)])
    (batch, *_) = training.batches.epoch()
    training.network.train()
    with torch.no_grad():
        scores = training.network(training.batches.normalised(batch.inputs))
        expected = -scores.log_softmax(1).mean()  # every class has the same probability
    assert float(training.step(batch, epoch=1)) == pytest.approx(float(expected), rel=1e-5)


def test_the_loss_of_labels_is_that_of_the_targets() -> None:
    training = prepared(IMAGE_TASK)
    (batch, *_) = training.batches.epoch()
    assert training.batches.have_labels
    outputs = torch.randn(batch.targets.shape, generator=torch.Generator().manual_seed(0))
    by_labels = training._loss_of_labels(outputs, batch.targets.argmax(1))
    torch.testing.assert_close(by_labels, training._loss(outputs, batch.targets))
