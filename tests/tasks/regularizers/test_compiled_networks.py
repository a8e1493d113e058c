"""Under `torch.compile` a regularized network draws the same numbers and gives the same outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch._dynamo
from slow_params import slow_but
from tiny_tasks import home_of, prepared, with_pins
from torch import Tensor

from tasks.regularizers import REGULARIZERS
from tasks.runtime.eager import eager

FORWARD = [name for name in sorted(REGULARIZERS) if REGULARIZERS[name].acts_on]
NUM_STEPS = 2


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", slow_but(FORWARD, ["dropout", "dropblock", "localdrop"]))
def test_a_compiled_network_gives_the_same_outputs_and_gradients_bit_for_bit(name: str) -> None:
    plain = outputs_and_gradients(name, lambda network: network)
    compiled = outputs_and_gradients(name, lambda network: torch.compile(network, backend="eager"))
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    assert len(plain) == len(compiled)
    for expected, tensor in zip(plain, compiled, strict=True):
        assert torch.equal(expected, tensor)


def test_what_is_eager_runs_untraced_in_the_middle_of_a_compiled_function() -> None:
    traced = []

    @eager
    def double(x: Tensor) -> Tensor:
        traced.append(torch.compiler.is_compiling())
        return torch.from_numpy(x.numpy() * 2)

    def function(x: Tensor) -> Tensor:
        return double(x.sin()).cos()

    x = torch.linspace(0, 1, 5)
    assert torch.equal(torch.compile(function, backend="eager")(x), function(x))
    assert traced == [False, False]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # one in front of it and one behind


def outputs_and_gradients(name: str, compiled: Callable[[torch.nn.Module], Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """Of a few steps without an update, in which schedules move, and of eval mode at last."""
    task = home_of(name)
    training = prepared(task, (name, with_pins(REGULARIZERS[name](), task)))
    network, forward = training.network, compiled(training.network)
    batch = next(training.batches.epoch())
    inputs = training.batches.normalised(batch.inputs)
    network.train()
    found: list[Tensor] = []
    for step in range(NUM_STEPS):
        training.hooks.progress((step + 1) / (NUM_STEPS + 1))
        network.zero_grad()
        outputs = forward(inputs)
        training._loss(outputs, batch.targets).backward()
        found += [outputs.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)]
    network.eval()
    return [*found, forward(inputs).detach()]
