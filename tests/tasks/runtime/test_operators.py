"""A module as one operator of a compiled graph computes and differentiates as it does by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
import torch._dynamo
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.runtime.graphs import Graphs, graphs_of
from tasks.runtime.operators import NUM_KEPT, Operator, _passes, call_operator
from tasks.sites import Site


class Scaled(nn.Module):
    """Multiplies by a learned number and by how often it was called, which no compiler may compute beforehand."""

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.factor, self.num_calls, self._dtype = nn.Parameter(torch.tensor(3.0)), 0, dtype

    def forward(self, x: Tensor) -> Tensor:
        self.num_calls += 1
        y = x * self.factor * float(torch.tensor(self.num_calls).numpy())
        return y.to(self._dtype) if self._dtype else y


class Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    _passes.clear()
    yield
    torch._dynamo.reset()


def network_with(*modules: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    site = Site("dense")
    for module in modules:
        site.fill(module)
    return nn.Sequential(nn.Linear(3, 4), site, nn.ReLU(), nn.Linear(4, 2))


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    return torch.compile(network, backend="aot_eager", fullgraph=True)


def passes(network: nn.Module, forward: Callable[[Tensor], Tensor], num_passes: int = 3) -> list[Tensor]:
    """Outputs and gradients of some passes, those of the input among them."""
    found: list[Tensor] = []
    for index in range(num_passes):
        x = torch.linspace(-1, 2, 15).view(5, 3).add(index).requires_grad_()
        network.zero_grad()
        y = forward(x)
        y.square().sum().backward()
        assert x.grad is not None
        found += [y.detach(), x.grad, *(parameter.grad.clone() for parameter in network.parameters())]
    return found


MODULES = {
    "learned": lambda: [Scaled()],
    "two": lambda: [Scaled(), Scaled()],
    "identity": lambda: [Identity()],
    "in 64 bits": lambda: [Scaled(torch.float64)],
}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_a_compiled_pass_is_one_graph_with_the_eager_values_and_gradients(make) -> None:
    plain, other = network_with(*make()), network_with(*make())
    expected = passes(plain, nn.Sequential(*plain[:2], Cast(), *plain[2:]))
    found = passes(other, compiled(other))
    assert all(map(torch.equal, expected, found))
    assert not _passes, "each was differentiated"


class Cast(nn.Module):
    """What an operator does to an output with another number format than its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float()


def test_without_gradients_nothing_is_kept() -> None:
    network = network_with(Scaled())
    forward = compiled(network)
    with torch.no_grad():
        outputs = [forward(torch.ones(1, 3)) for _ in range(2)]
    assert not torch.equal(*outputs), "its code ran twice"
    assert not _passes


def test_of_passes_that_nobody_differentiates_the_last_ones_are_kept() -> None:
    network = network_with(Scaled())
    forward = compiled(network)
    outputs = [forward(torch.ones(1, 3)) for _ in range(NUM_KEPT + 3)]
    assert len(_passes) == NUM_KEPT
    outputs[-1].sum().backward()
    assert len(_passes) == NUM_KEPT - 1
    with pytest.raises(RuntimeError, match=f"or after more than {NUM_KEPT} other passes"):
        outputs[0].sum().backward()


def test_a_module_that_changes_the_shape_is_refused() -> None:
    class FirstSample(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:1]

    with pytest.raises(ValueError, match=r"must keep the shape of its input, \(2, 4\); FirstSample returned \(1, 4\)"):
        compiled(network_with(FirstSample()))(torch.ones(2, 3))


def test_a_copy_of_a_network_uses_its_own_modules() -> None:
    network = network_with(Scaled())
    other = copy.deepcopy(network)
    compiled(other)(torch.ones(1, 3))
    assert (network[1].fillings[0].num_calls, other[1].fillings[0].num_calls) == (0, 1)


@pytest.mark.parametrize("size", [3, 4])
def test_what_runs_in_the_graph_for_an_input_is_traced_for_it(size: int) -> None:
    class OnFour(nn.Module):
        def runs_in_graph(self, x: Tensor) -> bool:
            return x.shape[1] == 4

        def forward(self, x: Tensor) -> Tensor:
            return x.sin()

    site, called = Site("dense"), []
    site.fill(OnFour())

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        called.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    x = torch.linspace(0, 1, size).view(1, size)
    with torch.no_grad():
        assert torch.equal(torch.compile(site, backend=backend)(x), x.sin())
    assert ("sin" in called) == (size == 4)
    assert any("run_module" in each for each in called) == (size == 3)


class Counting(nn.Linear):
    """A layer that multiplies its outputs by an operator of its own."""

    class Count(Operator):
        num_calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.num_calls += 1
            return x * float(torch.tensor(self.num_calls).numpy())

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.count = self.Count()

    def forward(self, x: Tensor) -> Tensor:
        return call_operator(self.count, super().forward(x))


def test_a_layers_own_operator_runs_at_every_call_and_is_copied_with_the_layer() -> None:
    layer = Counting()
    other = copy.deepcopy(layer)
    expected = passes(layer, layer)
    del layer
    assert all(map(torch.equal, expected, passes(other, compiled(other))))
    assert other.count.num_calls == 3
    assert not _passes


def test_layers_outside_of_graphs_are_not_counted() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.hidden, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

        @torch.compiler.disable  # type: ignore[untyped-decorator]  # of torch
        def outside(self, x: Tensor) -> Tensor:
            return self.hidden(x)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.outside(self.first(x)))

    assert graphs_of(Broken(), torch.ones(1, 3)) == Graphs(num_graphs=2, layers_in_graphs=2)
    assert graphs_of(network_with(Scaled(), Scaled()), torch.ones(1, 3)) == Graphs(num_graphs=1, layers_in_graphs=2)


def test_calls_of_layers_are_counted_without_what_is_added_to_them() -> None:
    network = nn.Sequential(layer := nn.Linear(3, 3), layer, nn.Linear(3, 3))
    layer.register_forward_hook(lambda self, inputs, output: output + F.linear(inputs[0].square(), self.weight))
    assert graphs_of(network, torch.ones(4, 3)) == Graphs(num_graphs=1, layers_in_graphs=3)
    assert graphs_of(nn.Sequential(Functional(), layer), torch.ones(4, 3)) == Graphs(num_graphs=1, layers_in_graphs=3)


class Functional(nn.Module):
    """Two products by no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.ones(3, 3)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.first), self.second)
