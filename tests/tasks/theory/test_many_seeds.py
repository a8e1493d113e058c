"""Seeds trained together are the seeds trained alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tasks import TASKS
from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.l1 import L1
from tasks.regularizers.weight_decay import WeightDecay
from tasks.task import Setting
from tasks.theory.linear_task import LinearTask
from tasks.theory.many_seeds import Stack, train_together
from tasks.theory.shallow_linear import LinearPair
from tasks.training import Training

SEEDS = (3, 1, 4)
CASES: list[tuple[str, Regularizer | None]] = [
    ("structured-fig1", DropBlockSample(drop_rate=0.5, block_size=5)),
    ("structured-fig1", DropBlock(drop_rate=0.3, block_size=5, scaling="expected", schedule="constant")),
    ("thesis-fig2-3-width-20", Dropout(drop_rate=0.3)),
    ("thesis-fig2-3-width-80", None),
]


def prepared(name: str, regularizer: Regularizer | None, seed: int) -> Training:
    task = TASKS[name]
    assert isinstance(task, LinearTask)
    few = replace(task.protocol.at("smoke"), epochs=4, evaluate_every_epochs=2)
    named = [] if regularizer is None else [("contestant", regularizer)]
    setting = Setting(seed=seed, scale="paper", learning_rate=few.learning_rate)
    return replace(task, protocol=few).prepare(named, setting)


@pytest.mark.parametrize(("name", "regularizer"), CASES, ids=lambda case: getattr(type(case), "__name__", ""))
def test_every_seed_has_the_values_that_it_has_alone(name: str, regularizer: Regularizer | None) -> None:
    together = train_together([prepared(name, regularizer, seed) for seed in SEEDS])
    for seed, outcome in zip(SEEDS, together, strict=True):
        alone = prepared(name, regularizer, seed).run()
        assert outcome.final["test"] == pytest.approx(alone.final["test"], rel=2e-4, abs=1e-6)
        assert [(p.epoch, p.split, p.metric) for p in outcome.curves] == [
            (p.epoch, p.split, p.metric) for p in alone.curves
        ]
        assert [p.value for p in outcome.curves] == pytest.approx([p.value for p in alone.curves], rel=2e-4, abs=1e-6)
        assert (outcome.epochs_run, outcome.num_steps) == (alone.epochs_run, alone.num_steps)


def test_other_seeds_in_the_stack_do_not_matter() -> None:
    regularizer = DropBlockSample(drop_rate=0.5, block_size=5)
    both = train_together([prepared("structured-fig1", regularizer, seed) for seed in (1, 2)])
    other = train_together([prepared("structured-fig1", regularizer, seed) for seed in (1, 7)])
    assert both[0].final == other[0].final
    assert both[1].final != other[1].final


def test_one_step_is_a_step_of_autograd_in_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    networks = [LinearPair(7, 5, 3, generator).double() for _ in range(2)]
    inputs, targets = (torch.randn(2, 4, size, generator=generator, dtype=torch.float64) for size in (7, 3))
    masks = 2.0 * torch.randint(0, 2, (2, 4, 5), generator=generator)
    stack = Stack(networks)
    losses = stack.step(inputs, targets, masks, learning_rate=0.01)
    for place, network in enumerate(networks):
        hidden = network.first(inputs[place]) * masks[place]
        loss = (network.second(hidden) - targets[place]).square().sum(1).mean()
        loss.backward()
        assert losses[place] == pytest.approx(float(loss.detach()), rel=1e-12)
        for weight, stepped in ((network.first.weight, stack.first), (network.second.weight, stack.second)):
            assert weight.grad is not None
            assert torch.allclose(stepped[place], weight.detach() - 0.01 * weight.grad, rtol=1e-12, atol=1e-14)


def test_what_the_stack_does_not_compute_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a LinearPair, got DeepLinear"):
        train_together([prepared("thesis-fig3-3", None, 0)])
    with pytest.raises(ValueError, match="weight decay must be 0"):
        train_together([prepared("structured-fig1", WeightDecay(rate=0.1), 0)])
    with pytest.raises(ValueError, match="L1 has the hook penalty"):
        train_together([prepared("structured-fig1", L1(rate=0.1), 0)])
