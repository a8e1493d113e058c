"""Finds the sites of a network that declares none, from the graph of one forward pass.

Each place gives sites of one of the kinds that regularizers know:

| place | kind | where |
|---|---|---|
| `conv` | conv | directly after a conv layer whose map has more than one pixel; not the output layer |
| `dense` | dense | after a dense layer and the activation function behind it |
| `mlp` | dense | after the second dense layer of an MLP block: it reads a `dense` place, and no activation follows |
| `attention` | dense | after a module that attends (softmax or scaled dot product attention) |
| `head` | dense | what the output layer reads, if it is a dense layer and no other place is there |
| `branch` | branch | the end of a residual branch |

A residual block ends in the sum of two values of the same shape, the shortcut and the branch. The branch is the
summand that is computed from the other one. If neither is computed from the other, as in blocks with a conv layer in
the shortcut, it is the summand with more weight layers before it.

A mask directly after a conv layer and one after its batch norm and ReLU differ; the former is that of Lu et al. 2021
(figure 3). The five places of transformers are those at which Dosovitskiy et al. 2021 (appendix B.1) apply dropout:
after every dense layer but the query, key and value projections.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, cast, get_args

from torch import Tensor, nn

from tasks.own.tensor_graph import Graph, Value, graph_of, is_ancestor
from tasks.sites import Site, SiteKind

Place = Literal["conv", "dense", "mlp", "attention", "head", "branch"]
PLACES: tuple[str, ...] = get_args(Place)
_KINDS: Mapping[str, SiteKind] = {"conv": "conv", "branch": "branch"}  # of the other places: dense
_ACTIVATIONS = frozenset(
    {
        "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish",
        "leakyrelu", "hardswish", "hardtanh", "tanh", "sigmoid", "softplus", "softsign", "gelutanh", "quickgelu",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FoundSite:
    """One site, by the names of modules of the network, so that it can be inserted into another copy of it.

    Attributes:
        place: one of PLACES.
        module: the module whose output it is, or whose input where `is_input`.
        group: stage of the network, from 1; a new one begins where pixels or tokens are fewer than anywhere before.
        shape: of one sample.
        next_layer: the weight layer that reads it, if there is exactly one.
        front: the dense layer that produces its units.
        is_input: whether it stands before the module, not after it.
        call, num_calls: which call of the module in one pass it belongs to, from 0, and how many there are.
    """

    place: str
    module: str
    group: int
    shape: tuple[int, ...]
    next_layer: str | None
    front: str | None
    is_input: bool = False
    call: int = 0
    num_calls: int = 1

    @property
    def child(self) -> str:
        """The name of the site among the children of its module."""
        return f"{self.place}_site{self.call + 1 if self.num_calls > 1 else ''}"


def find_sites(network: nn.Module, example: Tensor) -> list[FoundSite]:
    """All sites of `network`, in the order of the forward pass.

    Args:
        network: takes a batch and returns scores (B, K).
        example: a batch of at least one input; on `meta` if the network is.

    Raises:
        ValueError: if the network does not return one tensor (B, K) that depends on its input.
    """
    graph = graph_of(network, example)
    if graph.output is None or len(graph.output.shape) != 2 or graph.output.shape[0] != len(example):
        raise ValueError("it must return one tensor of scores, (batch, classes)")
    return _Finder(network, graph, graph.output).sites()


def chosen(found: Sequence[FoundSite], wanted: Sequence[str]) -> list[FoundSite]:
    """The sites that are `wanted`: names of places, and patterns of module names with `*` and `?`; all if it is empty.

    A pattern also means all that is below: `layer3` and `layer3.*` choose the sites of all modules in `layer3`.

    Raises:
        ValueError: for a name or pattern that chooses no site; the message says what there is.
    """
    if not wanted:
        return list(found)
    places = [each for each in wanted if each in PLACES]
    patterns = [each for each in wanted if each not in PLACES]
    here = sorted({site.place for site in found}, key=PLACES.index)
    for each in wanted:
        if not any(site.place == each or _fits(site.module, each) for site in found):
            names = ", ".join(dict.fromkeys(_shortened(site.module) for site in found))
            raise ValueError(
                f"{each!r} chooses no site; the network has the places {', '.join(here)}, in the modules {names}"
            )
    return [
        site
        for site in found
        if (not places or site.place in places)
        and (not patterns or any(_fits(site.module, pattern) for pattern in patterns))
    ]


def insert_sites(network: nn.Module, found: Iterable[FoundSite]) -> list[Site]:
    """Insert the sites into `network`, which has the modules of the one in which they were found; in their order.

    Each becomes a child of its module, which calls it in a hook; names of parameters do not change.
    """
    inserted = []
    for each in found:
        module, layer = network.get_submodule(each.module), each.next_layer
        site = Site(
            _KINDS.get(each.place, "dense"),
            group=each.group,
            next_layer=None if layer is None else cast(Any, network.get_submodule(layer)),
        )
        site.shape = each.shape
        site.front = () if each.front is None else (cast(nn.Linear, network.get_submodule(each.front)),)
        module.add_module(each.child, site)
        hook = _Through(site, each.call, each.num_calls)
        module.register_forward_pre_hook(hook.before) if each.is_input else module.register_forward_hook(hook.after)
        inserted.append(site)
    return inserted


class _Through:
    """Hooks that pass a tensor through a site. An object, so that a deep copy of the network has its own site.

    Every pass calls the module `num_calls` times, of which one is the site's.
    """

    def __init__(self, site: Site, call: int, num_calls: int) -> None:
        self._site, self._call, self._num_calls = site, call, num_calls
        self._next = 0

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """Forward pre-hook: the first input passes through."""
        return (self._site(inputs[0]), *inputs[1:]) if self._is_its_call() else inputs

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """Forward hook: the output passes through; of several, the first."""
        if not self._is_its_call():
            return output
        return (self._site(output[0]), *output[1:]) if isinstance(output, tuple) else self._site(output)

    def _is_its_call(self) -> bool:
        number, self._next = self._next, (self._next + 1) % self._num_calls
        return number == self._call


class _Finder:
    """One search; see the docstring of this module for its rules."""

    def __init__(self, network: nn.Module, graph: Graph, output: Value) -> None:
        self._graph = graph
        self._names = {module: name for name, module in network.named_modules()}
        self._orders = {value: order for order, value in enumerate(graph.values)}
        self._output_layer = self._weights_before(output)
        self._branches = {value: branch for value in graph.values if (branch := _branch_of(value)) is not None}

    def sites(self) -> list[FoundSite]:
        """The sites in order, with their groups."""
        found = sorted(self._found(), key=lambda each: each[0])
        group, smallest, numbered = 1, math.inf, []
        for _, site in found:
            if site.place not in ("attention", "branch"):  # of windows, or of unknown layout
                size = math.prod(site.shape[1:] if site.place == "conv" else site.shape[:-1])
                group, smallest = group + (size < smallest < math.inf), min(size, smallest)
            numbered.append(replace(site, group=group))
        return numbered

    def _found(self) -> Iterator[tuple[tuple[int, int], FoundSite]]:
        """(order, site) of each; places at one value are ordered as in PLACES."""
        dense = {self._behind_activation(value) or value: value for value in self._values_of(nn.Linear)
                 if self._activation_behind(value) is not None}  # fmt: skip
        hidden = set(dense)
        for value in self._values_of(nn.Conv2d):
            if value is not self._output_layer and len(value.shape) == 4 and max(value.shape[2:]) > 1:
                yield self._site("conv", value)
        for value, layer in dense.items():
            yield self._site("dense", value, front=layer)
        for value in self._values_of(nn.Linear):
            is_last = value is self._output_layer or self._activation_behind(value) is not None
            if not is_last and self._reads_one_of(value, hidden):
                yield self._site("mlp", value, front=value)
        ends = [("attention", value) for value in self._graph.attention.values()]
        for place, last in [*ends, *(("branch", value) for value in self._branches.values())]:
            end = next((each for each in _unchanged(last, through=_keeps_shape) if self._call_at(each)), None)
            if end is not None:
                yield self._site(place, end)
        if head := self._head(hidden):
            yield head

    def _site(self, place: str, value: Value, *, front: Value | None = None) -> tuple[tuple[int, int], FoundSite]:
        call = self._call_at(value)
        assert call is not None
        site = FoundSite(
            place=place,
            module=self._names[call[0]],
            group=0,
            shape=value.shape[1:],
            next_layer=self._sole_reader(value),
            front=self._name_of(front or self._dense_layer_before(value)),
            call=call[1],
            num_calls=self._graph.num_calls[call[0]],
        )
        return (self._orders[value], PLACES.index(place)), site

    def _call_at(self, value: Value) -> tuple[nn.Module, int] | None:
        """A call of a module that returns the value, so that a hook of the module can pass it through a site.

        Containers are left out: they would call a site among their children themselves.
        """
        for module, number in value.calls:
            is_container = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
            if self._names.get(module) and not is_container:
                return module, number
        return None

    def _name_of(self, value: Value | None) -> str | None:
        return None if value is None or value.module is None else self._names[value.module]

    def _head(self, hidden: set[Value]) -> tuple[tuple[int, int], FoundSite] | None:
        """The input of the output layer; None if a dense place is there already, up to dropout and identities."""
        output = self._output_layer
        if output is None or not isinstance(output.module, nn.Linear) or not self._call_at(output):
            return None
        (read, *_) = output.parents
        if any(value in hidden for value in _unchanged(read)):
            return None
        name = self._names[output.module]
        site = FoundSite(
            place="head",
            module=name,
            group=0,
            shape=read.shape[1:],
            next_layer=name,
            front=self._name_of(self._dense_layer_before(read)),
            is_input=True,
        )
        return (self._orders[output], -1), site

    def _values_of(self, kind: type[nn.Module]) -> Iterator[Value]:
        """The outputs of the layers of a kind."""
        return (value for value in self._graph.values if isinstance(value.module, kind) and self._call_at(value))

    def _weights_before(self, value: Value) -> Value | None:
        """The output of the last weight layer before a value, if all ways lead back to the same one."""
        found: dict[Value, None] = {}
        waiting, seen = [value], {value}
        while waiting:
            each = waiting.pop()
            if each.has_weights:
                found[each] = None
                continue
            waiting += [parent for parent in each.parents if parent not in seen]
            seen.update(each.parents)
        return next(iter(found)) if len(found) == 1 else None

    def _dense_layer_before(self, value: Value) -> Value | None:
        """The dense layer whose units a value holds, element by element."""
        return next(
            (each for each in _unchanged(value, through=_keeps_shape) if isinstance(each.module, nn.Linear)), None
        )

    def _activation_behind(self, value: Value) -> Value | None:
        """The activation that alone reads a value, possibly behind a norm; None if there is none."""
        while len(value.readers) == 1:
            (value,) = value.readers
            if _is_activation(value):
                return value
            if not _is_norm(value):
                return None
        return None

    def _behind_activation(self, value: Value) -> Value | None:
        """The output of `_activation_behind`, if a site can follow it."""
        activation = self._activation_behind(value)
        return activation if activation is not None and self._call_at(activation) else None

    def _reads_one_of(self, layer: Value, places: set[Value]) -> bool:
        """Whether a layer reads a value at one of these places, element by element: through dropout or a norm."""
        return any(value in places for parent in layer.parents for value in _unchanged(parent, through=_keeps_shape))

    def _sole_reader(self, value: Value) -> str | None:
        """The name of the only weight layer that reads a value; None if there are several or none.

        Layers that read it through the shortcut of a later block do not count, as in
        `tasks.architectures.residual.link_ends`: the end of a block passes through the shortcuts of later blocks.
        """
        readers: dict[Value, None] = {}
        waiting, seen = [value], {value}
        while waiting:
            each = waiting.pop()
            for reader in each.readers:
                if reader.has_weights:
                    readers[reader] = None
                elif reader not in seen and self._branches.get(reader, each) is each:
                    seen.add(reader)
                    waiting.append(reader)
        if len(readers) != 1:
            return None
        module = next(iter(readers)).module
        return self._names[module] if isinstance(module, nn.Linear | nn.Conv2d) else None


def _branch_of(value: Value) -> Value | None:
    """In a sum, the residual branch: what is made from the other summand; else what has more weight layers before."""
    if not value.is_sum:
        return None
    one, other = value.parents
    for shortcut, branch in ((one, other), (other, one)):
        if is_ancestor(shortcut, branch):
            return branch if branch.depth > shortcut.depth else None
    if one.depth == other.depth:
        return other if one.is_sum and not other.is_sum else None
    return max(one, other, key=lambda each: each.depth)


def _unchanged(value: Value, through: Any = None) -> Iterator[Value]:
    """The value, and those before it as long as each was made by a step that `through` accepts, from one value."""
    through = through or _is_silent
    while True:
        yield value
        if len(value.parents) != 1 or not through(value):
            return
        (value,) = value.parents


def _is_silent(value: Value) -> bool:
    """Whether a step changes no value in eval mode: dropout, the identity."""
    return type(value.module).__name__ in _SILENT_MODULES or value.function in ("dropout", "contiguous")


def _keeps_shape(value: Value) -> bool:
    """Whether a step is no weight layer, and keeps the shape: dropout, a factor, an activation, a norm."""
    return not value.has_weights and [parent.shape for parent in value.parents] == [value.shape]


def _is_norm(value: Value) -> bool:
    return _keeps_shape(value) and "norm" in (value.function or type(value.module).__name__).lower()


def _is_activation(value: Value) -> bool:
    return (value.function or type(value.module).__name__).lower() in _ACTIVATIONS


def _fits(module: str, pattern: str) -> bool:
    return fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*")


def _shortened(module: str) -> str:
    return module.partition(".")[0]


_SILENT_MODULES = frozenset(
    {"Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "Identity", "DropPath", "StochasticDepth"}
)
