"""Passes of a network have numbers on devices with kernels, by which no two draws are the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tasks.runtime.kernel_devices import kernels_on
from tasks.runtime.passes import FIRST_ASIDE
from tasks.runtime.streams import MaskStream, Streams

CPU = torch.device("cpu")
Identity = tuple[int, int, int]


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    with kernels_on("cpu"):
        yield


class Drawing(nn.Module):
    """A network that draws twice in a pass, and knows its last draws."""

    def __init__(self, stream: MaskStream) -> None:
        super().__init__()
        self.stream = stream
        self.drawn: list[Identity] = []

    def forward(self, x: Tensor) -> Tensor:
        draws = [self.stream.next_draw() for _ in range(2)]
        self.drawn = [(draw.key, int(draw.pass_number), draw.call) for draw in draws]
        return x


def made(*names: str) -> tuple[Streams, list[Drawing]]:
    streams = Streams()
    networks = [Drawing(streams.masks(0, name, CPU)) for name in names]
    for network in networks:
        streams.number_passes_of(network)
    return streams, networks


def draws_of(network: Drawing, num_passes: int = 1) -> list[Identity]:
    drawn = []
    for _ in range(num_passes):
        network(torch.ones(1))
        drawn += network.drawn
    return drawn


def test_calls_are_counted_in_each_pass_and_passes_in_the_training() -> None:
    _, (network,) = made("here")
    drawn = draws_of(network, num_passes=3)
    assert [(number, call) for _, number, call in drawn] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]


def test_no_two_draws_are_the_same() -> None:
    """Of two streams, in passes of the training and aside, in evaluation mode too."""
    streams, networks = made("here", "there")
    drawn = []
    for _ in range(2):
        for network in networks:
            drawn += draws_of(network.train(), num_passes=2)
            drawn += draws_of(network.eval())
            with streams.aside():
                drawn += draws_of(network.train(), num_passes=2)
    assert len(set(drawn)) == len(drawn)


def test_passes_aside_leave_those_of_the_training_where_they_were() -> None:
    (_, (plain,)), (streams, (network,)) = made("here"), made("here")
    expected = draws_of(plain, num_passes=3)
    drawn = draws_of(network)
    with streams.aside():
        assert all(number > FIRST_ASIDE for _, number, _ in draws_of(network, num_passes=2))
    assert drawn + draws_of(network, num_passes=2) == expected


def test_a_backward_pass_finds_the_number_of_its_forward_pass() -> None:
    _, (network,) = made("here")
    numbers = []
    for _ in range(3):
        network(torch.ones(1))
        numbers.append(network.stream.next_draw().pass_number)
    assert [int(number) for number in numbers] == [1, 2, 3]


def test_a_training_that_resumes_draws_what_would_have_come_next() -> None:
    (streams, (network,)), (others, (other,)) = made("here"), made("here")
    draws_of(network, num_passes=5)
    with streams.aside():
        draws_of(network)
    network.stream.next_draw()  # between two passes
    others.restore(copy.deepcopy(streams.state()))

    def next_draws(streams: Streams, network: Drawing) -> list[Identity]:
        draw = network.stream.next_draw()
        with streams.aside():
            aside = draws_of(network)
        return [(draw.key, int(draw.pass_number), draw.call), *aside, *draws_of(network)]

    assert next_draws(others, other) == next_draws(streams, network)


def test_a_copy_of_a_network_counts_its_own_passes() -> None:
    _, (network,) = made("here")
    draws_of(network)
    other = copy.deepcopy(network)
    assert draws_of(other) == draws_of(network)


def test_without_kernels_passes_are_not_counted() -> None:
    with kernels_on("cuda"):
        _, (network,) = made("here")
    assert not network._forward_pre_hooks
    with pytest.raises(RuntimeError, match="Passes are counted only for devices with kernels"):
        network(torch.ones(1))
