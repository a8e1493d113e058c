"""What objects remember across a break: all that is no module and no function, through a file of plain values."""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.runtime.state import State, attributes_of, restore_attributes
from tasks.runtime.streams import MaskStream, Streams


class Pair(NamedTuple):
    first: float
    second: Tensor


class Counter:
    """An object of no kind known."""

    def __init__(self) -> None:
        self.count = 0
        self.owner: object = None

    def move(self) -> None:
        self.count += 1


class Secretive:
    """Keeps its state where nobody looks, and says so."""

    def __init__(self) -> None:
        numbers = [1]
        self.add = lambda: numbers.append(len(numbers))
        self.numbers = lambda: numbers

    def state(self) -> State:
        return {"numbers": self.numbers()}

    def restore(self, state: State) -> None:
        self.numbers()[:] = state["numbers"]


class Everything:
    """An attribute of every kind, all of which move."""

    def __init__(self) -> None:
        self.number, self.flag, self.text, self.nothing = np.float64(0.5), False, "a", None
        self.tensor, self.array = torch.zeros(2), np.zeros(2)
        self.torch_draws, self.numpy_draws = torch.Generator().manual_seed(1), np.random.default_rng(1)
        self.weight = nn.Parameter(torch.ones(3))
        self.optimizer = torch.optim.SGD([self.weight], lr=0.1, momentum=0.9)
        self.history: list[float] = []
        self.window: deque[float] = deque([1.0, 2.0], maxlen=2)
        self.best: dict[str, Tensor] = {}
        self.pair = Pair(0.0, torch.zeros(1))
        self.counters = [Counter(), Counter()]
        self.by_object = {self.counters[0]: 0.0}
        self.secretive = Secretive()
        self.counters[0].owner = self  # a circle
        self.seen = self.tensor  # a second name
        self.module = nn.Linear(1, 1)

    def move(self) -> list[float]:
        """Change everything; returns what was drawn and what came out."""
        self.number, self.flag, self.text = self.number + 1, True, self.text + "b"
        self.tensor += torch.rand(2, generator=self.torch_draws)
        self.array += self.numpy_draws.random(2)
        self.weight.grad = torch.rand(3, generator=self.torch_draws)
        self.optimizer.step()
        self.history.append(float(self.tensor.sum()))
        self.window.append(float(self.array.sum()))
        self.best[f"step {len(self.history)}"] = self.tensor.clone()
        self.pair = Pair(self.pair.first + 1, self.pair.second + 1)
        self.counters[1].move()
        self.by_object[self.counters[0]] += 1
        self.secretive.add()
        return self.all_of_it()

    def all_of_it(self) -> list[Any]:
        best = {name: tensor.tolist() for name, tensor in self.best.items()}
        return [
            self.number, self.flag, self.text, self.tensor.tolist(), self.array.tolist(), self.weight.tolist(),
            self.history[:], list(self.window), best, self.pair.first, self.pair.second.item(),
            self.counters[1].count, self.by_object[self.counters[0]], self.secretive.numbers()[:], self.seen.tolist(),
        ]  # fmt: skip


def through_a_file(state: State) -> State:
    torch.save(state, content := io.BytesIO())
    content.seek(0)
    loaded: State = torch.load(content, weights_only=True)
    return loaded


def test_an_object_made_afresh_goes_on_exactly_as_the_one_whose_state_it_got() -> None:
    first = Everything()
    first.move(), first.move()
    second = Everything()
    restore_attributes(second, through_a_file(attributes_of(first)))
    assert second.all_of_it() == first.all_of_it()
    for _ in range(3):
        assert second.move() == first.move()


def test_what_others_hold_of_it_changes_along() -> None:
    first = Everything()
    first.move()
    second = Everything()
    tensor, history, best, window, counter = (
        second.tensor, second.history, second.best, second.window, second.counters[1]
    )  # fmt: skip
    restore_attributes(second, through_a_file(attributes_of(first)))
    assert torch.equal(tensor, first.tensor)
    assert (history, list(window), counter.count) == (first.history, list(first.window), 1)
    assert torch.equal(best["step 1"], first.best["step 1"])


def test_what_was_not_there_yet_is_taken_away_again() -> None:
    thing = Everything()
    before = through_a_file(attributes_of(thing))
    thing.nothing = torch.ones(2)
    thing.move()
    restore_attributes(thing, before)
    assert thing.nothing is None
    assert thing.all_of_it() == Everything().all_of_it()


def test_frozen_dataclasses_are_restored_too() -> None:
    @dataclass(frozen=True)
    class Frozen:
        calls: list[str] = field(default_factory=list)

    first, second = Frozen(["a"]), Frozen()
    held = second.calls
    restore_attributes(second, through_a_file(attributes_of(first)))
    assert held == ["a"]


def test_of_a_module_only_what_is_its_own_is_kept() -> None:
    class Counting(nn.Linear):
        num_calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.num_calls += 1
            return super().forward(x)

    module = Counting(1, 1).eval()
    module(torch.zeros(1, 1))
    assert attributes_of(module) == {"in_features": 1, "out_features": 1, "num_calls": 1}


def test_streams_go_on_where_they_stood_also_those_of_one_name_and_those_made_later() -> None:
    first, second = Streams(), Streams()
    device = torch.device("cpu")
    streams = [first.masks(0, name, device) for name in ("a", "a", "b")]
    streams[0].bernoulli((100,), 0.3), streams[1].normal((5,)), streams[2].bernoulli((7,), 0.5)
    again = [second.masks(0, "a", device), second.masks(0, "a", device)]
    second.restore(through_a_file(first.state()))
    assert through_a_file(second.state()).keys() == first.state().keys()
    again.append(second.masks(0, "b", device))
    for stream, other in zip(streams, again, strict=True):
        assert torch.equal(stream.bernoulli((1000,), 0.3), other.bernoulli((1000,), 0.3))
        assert torch.equal(stream.normal((10,)), other.normal((10,)))


def test_a_stream_draws_what_would_have_come_next() -> None:
    stream, other = MaskStream(1, "x", "cpu"), MaskStream(1, "x", "cpu")
    stream.bernoulli((13,), 0.3)
    state = through_a_file(stream.state())
    expected = [stream.bernoulli((99,), 0.31), stream.uniform((9,)), stream.positions(1000, 0.01)]
    other.restore(state)
    assert all(
        map(torch.equal, expected, [other.bernoulli((99,), 0.31), other.uniform((9,)), other.positions(1000, 0.01)])
    )


def test_numbers_of_numpy_come_back_as_numbers() -> None:
    kept, fresh = SimpleNamespace(), SimpleNamespace()
    kept.count, kept.share, kept.done = np.int64(7), np.float32(2.5), np.bool_(True)
    fresh.count, fresh.share, fresh.done = np.int64(0), np.float32(0), np.bool_(False)
    restore_attributes(fresh, through_a_file(attributes_of(kept)))
    assert (fresh.count, fresh.share, fresh.done) == (7, 2.5, True)
