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
    layers_in_graphs: int  # calls of conv and dense layers that they compute, each with what a contestant adds to it


def graphs_of(network: nn.Module, inputs: Tensor) -> Graphs:
    """The graphs of a pass of `network` in its current mode, as `torch.compile` cuts it.

    Code that the compiler cannot trace ends a graph, and runs outside of all graphs. Only the compiler's front end is
    used, so that this takes seconds where compiling takes minutes. The pass draws random numbers and changes batch
    statistics as any other.
    """
    ran: list[int] = []  # number of layers of each

    def backend(graph: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable[..., Any]:
        products = (node for node in graph.graph.nodes if getattr(node.target, "__name__", "") in LAYERS)
        num_layers = len({_call_of(node) for node in products})

        def run(*args: Any) -> Any:
            ran.append(num_layers)
            return graph.forward(*args)

        return run

    compiled: Callable[[Tensor], Tensor] = torch.compile(plain_forward(network), backend=backend)
    compiled(inputs)
    return Graphs(len(ran), sum(ran))


def _call_of(product: torch.fx.Node) -> object:
    """The call of the layer that computes this product; the product itself, if none does.

    A contestant that puts noise on weights computes another product in the same call.
    """
    modules = product.meta.get("nn_module_stack") or {}
    number, (path, kind) = next(reversed(modules.items()), (None, ("", None)))
    is_of_layer = isinstance(kind, type) and issubclass(kind, nn.Linear | nn.Conv2d)
    return (number, path) if is_of_layer else product
