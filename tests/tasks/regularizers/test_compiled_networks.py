"""Under `torch.compile` a regularized network draws the same numbers and gives the same outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch._dynamo
from slow_params import slow_but
from tiny_tasks import home_of, prepared, with_pins
from torch import Tensor

from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch, Step
from tasks.runtime.eager import eager
from tasks.runtime.graphs import graphs_of
from tasks.training import Training

FORWARD = [name for name in sorted(REGULARIZERS) if REGULARIZERS[name].acts_on]
FILLINGS = [
    "dropout", "curriculum_dropout", "lazy_dropout", "gaussian_dropout", "spatial_dropout", "dropblock",
    "dropblock_sample", "drop_path", "shakedrop", "feature_map_distortion", "block_feature_map_distortion", "localdrop",
    "adaptive_dropout_rc", "concrete_dropout", "path_norm", "flow_penalty", "variational_dropout",
    "sparse_variational_dropout",
]  # fmt: skip
NUM_STEPS = 2


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", slow_but(FORWARD, ["dropout", "dropblock", "localdrop", "flow_penalty"]))
@pytest.mark.parametrize("backend", ["eager", pytest.param("aot_eager", marks=pytest.mark.slow)])
def test_a_compiled_network_gives_the_same_outputs_and_gradients(name: str, backend: str) -> None:
    """The second backend traces the backward pass, too.

    Outputs are equal bit for bit. A parameter that the network and a penalty read gets gradients from inside and
    outside of the compiled code, whose sum may be rounded in another order.
    """
    plain = outputs_and_gradients(name, lambda network: network)
    compiled = outputs_and_gradients(name, lambda network: torch.compile(network, backend=backend))
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    for expected, tensor in zip(plain.outputs, compiled.outputs, strict=True):
        assert torch.equal(expected, tensor)
    torch.testing.assert_close(compiled.gradients, plain.gradients, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", slow_but(FILLINGS, ["dropout", "dropblock", "localdrop"]))
def test_fillings_leave_the_network_in_one_graph(name: str) -> None:
    graphs = []
    for contestant in ("none", name):
        task = home_of(name)
        training = prepared(task, (contestant, with_pins(REGULARIZERS[contestant](), task)))
        training.network.train()
        graphs.append(graphs_of(training.network, training.batches.normalised(next(training.batches.epoch()).inputs)))
        torch._dynamo.reset()
    assert graphs[0] == graphs[1]
    assert graphs[0].num_graphs == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dropout", "dropblock", "concrete_dropout", "flow_penalty"])
def test_the_compilers_back_end_gives_the_same_outputs_and_gradients_but_for_rounding(name: str) -> None:
    plain = outputs_and_gradients(name, lambda network: network)
    compiled = outputs_and_gradients(name, lambda network: torch.compile(network, fullgraph=True))
    torch.testing.assert_close(compiled.outputs, plain.outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(compiled.gradients, plain.gradients, rtol=1e-4, atol=1e-5)


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


class Passes(NamedTuple):
    outputs: list[Tensor]  # of a few passes in training mode, and of one in eval mode
    gradients: list[Tensor]


def outputs_and_gradients(name: str, compiled: Callable[[torch.nn.Module], Callable[[Tensor], Tensor]]) -> Passes:
    """Of the loss and the penalty in a few steps without an update, with schedules; and of eval mode at last."""
    task = home_of(name)
    training = prepared(task, (name, with_pins(REGULARIZERS[name](), task)))
    network, forward = training.network, compiled(training.network)
    batch = next(training.batches.epoch())
    inputs = training.batches.normalised(batch.inputs)
    network.train()
    found = Passes([], [])
    for index in range(NUM_STEPS):
        training.hooks.progress((index + 1) / (NUM_STEPS + 1))
        network.zero_grad()
        outputs = forward(inputs)
        loss = training._loss(outputs, batch.targets)
        penalty = training.hooks.penalty(step_of(training, Batch(inputs, batch.targets), index))
        (loss if penalty is None else loss + penalty).backward()
        found.outputs.append(outputs.detach())
        found.gradients.extend(p.grad.clone() for p in network.parameters() if p.grad is not None)
    network.eval()
    found.outputs.append(forward(inputs).detach())
    return found


def step_of(training: Training, batch: Batch, index: int) -> Step:
    return Step(
        network=training.network, loss=training._batch_loss, rng=np.random.default_rng(0), index=index, epoch=1,
        progress=0.0, batch=batch,
    )  # fmt: skip
