"""The graph of one forward pass of a network: which modules and functions made which tensors from which others.

The network is run once on an example, on any device (on `meta` it costs nothing). Functions of torch are seen by a
`TorchFunctionMode`, modules by global hooks, so the network itself is not changed, and any code that calls torch can be
followed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
WEIGHT_FUNCTIONS = frozenset({"linear", "conv1d", "conv2d", "conv3d", "multi_head_attention_forward"})
SUMS = frozenset({"add", "iadd", "radd"})  # without underscores
ATTENTION_FUNCTIONS = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"})


@dataclass(eq=False, kw_only=True)
class Value:
    """A tensor of the pass that depends on the input.

    Attributes:
        function: the name of the function that made it, without underscores at its ends; "" for a module.
        module: the module that made it. Modules without children are one step, whatever functions they call.
        parents: the values that it was made from.
        shape: of the tensor, batch included.
        depth: number of weight layers on the longest path from the input.
        readers: the values that were made from it.
        calls: the calls of modules that returned it, possibly as the first of several values: the module, and the
            number of this call of it in the pass, from 0.
    """

    function: str
    module: nn.Module | None
    parents: tuple[Value, ...]
    shape: tuple[int, ...]
    depth: int
    readers: list[Value] = field(default_factory=list)
    calls: list[tuple[nn.Module, int]] = field(default_factory=list)

    @property
    def is_sum(self) -> bool:
        """Whether it is the sum of two values of its own shape."""
        return self.function in SUMS and [each.shape for each in self.parents] == [self.shape] * 2

    @property
    def has_weights(self) -> bool:
        """Whether a weight layer made it."""
        return isinstance(self.module, WEIGHT_LAYERS) or self.function in WEIGHT_FUNCTIONS


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What one pass showed.

    Attributes:
        values: in the order of their making.
        output: what the network returned, if it is one tensor that depends on the input; else None.
        num_calls: of each module.
        attention: the modules that call attention functions themselves, in the order of their first call, with what
            each returned.
    """

    values: Sequence[Value]
    output: Value | None
    num_calls: Mapping[nn.Module, int]
    attention: Mapping[nn.Module, Value]


def graph_of(network: nn.Module, example: Tensor) -> Graph:
    """Run `network` once on `example`, in eval mode and without gradients.

    Args:
        network: any module that takes one tensor; its mode is restored.
        example: a batch.
    """
    recorder = _Recorder(network, example)
    was_training = network.training
    with torch.no_grad(), _without_fast_paths(), recorder.watching_modules(), recorder:
        output = network.eval()(example)
    network.train(was_training)
    return Graph(
        values=recorder.made,
        output=recorder.value_of(output) if isinstance(output, Tensor) else None,
        num_calls=recorder.num_calls,
        attention=recorder.attention,
    )


def is_ancestor(value: Value, other: Value) -> bool:
    """Whether `other` was made from `value`, directly or not."""
    seen, waiting = {other}, [other]
    while waiting:
        for parent in waiting.pop().parents:
            if parent is value:
                return True
            if parent not in seen and parent.depth >= value.depth:
                seen.add(parent)
                waiting.append(parent)
    return False


@contextlib.contextmanager
def _without_fast_paths() -> Iterator[None]:
    """In eval mode torch's transformer layers would call one fused function instead of their modules."""
    was_enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_enabled)


class _Recorder(TorchFunctionMode):
    """Notes each function call, and each call of a module without children as one step."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        self._root = network
        self._values: dict[int, Value] = {}  # by the id of the tensor
        self._kept: list[Tensor] = []  # so that no id is used twice
        self._stack: list[tuple[nn.Module, int]] = []  # the calls that run now
        self._leaf: nn.Module | None = None  # the module whose functions are not noted
        self.made: list[Value] = []
        self.num_calls: Counter[nn.Module] = Counter()
        self._attending: list[nn.Module] = []
        self.attention: dict[nn.Module, Value] = {}
        self._note(example, Value(function="input", module=None, parents=(), shape=tuple(example.shape), depth=0))

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = str(getattr(func, "__name__", "")).strip("_")
        if name in ATTENTION_FUNCTIONS:
            self._attend()
        if self._leaf is None:
            self._note_all(result, _tensors((args, kwargs)), name, None)
        return result

    def value_of(self, tensor: Tensor) -> Value | None:
        """The value of a tensor; None if it does not depend on the input."""
        return self._values.get(id(tensor))

    @contextlib.contextmanager
    def watching_modules(self) -> Iterator[None]:
        """A context in which the calls of all modules are noted."""
        hooks = []  # not torch's hooks of all modules: it never forgets those with keyword arguments (2.14)
        for module in self._root.modules():
            hooks.append(module.register_forward_pre_hook(self._before))
            hooks.append(module.register_forward_hook(self._after, with_kwargs=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _before(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._stack.append((module, self.num_calls[module]))
        self.num_calls[module] += 1
        is_leaf = isinstance(module, WEIGHT_LAYERS) or next(module.children(), None) is None
        if self._leaf is None and is_leaf:
            self._leaf = module

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        call = self._stack.pop()
        if self._leaf is module:
            self._leaf = None
            self._note_all(output, _tensors((inputs, kwargs)), "", module)
        first = next(iter(_tensors(output)), None)
        value = None if first is None else self.value_of(first)
        if value is not None and self._leaf is None:
            value.calls.append(call)
            if module in self._attending:
                self.attention.setdefault(module, value)

    def _attend(self) -> None:
        """Note the innermost module that runs, has weight layers, and is not the whole network."""
        for module, _ in reversed(self._stack):
            if module is self._root:
                return
            if any(isinstance(part, WEIGHT_LAYERS) for part in module.modules()):
                self._attending.append(module)
                return

    def _note_all(self, result: Any, given: Sequence[Tensor], function: str, module: nn.Module | None) -> None:
        parents = tuple(filter(None, map(self.value_of, given)))
        if not parents:
            return
        for tensor in _tensors(result):
            value = Value(function=function, module=module, parents=parents, shape=tuple(tensor.shape), depth=0)
            value.depth = max(parent.depth for parent in parents) + value.has_weights
            self._note(tensor, value)

    def _note(self, tensor: Tensor, value: Value) -> None:
        for parent in value.parents:
            parent.readers.append(value)
        self._kept.append(tensor)
        self._values[id(tensor)] = value
        self.made.append(value)


def _tensors(thing: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(thing, Tensor):
        return [thing]
    if isinstance(thing, dict):
        thing = list(thing.values())
    return [tensor for part in thing for tensor in _tensors(part)] if isinstance(thing, list | tuple) else []
