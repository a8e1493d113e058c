"""Random streams: one per (seed, name), so that the draws of one component never change those of another.

So a regularizer that is switched off can equal the baseline bit for bit, and two regularizers with the same seed see
the same data in the same order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.runtime.eager import eager
from tasks.runtime.passes import Draw, Passes
from tasks.runtime.state import State, attributes_of, restore_attributes

LARGEST_IN_16_BITS = 2**15  # elements of a mask; larger ones use 8-bit integers
RATE_OF_HUGE_GAPS = 1e-6  # below it gaps are cut: each is at most about 50 / rate, and their sum could overflow
MOST_AHEAD = 2**18  # elements, of at most four bytes each, that are drawn at once

Key = tuple[float | str, ...]


def stream_seed(seed: int, name: str) -> int:
    """A 63-bit seed for the stream `name` of a trial with seed `seed`.

    Example:
        >>> stream_seed(0, "order") == stream_seed(0, "order"), stream_seed(0, "order") == stream_seed(1, "order")
        (True, False)
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def numpy_stream(seed: int, name: str) -> np.random.Generator:
    """The numpy generator of the stream `name` (SFC64: the fastest of numpy's generators)."""
    return np.random.Generator(np.random.SFC64(stream_seed(seed, name)))


def torch_stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """The torch generator of the stream `name` on `device`.

    Torch's `meta` device, whose tensors have shapes but no values, takes generators of the CPU.
    """
    where = torch.device(device)
    return torch.Generator("cpu" if where.type == "meta" else where).manual_seed(stream_seed(seed, name))


