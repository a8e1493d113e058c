"""Regularizers that act on layers, two at a time: neither order may lose what one of them does."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from tiny_tasks import TINY_TASKS, prepared, weights_of
from torch import Tensor

from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropconnect import DropConnect
from tasks.regularizers.k_support_norm import KSupportNorm
from tasks.regularizers.nuclear_norm import NuclearNorm
from tasks.regularizers.path_norm import PathNorm
from tasks.regularizers.sparse_variational_dropout import SparseVariationalDropout
from tasks.regularizers.variational_dropout import VariationalDropout
from tasks.task import Task

ON_LAYERS: dict[str, Regularizer] = {
    "dropconnect": DropConnect(drop_rate=0.3),
    "k_support_norm": KSupportNorm(drop_rate=0.3, block_size=2),
    "nuclear_norm": NuclearNorm(drop_rate=0.3),
    "path_norm": PathNorm(drop_rate=0.3),
    "sparse_variational_dropout": SparseVariationalDropout(initial_log_variance=-4.0, warmup_start=0.0, warmup_end=0.0),
    "variational_dropout": VariationalDropout(form="B"),
}
Contestant = tuple[str, Regularizer]


def home(*names: str) -> Task | None:
    """The first tiny task on which all of them make sense."""
    tasks = (task for task in TINY_TASKS.values() if not any(task.skip_reason(ON_LAYERS[name]) for name in names))
    return next(tasks, None)


def after_two_steps(task: Task, *contestants: Contestant) -> Tensor:
    training = prepared(task, *contestants, with_test=False)
    training.network.train()
    for index, batch in enumerate(training.batches.epoch()):
        if index < 2:
            assert torch.isfinite(training.step(batch, epoch=1))
    return weights_of(training.network)


PAIRS = [(one, other) for one, other in combinations(ON_LAYERS, 2) if home(one, other)]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=map("+".join, PAIRS))
def test_in_either_order_two_steps_end_at_the_same_weights_and_neither_is_lost(one: str, other: str) -> None:
    task = home(one, other)
    assert task is not None
    first, second = (one, ON_LAYERS[one]), (other, ON_LAYERS[other])
    together = after_two_steps(task, first, second)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, after_two_steps(task, second, first), rtol=1e-4, atol=1e-5)
    for alone in (first, second):
        assert not torch.allclose(together, after_two_steps(task, alone), rtol=1e-4, atol=1e-5)


def test_every_regularizer_here_meets_dropconnect() -> None:
    assert {name for pair in PAIRS if "dropconnect" in pair for name in pair} == set(ON_LAYERS)


@pytest.mark.parametrize("name", ["sparse_variational_dropout", "variational_dropout"])
def test_before_a_dropconnect_that_drops_nothing_its_noise_is_what_it_is_alone(name: str) -> None:
    task, contestant = TINY_TASKS["digits-mlp"], (name, ON_LAYERS[name])
    alone, together = (
        prepared(task, contestant, *others).network for others in ((), (("dropconnect", DropConnect(drop_rate=1e-12)),))
    )
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    noisy = alone.train()(x)
    torch.testing.assert_close(together.train()(x), noisy)
    assert not torch.allclose(alone(x), noisy)  # the next draw
    assert torch.equal(together.eval()(x), alone.eval()(x))
