"""Random streams: one per (seed, name), so that the draws of one component never change those of another.

So a regularizer that is switched off can equal the baseline bit for bit, and two regularizers with the same seed see
the same data in the same order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from tasks.runtime.eager import eager
from tasks.runtime.state import State, attributes_of, restore_attributes


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
    32-bit number per element from a scalar Mersenne twister. On an accelerator torch's generator is used.
    """

    def __init__(self, seed: int, name: str, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self._numpy = numpy_stream(seed, name)
        self._torch = torch_stream(seed, name, self.device)
        self._aside = numpy_stream(seed, f"{name}/aside"), torch_stream(seed, f"{name}/aside", self.device)

    def state(self) -> State:
        """The states of all generators."""
        return attributes_of(self)

    def swap(self) -> None:
        """Switch to the second pair of generators, or back: see `Streams.aside`."""
        here = self._numpy, self._torch
        (self._numpy, self._torch), self._aside = self._aside, here

    def restore(self, state: State) -> None:
        """Set the states of all generators."""
        restore_attributes(self, state)

    @eager
    def bernoulli(self, shape: tuple[int, ...], rate: float | Tensor) -> Tensor:
        """Boolean tensor of `shape`, each element True with probability `rate` in [0, 1], a scalar, independently.

        One random byte usually decides: with T = floor(256 rate), a byte below T is True and one above is False. For a
        byte equal to T (one in 256) a uniform number is compared with the remainder 256 rate - T, so that the
        probability is exact to double precision.
        """
        if self.device.type != "cpu":
            return torch.rand(shape, generator=self._torch, device=self.device) < rate
        size, rate = math.prod(shape), float(rate)
        threshold = min(math.floor(256 * rate), 255)
        words = self._numpy.bit_generator.random_raw(-(-size // 8))
        draws = np.asarray(words, dtype=np.uint64).view(np.uint8)[:size]
        mask = draws < threshold
        remainder = 256 * rate - threshold
        if remainder > 0:
            ties = _sparse_positions(draws == threshold)
            mask[ties] = self._numpy.random(len(ties)) < remainder
        return torch.from_numpy(mask).view(shape)

    @eager
    def bernoulli_each(self, num_samples: int, rates: Tensor) -> Tensor:
        """Boolean tensor (num_samples, *rates.shape), each element True with its own probability; see `bernoulli`."""
        if self.device.type != "cpu":
            return torch.rand((num_samples, *rates.shape), generator=self._torch, device=self.device) < rates
        scaled = 256 * rates.detach().numpy().astype(np.float64).reshape(-1)
        thresholds = np.minimum(np.floor(scaled), 255).astype(np.uint8)
        size = num_samples * len(scaled)
        words = self._numpy.bit_generator.random_raw(-(-size // 8))
        draws = np.asarray(words, dtype=np.uint64).view(np.uint8)[:size].reshape(num_samples, len(scaled))
        mask = draws < thresholds
        ties = np.flatnonzero(draws == thresholds)
        remainders = (scaled - thresholds)[ties % len(scaled)]
        mask.reshape(-1)[ties] = self._numpy.random(len(ties)) < remainders
        return torch.from_numpy(mask).view(num_samples, *rates.shape)

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
        if rate <= 0:
            return torch.empty(0, dtype=torch.int64)
        expected = size * rate
        num_gaps = math.ceil(expected + 5 * math.sqrt(expected)) + 10  # nearly always enough
        parts, last = [np.empty(0, dtype=np.int64)], -1
        while last < size:
            gaps = np.minimum(self._numpy.geometric(rate, num_gaps), size + 1)  # at tiny rates their sum could overflow
            parts.append(last + np.cumsum(gaps))
            last = int(parts[-1][-1])
        positions = np.concatenate(parts)
        return torch.from_numpy(positions[: np.searchsorted(positions, size)])


class Streams:
    """All mask streams of one training, whose states are saved together."""

    def __init__(self) -> None:
        self._made: dict[str, MaskStream] = {}
        self._awaited: dict[str, State] = {}

    def masks(self, seed: int, name: str, device: torch.device) -> MaskStream:
        """A new stream; if it is created after `restore`, it starts at the saved state of that name."""
        stream = MaskStream(seed, name, device)
        key = f"{name}#{sum(known.startswith(f'{name}#') for known in self._made)}"  # a name may be used twice
        self._made[key] = stream
        if key in self._awaited:
            stream.restore(self._awaited.pop(key))
        return stream

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let every stream use its second generators in the context, for passes that are not part of the training step.

        So the masks during an attack are independent of those of training, which do not change.
        """
        for stream in self._made.values():
            stream.swap()
        try:
            yield
        finally:
            for stream in self._made.values():
                stream.swap()

    def state(self) -> State:
        """The states of all streams."""
        return {key: stream.state() for key, stream in self._made.items()} | self._awaited

    def restore(self, state: State) -> None:
        """Set the states of all streams, and of those that are created later."""
        for key, stream in self._made.items():
            stream.restore(state[key])
        self._awaited = {key: where for key, where in state.items() if key not in self._made}


def _drawn_in(dtype: torch.dtype) -> torch.dtype:
    """`dtype` if it has 32 bits or more, else float32."""
    return torch.promote_types(dtype, torch.float32)


def _sparse_positions(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """`np.flatnonzero(flags)` for flags that are mostly False: skips words of eight False flags."""
    in_words = len(flags) - len(flags) % 8
    words = flags[:in_words].view(np.uint64)
    occupied = np.flatnonzero(words != 0)
    hits = np.flatnonzero(words[occupied].view(np.bool_))
    return np.concatenate([8 * occupied[hits // 8] + hits % 8, in_words + np.flatnonzero(flags[in_words:])])
