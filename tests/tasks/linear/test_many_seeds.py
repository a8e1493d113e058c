"""Seeds trained together are the seeds trained alone."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from slow_params import slow_but

from tasks.errors import Diverged
from tasks.experiments import TASKS
from tasks.linear.many_seeds import Stack, train_together
from tasks.linear.networks import DeepLinear, LinearPair
from tasks.linear.shallow import ShallowLinear
from tasks.linear.task import EXCESS, LinearTask
from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropconnect import DropConnect
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.gaussian_dropout import GaussianDropout
from tasks.regularizers.l1 import L1
from tasks.regularizers.variational_dropout import VariationalDropout
from tasks.regularizers.weight_decay import WeightDecay
from tasks.runtime.switches import Switches
from tasks.task import Setting
from tasks.training import Training

SEEDS = (3, 1, 4)
CASES: list[tuple[str, Regularizer | None]] = [
    ("structured-fig1", DropBlockSample(drop_rate=0.5, block_size=5)),
    ("structured-fig1", DropBlock(drop_rate=0.3, block_size=5, scaling="expected", schedule="constant")),
    ("thesis-fig2-3-width-20", Dropout(drop_rate=0.3)),
    ("thesis-fig2-3-width-80", None),
    ("thesis-fig3-2", Dropout(drop_rate=0.3)),
    ("thesis-fig3-3", GaussianDropout(drop_rate=0.2)),
    ("shallow-linear-dropblock", DropBlockSample(drop_rate=0.5, block_size=5)),
    ("shallow-linear-dropblock", DropBlock(drop_rate=0.5, block_size=5, scaling="expected", schedule="constant")),
    ("shallow-linear-dropblock", None),
]


def prepared(name: str, regularizer: Regularizer | None, seed: int) -> Training:
    task = TASKS[name]
    assert isinstance(task, LinearTask | ShallowLinear)
    few = replace(task.protocol.at("smoke"), epochs=4, evaluate_every_epochs=2)
    named = [] if regularizer is None else [("contestant", regularizer)]
    setting = Setting(seed=seed, scale="paper", learning_rate=few.learning_rate)
    return replace(task, protocol=few).prepare(named, setting)


@pytest.mark.parametrize(
    ("name", "regularizer"), slow_but(CASES, CASES[:1]), ids=lambda case: getattr(type(case), "__name__", "")
)
def test_every_seed_has_the_values_that_it_has_alone(name: str, regularizer: Regularizer | None) -> None:
    together = train_together([prepared(name, regularizer, seed) for seed in SEEDS])
    for seed, outcome in zip(SEEDS, together, strict=True):
        alone = prepared(name, regularizer, seed).run()
        assert outcome.final["test"] == pytest.approx(alone.final["test"], rel=2e-4, abs=1e-6)
        assert outcome.best["test"] == pytest.approx(alone.best["test"], rel=2e-4, abs=1e-6)
        assert [(p.epoch, p.split, p.metric) for p in outcome.curves] == [
            (p.epoch, p.split, p.metric) for p in alone.curves
        ]
        assert [p.value for p in outcome.curves] == pytest.approx([p.value for p in alone.curves], rel=2e-4, abs=1e-6)
        assert [p.train_seconds for p in outcome.curves if p.epoch == 0] == [0.0] * sum(
            p.epoch == 0 for p in outcome.curves
        )
        assert outcome.curves[-1].train_seconds == outcome.train_seconds
        assert (outcome.epochs_run, outcome.num_steps) == (alone.epochs_run, alone.num_steps)


def test_other_seeds_in_the_stack_do_not_matter() -> None:
    regularizer = DropBlockSample(drop_rate=0.5, block_size=5)
    both = train_together([prepared("structured-fig1", regularizer, seed) for seed in (1, 2)])
    other = train_together([prepared("structured-fig1", regularizer, seed) for seed in (1, 7)])
    assert both[0].final == other[0].final
    assert both[1].final != other[1].final


def test_the_best_reading_is_the_one_with_the_smallest_value() -> None:
    (trained,) = train_together([prepared("thesis-fig2-3-width-20", Dropout(drop_rate=0.3), 0)])
    values = [p.value for p in trained.curves if (p.split, p.metric) == ("test", EXCESS) and p.epoch > 0]
    assert len(values) == 2
    assert trained.best["test"][EXCESS] == min(values)


def test_the_seconds_of_training_are_equal_shares() -> None:
    started = time.perf_counter()
    ends = train_together([prepared("thesis-fig2-3-width-20", Dropout(drop_rate=0.3), seed) for seed in SEEDS])
    whole = time.perf_counter() - started
    (share,) = {trained.train_seconds for trained in ends}
    assert 0 < len(SEEDS) * share + sum(trained.evaluation_seconds for trained in ends) < whole


def test_one_step_is_a_step_of_autograd_in_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    networks = [LinearPair(7, 5, 3, generator).double() for _ in range(2)]
    inputs, targets = (torch.randn(2, 4, size, generator=generator, dtype=torch.float64) for size in (7, 3))
    masks = 2.0 * torch.randint(0, 2, (2, 4, 5), generator=generator)
    stack = Stack(networks)
    losses = stack.step(inputs, targets, [masks], learning_rate=0.01)
    for place, network in enumerate(networks):
        hidden = network.first(inputs[place]) * masks[place]
        loss = (network.second(hidden) - targets[place]).square().sum(1).mean()
        loss.backward()
        assert losses[place] == pytest.approx(float(loss.detach()), rel=1e-12)
        for weight, stepped in zip((network.first.weight, network.second.weight), stack.weights, strict=True):
            assert weight.grad is not None
            assert torch.allclose(stepped[place], weight.detach() - 0.01 * weight.grad, rtol=1e-12, atol=1e-14)


def test_one_step_of_deep_chains_is_a_step_of_autograd_in_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    networks = [DeepLinear((6, 5, 4, 3), 1.0, generator).double() for _ in range(3)]
    inputs, targets = (torch.randn(3, 7, size, generator=generator, dtype=torch.float64) for size in (6, 3))
    masks = [2.0 * torch.randint(0, 2, (3, 7, size), generator=generator) for size in (5, 4)]
    stack = Stack(networks)
    losses = stack.step(inputs, targets, masks, learning_rate=0.01)
    for place, network in enumerate(networks):
        first, second, third = network.linear_layers()
        hidden = second(first(inputs[place]) * masks[0][place]) * masks[1][place]
        loss = (third(hidden) - targets[place]).square().sum(1).mean()
        loss.backward()
        assert losses[place] == pytest.approx(float(loss.detach()), rel=1e-12)
        for layer, stepped in zip((first, second, third), stack.weights, strict=True):
            assert layer.weight.grad is not None
            assert torch.allclose(stepped[place], layer.weight.detach() - 0.01 * layer.weight.grad, rtol=1e-12)


def test_a_seed_that_diverges_ends_the_joint_training() -> None:
    trainings = [prepared("thesis-fig2-3-width-20", Dropout(drop_rate=0.3), seed) for seed in SEEDS]
    with torch.no_grad():
        trainings[1].network.get_parameter("first.weight").mul_(1e6)  # far beyond what this learning rate can bear
    with pytest.raises(Diverged, match=r"of epoch 1 is (nan|inf)"):
        train_together(trainings)


REFUSED: list[tuple[str, Regularizer, str]] = [
    ("thesis-fig2-1", Dropout(drop_rate=0.3), "must be a chain of linear layers, got TiedAutoencoder"),
    ("structured-fig1", WeightDecay(rate=0.1), "weight decay must be 0"),
    ("structured-fig1", L1(rate=0.1), "L1 has the hook penalty"),
    ("structured-fig2", DropConnect(drop_rate=0.5), "does more than multiply hidden units"),
    ("structured-fig2", VariationalDropout(), "does more than multiply|adds parameters|has the hook"),
]


@pytest.mark.parametrize(
    ("name", "regularizer", "reason"), REFUSED, ids=lambda case: getattr(type(case), "__name__", "")
)
def test_what_a_stack_does_not_compute_is_refused(name: str, regularizer: Regularizer, reason: str) -> None:
    with pytest.raises(ValueError, match=f"({reason}).*: train the seeds one by one"):
        train_together([prepared(name, regularizer, 0)])
    assert TASKS[name].seeds_together([("contestant", regularizer)], Switches()) == 1


def test_what_a_stack_computes_is_trained_several_at_once() -> None:
    for name, regularizer in CASES:
        named = [] if regularizer is None else [("contestant", regularizer)]
        assert TASKS[name].seeds_together(named, Switches()) > 1
        assert TASKS[name].seeds_together(named, Switches(precision="bf16")) == 1
