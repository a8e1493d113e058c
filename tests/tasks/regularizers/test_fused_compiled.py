"""Compiled networks with fused masks, in Triton's interpreter: one graph, and in each pass the draws of eager code.

As `test_fused_masks.py`, these tests run in a process of their own, which `test_fused_choice.py` starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
import torch._dynamo
from tiny_tasks import binomial_bound
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch._aot_autograd.utils import make_boxed_func

from benchmarks.launches import MASKS, Goal
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Context, Hooks, Regularizer
from tasks.regularizers.generalized_dropout import GeneralizedDropout
from tasks.runtime.kernel_devices import INTERPRETER, is_available
from tasks.runtime.streams import Streams
from tasks.sites import Site, measure_sites

pytestmark = pytest.mark.skipif(
    os.environ.get(INTERPRETER) != "1" or not is_available(), reason=f"needs Triton and {INTERPRETER}=1"
)
CPU = torch.device("cpu")
WITHOUT_LEARNED_NOISE = [name for name, goal in MASKS.items() if goal == Goal()]
SCHEDULED = {
    "curriculum_dropout": {"drop_rate": 0.4, "where": "conv", "steepness": 3.0},
    "dropblock": {"drop_rate": 0.4, "block_size": 1},
    "feature_map_distortion": {"distortion_rate": 0.4, "where": "conv"},
    "block_feature_map_distortion": {"distortion_rate": 0.4, "block_size": 1},
}


OFTEN = {"dropblock": {"drop_rate": 0.9}, "block_feature_map_distortion": {"distortion_rate": 0.9}}  # of few blocks


class Branched(nn.Module):
    """A small network with all kinds of sites but one for hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.input = Site("input")
        self.first, self.conv = nn.Conv2d(1, 2, 3, padding=1), Site("conv")
        self.second, self.branch = nn.Conv2d(2, 2, 3, padding=1), Site("branch")
        self.dense, self.units, self.last = nn.Linear(2 * 25, 8), Site("dense"), nn.Linear(8, 3)
        self.conv.next_layer, self.units.next_layer = self.second, self.last
        self.units.front = (self.dense,)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.first(self.input(x)).relu())
        x = x + self.branch(self.second(x))
        return self.last(self.units(self.dense(x.flatten(1)).relu()))


class Made(NamedTuple):
    network: nn.Module
    hooks: Hooks
    streams: Streams
    graphs: list[torch.fx.GraphModule]  # forward and backward, as the compiler's front end hands them over


@pytest.fixture(autouse=True)
def compiled_once() -> Iterator[None]:
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield
    torch._dynamo.reset()


def made(name: str, regularizer: Regularizer, network: nn.Module, example: Tensor, is_compiled: bool) -> Made:
    measure_sites(network, example)
    streams = Streams()
    context = Context(
        seed=0, device=CPU, name=name, num_train_samples=10, num_epochs=1, num_steps=10, learning_rate=0.1,
        streams=streams,
    )  # fmt: skip
    hooks = regularizer.attach(network.train(), context)
    streams.number_passes_of(network)
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return make_boxed_func(graph.forward)

    if is_compiled:
        backend = aot_autograd(fw_compiler=keep, bw_compiler=keep)
        network.forward = torch.compile(network.forward, backend=backend, fullgraph=True)
    return Made(network, hooks, streams, graphs)


def branched(name: str, regularizer: Regularizer | None = None, is_compiled: bool = True) -> Made:
    torch.manual_seed(0)
    return made(name, regularizer or REGULARIZERS[name](), Branched(), torch.zeros(1, 1, 5, 5), is_compiled)


def one_pass(made: Made, fraction: float) -> list[Tensor]:
    """Outputs and gradients of a pass at this fraction of the training."""
    made.hooks.progress(fraction)
    x = torch.linspace(-1, 2, 3 * 25).view(3, 1, 5, 5).requires_grad_()
    made.network.zero_grad()
    outputs = made.network(x)
    outputs.square().sum().backward()
    gradients = [parameter.grad for parameter in made.network.parameters() if parameter.grad is not None]
    return [outputs.detach(), x.grad, *gradients]


def operators_of(graphs: list[torch.fx.GraphModule]) -> list[str]:
    """Names of ours that they call."""
    nodes = (node for graph in graphs for node in graph.graph.nodes if node.op == "call_function")
    return [node.target.name() for node in nodes if str(node.target).startswith("regarena.")]


