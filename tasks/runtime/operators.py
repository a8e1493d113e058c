"""Modules that run as one operator within a network under `torch.compile`.

Masks come from numpy's generators and from streams with a state, at rates that a schedule changes. A compiler that
traced them would have to trace numpy and recompile at each new rate; calling them outside of the compiled code would
cut the network into one graph for each mask. As an operator, a module is one node of the graph, of which the compiler
knows the shapes only. At run time the module's own code is executed, so that a compiled network draws the same numbers.

The operator differentiates the module itself: the forward pass stores the module's autograd graph, and the backward
pass takes it. For passes without a backward pass, the last NUM_KEPT graphs of each module are stored, older ones are
dropped.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from tasks.runtime.eager import eager

_CAN_LEAVE_CUDA_GRAPHS = hasattr(torch.Tag, "cudagraph_unsafe")
NUM_KEPT = 4  # for each module; a training step makes fewer forward passes before its backward pass

_LIBRARY: Any = torch.library.Library("regarena", "DEF")  # type: ignore[no-untyped-call]  # of torch
_TAGS = tuple(
    getattr(torch.Tag, name)
    # In this order: do not recompute; keep the memory layout of eager execution (two tags); stay out of CUDA graphs.
    for name in ("nondeterministic_seeded", "needs_exact_strides", "needs_fixed_stride_order", "cudagraph_unsafe")
    if hasattr(torch.Tag, name)
)
_PLAIN_KEYS = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
_modules: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()  # by id
_tickets = itertools.count()
_passes: dict[int, _Pass] = {}  # by ticket: what waits for its backward pass
_tickets_of: dict[int, deque[int]] = defaultdict(deque)  # by module


class _Pass(NamedTuple):
    inputs: list[Tensor]
    output: Tensor


class Operator(nn.Module):
    """A module for `call_operator`: copies of it are registered as well."""

    def __init__(self) -> None:
        super().__init__()
        make_operator(self)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a copy, and register it."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # of torch
        make_operator(self)


def call_operator(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)`, which is one operator in code that is being compiled, unless its `runs_in_graph(x)` is True.

    The compiler traces what runs in the graph: it must draw random numbers by fused kernels only, and may use no number
    that changes from one pass to the next.
    """
    is_operator = torch.compiler.is_compiling() and not getattr(module, "runs_in_graph", _never)(x)
    y: Tensor = apply_operator(module, x) if is_operator else module(x)
    return y


def _never(x: Tensor) -> bool:
    return False


def make_operator(module: nn.Module) -> None:
    """Register a module for `apply_operator`; its output must have the shape, dtype and memory layout of its input."""
    _modules[id(module)] = module


def apply_operator(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)` as one operator; for code that is being compiled.

    A CUDA graph would replay the same draw at every step. In versions of torch that cannot keep operators out of CUDA
    graphs, the compiled graph therefore ends before the module.
    """
    if not _CAN_LEAVE_CUDA_GRAPHS:
        return _outside(module, x)
    parameters = list(module.parameters())
    needs_gradient = torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in parameters))
    if not needs_gradient:
        y: Tensor = torch.ops.regarena.run_module(x, parameters, id(module), False)[0]
        return y
    differentiable: Tensor = _Differentiable.apply(id(module), x, *parameters)
    return differentiable


@eager
def _outside(module: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = module(x)
    return y


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: int, x: Tensor, *parameters: Tensor) -> Tensor:
        outputs: tuple[Tensor, Tensor] = torch.ops.regarena.run_module(x, list(parameters), module, True)
        y, ticket = outputs
        ctx.save_for_backward(ticket, *parameters)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ticket, *parameters = ctx.saved_tensors
        return None, *torch.ops.regarena.differentiate_module(gradient, ticket, parameters)


def _run_module(x: Tensor, parameters: Sequence[Tensor], module: int, needs_gradient: bool) -> tuple[Tensor, Tensor]:
    """The output, and the ticket by which the backward pass finds its graph: a number on the CPU, -1 without one."""
    run = _modules[module]
    # Compiled code excludes autograd while it runs; modules record their own graph.
    with torch._C._ForceDispatchKeyGuard(*_PLAIN_KEYS), torch.set_grad_enabled(needs_gradient):
        own = x.detach().requires_grad_(needs_gradient)
        y = run(own)
    if y.shape != x.shape:
        raise ValueError(
            f"Under torch.compile what fills a site must keep the shape of its input, {tuple(x.shape)}; "
            f"{type(run).__name__} returned {tuple(y.shape)}."
        )
    ticket = -1
    if needs_gradient:
        ticket = next(_tickets)
        _passes[ticket] = _Pass([own, *run.parameters()], y)
        tickets = _tickets_of[module]
        tickets.append(ticket)
        if len(tickets) > NUM_KEPT:
            _passes.pop(tickets.popleft(), None)
    return _like(y.detach(), x), torch.tensor(ticket)


def _differentiate_module(gradient: Tensor, ticket: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of the input and of the parameters."""
    done = _passes.pop(int(ticket), None)
    if done is None:
        raise RuntimeError(
            f"A compiled network was differentiated twice, or after more than {NUM_KEPT} other passes; keep "
            "the passes between forward and backward to that number, or do not compile."
        )
    needed = [each for each in done.inputs if each.requires_grad]
    found = iter(torch.autograd.grad(done.output, needed, gradient, allow_unused=True))
    gradients = [next(found) if each.requires_grad else None for each in done.inputs]
    likes = [gradient, *parameters]
    return [
        torch.zeros_like(like) if own is None else _like(own, like) for own, like in zip(gradients, likes, strict=True)
    ]


def _like(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor in memory of its own, with the number format and memory layout of `like`."""
    is_apart = tensor.untyped_storage().data_ptr() != like.untyped_storage().data_ptr()
    if is_apart and tensor.dtype == like.dtype and tensor.stride() == torch.empty_like(like, device="meta").stride():
        return tensor
    return torch.empty_like(like).copy_(tensor)


_LIBRARY.define(
    "run_module(Tensor x, Tensor[] parameters, int module, bool needs_gradient) -> (Tensor, Tensor)", tags=_TAGS
)
_LIBRARY.define("differentiate_module(Tensor gradient, Tensor ticket, Tensor[] parameters) -> Tensor[]", tags=_TAGS)
for _name, _implementation in (("run_module", _run_module), ("differentiate_module", _differentiate_module)):
    _LIBRARY.impl(_name, _implementation, "CompositeExplicitAutograd")
    _LIBRARY.impl(_name, torch.library.fallthrough_kernel, "Autograd")  # `_Differentiable` differentiates


def _run_module_fake(
    x: Tensor, parameters: Sequence[Tensor], module: int, needs_gradient: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty((), dtype=torch.int64, device="cpu")


def _differentiate_module_fake(gradient: Tensor, ticket: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    return [torch.empty_like(each) for each in (gradient, *parameters)]


torch.library.register_fake("regarena::run_module", _run_module_fake, lib=_LIBRARY)
torch.library.register_fake("regarena::differentiate_module", _differentiate_module_fake, lib=_LIBRARY)