class MaskStream:
    """Random draws for masks and noise on one device, from the stream (seed, name).

    On a CPU the bits come from numpy's SFC64: random numbers are most of the cost of dropout there, and torch draws one
    32-bit number per element from a scalar Mersenne twister. On an accelerator torch's generator is used, and fused
    kernels draw by a counter (`next_draw`).

    Args:
        seed: of the trial.
        name: of the stream.
        device: of the draws.
        passes: those of the training, which all its streams share; by default the stream's own.
    """

    def __init__(self, seed: int, name: str, device: torch.device | str, passes: Passes | None = None) -> None:
        self.device, self._seed = torch.device(device), seed
        self._key, self._passes = stream_seed(seed, name), passes or Passes()
        self._passes.show_on(self.device)
        self._begin(f"{name}/aside")
        self._aside = self._current()
        self._begin(name)

    def _begin(self, name: str) -> None:
        self._numpy, self._torch = numpy_stream(self._seed, name), torch_stream(self._seed, name, self.device)
        self._num_calls = 0  # of `next_draw` in this pass
        self._ahead_of: Key = ()  # what `_ahead` was drawn for
        self._ahead: list[Any] = []  # draws for the next calls, the last one first
        self._bits: NDArray[Any] = np.empty(0, dtype=np.uint16)  # random integers that were not used yet
        self._event_rate, self._until_event = 0.0, 0  # see `_next_events`

    def _current(self) -> tuple[Any, ...]:
        """Generators, and what was drawn from them for later calls."""
        drawn = self._ahead_of, self._ahead, self._bits, self._event_rate, self._until_event
        return self._numpy, self._torch, self._num_calls, *drawn

    def state(self) -> State:
        """The states of all generators, without the passes, which belong to all streams."""
        return {name: state for name, state in attributes_of(self).items() if name != "_passes"}

    def swap(self) -> None:
        """Switch to the second pair of generators, or back: see `Streams.aside`."""
        here = self._current()
        self._numpy, self._torch, self._num_calls, self._ahead_of, self._ahead, self._bits, *events = self._aside
        (self._event_rate, self._until_event), self._aside = events, here

    def restore(self, state: State) -> None:
        """Set the states of all generators."""
        restore_attributes(self, state)

    def next_draw(self) -> Draw:
        """For kernels with Philox inside, on a device with kernels: what identifies the next draw."""
        call, self._num_calls = self._num_calls, self._num_calls + 1
        return Draw(self._key, self._passes.number(), call)

    def begin_pass(self) -> None:
        """Count the calls of `next_draw` from 0; the number of the pass must be another."""
        self._num_calls = 0

    def ahead(
        self, key: Key, draw: Callable[[int], Sequence[Any]], num_elements: int, at_most: int = MOST_AHEAD
    ) -> Any:
        """Return the next of a sequence of independent draws; while `key` stays the same, several are made at once.

        For small masks the calls take longer than the random numbers.

        Args:
            key: all that the draws depend on; numbers and texts.
            draw: returns the given number of draws.
            num_elements: of one draw, so that those made at once have at most MOST_AHEAD.
            at_most: draws that are made at once.
        """
        if key != self._ahead_of:  # e.g. a schedule changes the rate at every step: draw only what is used
            self._ahead_of, self._ahead = key, []
            return draw(1)[0]
        if not self._ahead:
            self._ahead = list(draw(max(1, min(at_most, MOST_AHEAD // max(1, num_elements)))))
            self._ahead.reverse()
        return self._ahead.pop()

    @eager
    def bernoulli(self, shape: tuple[int, ...], rate: float | Tensor) -> Tensor:
        """Boolean tensor of `shape`, each element True with probability `rate` in [0, 1], a scalar, independently.

        Each element gets a random integer of 16 bits, or of 8 bits in large masks, where random bits are most of the
        cost. With M = 2^bits, r = min(rate, 1 - rate) and T = floor(M r), an element is an event if its integer is
        below T, which has the probability T / M <= r. To make up the difference, each element also becomes an event,
        independently, with probability q = (r - T / M) / (1 - T / M) < 2 / M. The probability of an event is then r to
        double precision. The few elements of the second kind are found by their gaps (`positions`). Events are True
        for rates up to 1/2, else False.
        """
        if self.device.type != "cpu":
            return torch.rand(shape, generator=self._torch, device=self.device) < rate
        size, rate = math.prod(shape), float(rate)
        rate_of_events = min(rate, 1 - rate)
        is_small = size <= LARGEST_IN_16_BITS
        draws = self._integers_ahead(size) if is_small else self._integers(size, num_bytes=1)
        num_values = 65536 if is_small else 256
        threshold = int(num_values * rate_of_events)
        mask = draws < threshold if rate <= 0.5 else draws >= threshold
        missing = num_values * rate_of_events - threshold
        if missing > 0:
            added = missing / (num_values - threshold)
            mask[self._next_events(size, added) if is_small else self._positions(size, added)] = rate <= 0.5
        return torch.from_numpy(mask.reshape(shape))

    def _integers_ahead(self, size: int) -> NDArray[Any]:
        """Integers of 16 bits, drawn in bulk."""
        if len(self._bits) < size:
            self._bits = self._integers(max(size, LARGEST_IN_16_BITS), num_bytes=2)
        draws, self._bits = self._bits[:size], self._bits[size:]
        return draws

    def _next_events(self, size: int, rate: float) -> list[int]:
        """`positions` for small rates: the distance to the next event is kept from one call to the next.

        The geometric distribution has no memory, so the distance can be drawn again when the rate changes.
        """
        if rate != self._event_rate:
            self._event_rate, self._until_event = rate, int(self._numpy.geometric(rate)) - 1
        found = []
        at = self._until_event
        while at < size:
            found.append(at)
            at += int(self._numpy.geometric(rate))
        self._until_event = at - size
        return found

    @eager
    def bernoulli_each(self, num_samples: int, rates: Tensor) -> Tensor:
        """Boolean tensor (num_samples, *rates.shape), each element True with its own probability.

        With T = floor(65536 rate), a random 16-bit integer below T gives True and one above T gives False. If it equals
        T, a uniform number below 65536 rate - T gives True, so that the probability is exact to double precision.
        """
        if self.device.type != "cpu":
            return torch.rand((num_samples, *rates.shape), generator=self._torch, device=self.device) < rates
        scaled = 65536 * rates.detach().numpy().astype(np.float64).reshape(-1)
        thresholds = np.minimum(scaled, 65535).astype(np.uint16)
        draws = self._integers_ahead(num_samples * len(scaled)).reshape(num_samples, len(scaled))
        mask = draws < thresholds
        are_ties = draws == thresholds
        if are_ties.any():
            _, units = ties = np.nonzero(are_ties)
            mask[ties] = self._numpy.random(len(units)) < (scaled - thresholds)[units]
        return torch.from_numpy(mask.reshape(num_samples, *rates.shape))

    def _integers(self, size: int, num_bytes: Literal[1, 2]) -> NDArray[Any]:
        """Independent uniform integers of 8 or 16 bits."""
        words = np.asarray(self._numpy.bit_generator.random_raw(-(-size * num_bytes // 8)), dtype=np.uint64)
        return words.view(np.uint8 if num_bytes == 1 else np.uint16)[:size]

    @eager
    def normal(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal tensor of `shape`, drawn in at least 32 bits and rounded to `dtype`.

        So a training in 16 bits has the same draws as one in 32 bits.
        """
        drawn = torch.randn(shape, generator=self._torch, device=self.device, dtype=_drawn_in(dtype))
        return drawn.to(dtype)

    @eager
    def uniform(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Uniform tensor on [0, 1) of `shape`, in `dtype`, but in at least 32 bits.

        16 bits are too coarse: with 256 values, events of small probability would never occur, or too often, and the
        value 1 could occur by rounding.
        """
        return torch.rand(shape, generator=self._torch, device=self.device, dtype=_drawn_in(dtype))

    @eager
    def positions(self, size: int, rate: float) -> Tensor:
        """Sorted positions (int64) of the successes among `size` independent trials with probability `rate`.

        The gaps between successes have a geometric distribution; drawing them is exact and needs about rate * size
        draws instead of size. Efficient for small rates.
        """
        if self.device.type != "cpu":
            return torch.rand(size, generator=self._torch, device=self.device).lt(rate).nonzero().squeeze(1)
        return torch.from_numpy(self._positions(size, rate))

    def _positions(self, size: int, rate: float) -> NDArray[np.int64]:
        """`positions` on a CPU."""
        if rate <= 0:
            return np.empty(0, dtype=np.int64)
        expected = size * rate
        num_gaps = int(expected + 5 * math.sqrt(expected)) + 10  # nearly always enough
        found = self._successes(num_gaps, size, rate)
        while found[-1] < size:
            found = np.concatenate([found, found[-1] + 1 + self._successes(num_gaps, size, rate)])
        return found[: found.searchsorted(size)]

    def _successes(self, num_gaps: int, size: int, rate: float) -> NDArray[np.int64]:
        """Positions of the next `num_gaps` successes, from 0; huge gaps are cut, or their sum could overflow."""
        gaps = self._numpy.geometric(rate, num_gaps)
        if rate < RATE_OF_HUGE_GAPS:
            np.minimum(gaps, size + 1, out=gaps)
        gaps[0] -= 1
        return gaps.cumsum(out=gaps)


class Streams:
    """All mask streams of one training, whose states are saved together."""

    def __init__(self) -> None:
        self._made: dict[str, MaskStream] = {}
        self._awaited: dict[str, State] = {}
        self._passes = Passes()

    def masks(self, seed: int, name: str, device: torch.device) -> MaskStream:
        """A new stream; if it is created after `restore`, it starts at the saved state of that name."""
        stream = MaskStream(seed, name, device, self._passes)
        key = f"{name}#{sum(known.startswith(f'{name}#') for known in self._made)}"  # a name may be used twice
        self._made[key] = stream
        if key in self._awaited:
            stream.restore(self._awaited.pop(key))
        return stream

    def number_passes_of(self, network: nn.Module) -> None:
        """Let each pass of `network` in training mode have a number, if a stream is on a device with kernels.

        So the calls of a stream are counted from 0 in every pass: code that was compiled for one pass fits the others.
        """
        if self._passes.are_counted:
            network.register_forward_pre_hook(self._begin_pass)

    def _begin_pass(self, network: nn.Module, inputs: object) -> None:
        if network.training:
            self._passes.begin()
            for stream in self._made.values():
                stream.begin_pass()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let every stream use its second generators in the context, for passes that are not part of the training step.

        So the masks during an attack are independent of those of training, which do not change.
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        self._passes.swap()
        for stream in self._made.values():
            stream.swap()

    def state(self) -> State:
        """The states of all streams, and the numbers of the passes."""
        streams = {key: stream.state() for key, stream in self._made.items()} | self._awaited
        return {"streams": streams, "passes": self._passes.state()}

    def restore(self, state: State) -> None:
        """Set the states of all streams, and of those that are created later."""
        streams = state["streams"]
        for key, stream in self._made.items():
            stream.restore(streams[key])
        self._awaited = {key: where for key, where in streams.items() if key not in self._made}
        self._passes.restore(state["passes"])


def _drawn_in(dtype: torch.dtype) -> torch.dtype:
    """`dtype` if it has 32 bits or more, else float32."""
    return torch.promote_types(dtype, torch.float32)