@pytest.mark.parametrize("name", [*WITHOUT_LEARNED_NOISE, "adaptive_dropout_rc"])
def test_a_compiled_pass_is_one_graph_of_kernels_with_the_eager_draws(name: str) -> None:
    regularizer = REGULARIZERS[name](**OFTEN.get(name, {}))
    compiled, eager = (branched(name, regularizer, is_compiled) for is_compiled in (True, False))
    outputs = []
    for fraction in (0.5, 0.5, 0.75):
        found, expected = one_pass(compiled, fraction), one_pass(eager, fraction)
        assert all(map(torch.equal, found, expected))
        outputs.append(found[0])
    assert len(compiled.graphs) == 2
    called = operators_of(compiled.graphs)
    assert called
    assert not [operator for operator in called if "module" in operator]
    assert not torch.equal(outputs[0], outputs[1]), "the second pass draws again"


def site_alone(regularizer: Regularizer, shape: tuple[int, ...] = (8, 4, 8, 8)) -> tuple[Made, Tensor]:
    """A network of one site, and ones for it."""
    ones = torch.ones(shape)
    return made("contestant", regularizer, nn.Sequential(Site("conv")), ones[:1], is_compiled=True), ones


@pytest.mark.parametrize("name", SCHEDULED)
def test_one_compiled_code_drops_at_every_rate_of_a_schedule(name: str) -> None:
    """Of ones, which have no deviation, distortion leaves zeros."""
    site, ones = site_alone(REGULARIZERS[name](**SCHEDULED[name]))
    shares = []
    for fraction in (0.0, 0.2, 0.9):
        site.hooks.progress(fraction)
        (rate,) = (filling.drop_rate for filling in site.network[0].fillings)
        shares.append(float((site.network(ones) == 0).double().mean()))
        assert abs(shares[-1] - rate) <= float(binomial_bound(rate, ones.numel()))
    assert len(site.graphs) == 1
    assert shares[0] == 0
    assert shares[1] + 0.05 < shares[2]


@pytest.mark.parametrize("name", ["spatial_dropout", *SCHEDULED])
def test_the_compiled_backward_pass_draws_the_mask_of_its_forward_pass(name: str) -> None:
    """Also if other passes ran in between."""
    site, ones = site_alone(REGULARIZERS[name](**SCHEDULED.get(name, {"drop_rate": 0.4})), shape=(5, 4, 8, 8))
    passes = []
    for fraction in (0.3, 0.6, 0.9):
        site.hooks.progress(fraction)
        x = ones.clone().requires_grad_()
        passes.append((x, site.network(x)))
    for x, y in passes:
        y.sum().backward()
        assert torch.equal(x.grad, y.detach())
    first, second, _ = (y.detach() != 0 for _, y in passes)
    assert not torch.equal(first, second)


def test_several_passes_in_a_step_and_passes_aside_run_the_same_code() -> None:
    """Compiling again is an error here."""
    compiled, eager = (branched("dropout", is_compiled=is_compiled) for is_compiled in (True, False))
    found = []
    for each in (compiled, eager):
        passes = [one_pass(each, 0.5)[0] for _ in range(2)]
        with each.streams.aside():
            passes += [one_pass(each, 0.5)[0] for _ in range(3)]
        found.append([*passes, one_pass(each, 0.5)[0]])
    assert all(map(torch.equal, *found))
    assert len({tuple(outputs.flatten().tolist()) for outputs in found[0]}) == 6
    assert len(compiled.graphs) == 2


def test_masks_without_kernels_stay_operators() -> None:
    correlated = GeneralizedDropout(law="block", block_size=2)
    compiled = branched("generalized_dropout", correlated)
    one_pass(compiled, 0.5)
    assert "regarena::run_module" in operators_of(compiled.graphs)


@pytest.mark.parametrize("name", ["dropout", "block_feature_map_distortion"])
def test_the_compilers_back_end_keeps_the_draws(name: str) -> None:
    compiled, eager = (branched(name, is_compiled=False) for _ in range(2))
    compiled.network.forward = torch.compile(compiled.network.forward, fullgraph=True)
    for fraction in (0.5, 0.75):
        torch.testing.assert_close(one_pass(compiled, fraction), one_pass(eager, fraction), rtol=1e-4, atol=1e-5)
