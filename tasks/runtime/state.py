"""Saving and restoring the state of objects, so that an interrupted training resumes with the same results.

A state contains only tensors, numbers, strings and plain containers, which `torch.load(weights_only=True)` can read. It
refers to the object's tensors: write or copy it before the object changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType, ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Any]

_PLAIN = (bool, int, float, str)
_WITHOUT_STATE = (type, FunctionType, MethodType, ModuleType, nn.Module)
_MODULES_OWN = frozenset(vars(nn.Module()))  # internals of nn.Module; parameters and buffers are saved separately


@runtime_checkable
class Stateful(Protocol):
    """An object with its own methods to save and restore its state."""

    def state(self) -> State:
        """The state to save."""

    def restore(self, state: State) -> None:
        """Set a saved state."""


def attributes_of(thing: object) -> State:
    """The state of an object's attributes.

    Included are numbers, strings, tensors, arrays, generators of torch and numpy, optimizers, objects with `state` and
    `restore`, lists, tuples and dictionaries of these, and other objects by their attributes. Modules, functions,
    classes and sets are left out: the training saves the network's modules itself.
    """
    return _attributes(thing, set())


def restore_attributes(thing: object, state: State) -> None:
    """Set the attributes of an object that was constructed in the same way.

    Tensors, containers and objects are changed in place, since others may refer to them.
    """
    own = vars(thing)  # not setattr, which frozen dataclasses reject
    own.update({name: _restored(own.get(name), saved) for name, saved in state.items()})


def _without_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_arrays(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


_LEAVES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (np.generic, lambda number: number.item()),  # before _PLAIN, since np.float64 is a subclass of float
    *((kind, kind) for kind in _PLAIN),
    (Tensor, lambda tensor: tensor.detach()),
    (np.ndarray, torch.from_numpy),
    (torch.Generator, lambda generator: generator.get_state()),
    (np.random.Generator, lambda generator: _without_arrays(generator.bit_generator.state)),
    (torch.optim.Optimizer, lambda optimizer: optimizer.state_dict()),
)


def _attributes(thing: object, seen: set[int]) -> State:
    seen.add(id(thing))
    skipped = _MODULES_OWN if isinstance(thing, nn.Module) else ()
    states = {name: _state_of(value, seen) for name, value in vars(thing).items() if name not in skipped}
    return {name: state for name, state in states.items() if state is not None or vars(thing)[name] is None}


def _state_of(value: Any, seen: set[int]) -> Any:
    """The state of a value; None for a value without state, and for an object whose state was already taken."""
    for kind, state_of in _LEAVES:
        if isinstance(value, kind):
            return state_of(value)
    if id(value) in seen or isinstance(value, _WITHOUT_STATE):
        return None
    if isinstance(value, Stateful):
        return value.state()
    if isinstance(value, dict):
        return {key: _state_of(item, seen) for key, item in _keyed(value)}
    if isinstance(value, list | tuple | deque):
        return [_state_of(item, seen) for item in value]
    return _attributes(value, seen) if hasattr(value, "__dict__") else None


def _restored(current: Any, saved: Any) -> Any:
    """`current` with the saved state, changed in place if possible; otherwise the saved value."""
    if isinstance(current, Tensor | np.ndarray):
        return None if saved is None else _copied(current, saved)
    if isinstance(current, torch.Generator):
        current.set_state(saved)
    elif isinstance(current, np.random.Generator):
        current.bit_generator.state = saved
    elif isinstance(current, torch.optim.Optimizer):
        current.load_state_dict(saved)
    elif current is None or isinstance(current, (np.generic, *_PLAIN)):
        return saved
    elif saved is None or isinstance(current, _WITHOUT_STATE):
        return current
    elif isinstance(current, Stateful):
        current.restore(saved)
    elif isinstance(current, dict):
        keys = {key: name for (key, _), name in zip(_keyed(current), current, strict=True)}
        items = {keys.get(key, key): _restored(current.get(keys.get(key, key)), item) for key, item in saved.items()}
        current.clear()
        current.update(items)
    elif isinstance(current, list | tuple | deque):
        return _refilled(current, saved)
    else:
        restore_attributes(current, saved)
    return current


def _copied(current: Any, saved: Any) -> Any:
    """The tensor or array with the saved values, in place if shape and dtype are equal."""
    if isinstance(current, np.ndarray):
        saved = saved.numpy()
    if current.shape != saved.shape or current.dtype != saved.dtype:
        return saved
    with torch.no_grad():
        current[...] = saved
    return current


def _refilled(current: Any, saved: list[Any]) -> Any:
    """The sequence with the saved items; lists and deques in place, tuples as new ones of the same class."""
    known = [*current, *[None] * len(saved)]
    items = [_restored(old, item) for old, item in zip(known, saved, strict=False)]
    if isinstance(current, tuple):
        return current._make(items) if hasattr(current, "_make") else tuple(items)
    current.clear()
    current.extend(items)
    return current


def _keyed(mapping: dict[Any, Any]) -> Iterable[tuple[str | int, Any]]:
    """Items by keys that a file can hold: strings and integers themselves, others (e.g. sites) by position."""
    items = mapping.items()
    return ((key if type(key) in (str, int) else f"#{place}", item) for place, (key, item) in enumerate(items))
