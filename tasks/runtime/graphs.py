"""How much of a network `torch.compile` compiles, and in how many parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tasks.runtime.forward import plain_forward

LAYERS = ("conv2d", "linear")  # names of the functions that compute them in a graph


class Graphs(NamedTuple):
    """The graphs that one pass runs. A network that is compiled whole has one, with all its layers."""

    num_graphs: int
    layers_in_graphs: int  # conv and dense layers that they compute


def graphs_of(network: nn.Module, inputs: Tensor) -> Graphs:
    """The graphs of a pass of `network` in its current mode, as `torch.compile` cuts it.

    Code that the compiler cannot trace ends a graph, and runs outside of all graphs. Only the compiler's front end is
    used, so that this takes seconds where compiling takes minutes. The pass draws random numbers and changes batch
    statistics as any other.
    """
    ran: list[int] = []  # number of layers of each

    def backend(graph: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable[..., Any]:
        num_layers = sum(getattr(node.target, "__name__", "") in LAYERS for node in graph.graph.nodes)

        def run(*args: Any) -> Any:
            ran.append(num_layers)
            return graph.forward(*args)

        return run

    compiled: Callable[[Tensor], Tensor] = torch.compile(plain_forward(network), backend=backend)
    compiled(inputs)
    return Graphs(len(ran), sum(ran))
