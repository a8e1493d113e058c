"""Random streams: the right laws, and no stream is moved by another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from tiny_tasks import binomial_bound

from tasks.runtime import streams
from tasks.runtime.streams import MaskStream, numpy_stream, stream_seed, torch_stream

RATES = [0.0, 1e-4, 1 / 256, 0.1, 0.5, 0.7, 193 / 256, 0.999, 1.0]
NUM_DRAWS = 200_000


def stream(name: str = "here", seed: int = 0) -> MaskStream:
    return MaskStream(seed, name, "cpu")


@pytest.mark.parametrize("rate", RATES)
def test_successes_come_at_the_rate(rate: float) -> None:
    mask = stream().bernoulli((NUM_DRAWS,), rate)
    assert mask.dtype == torch.bool
    assert abs(float(mask.double().mean()) - rate) <= binomial_bound(rate, NUM_DRAWS)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_numbers_in_16_bits_are_those_drawn_in_32(dtype: torch.dtype) -> None:
    uniform = stream().uniform((1000,), dtype)
    assert torch.equal(uniform, stream().uniform((1000,)))  # not rounded: 1 would be among them
    normal = stream().normal((1000,), dtype)
    assert torch.equal(normal, stream().normal((1000,)).to(dtype))
    assert stream().uniform((3,), torch.float64).dtype == torch.float64


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_of_0_and_1_have_no_exception(rate: float) -> None:
    assert stream().bernoulli((NUM_DRAWS,), rate).eq(rate == 1.0).all()


class EachIntegerOnce:
    """A generator of random bits that gives each integer of 8 or 16 bits once, and fixed uniform numbers."""

    def __init__(self, dtype: type[np.unsignedinteger], uniform: float = 0.0) -> None:
        self.words = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).view(np.uint64)
        self.bit_generator, self.uniform = self, uniform

    def random_raw(self, num_words: int) -> np.ndarray:
        assert num_words == len(self.words)
        return self.words

    def random(self, size: int) -> np.ndarray:
        return np.full(size, self.uniform)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("rate", RATES)
def test_the_rate_is_exact_and_not_rounded_to_what_the_random_bits_can_tell(
    rate: float, dtype: type[np.unsignedinteger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probability over all integers, and over the events that are added to them, of which only the rate matters."""
    monkeypatch.setattr(streams, "LARGEST_IN_16_BITS", 0 if dtype is np.uint8 else 2**16)
    fixed, added = stream(), [0.0]
    fixed._numpy = EachIntegerOnce(dtype)
    fixed._positions = lambda size, q: added.append(q) or np.empty(0, dtype=np.int64)
    fixed._next_events = lambda size, q: added.append(q) or []
    num_values = np.iinfo(dtype).max + 1
    successes = float(fixed.bernoulli((num_values,), rate).double().mean())
    unchanged = 1 - added[-1]  # probability that no event is added
    exact = 1 - (1 - successes) * unchanged if rate <= 0.5 else successes * unchanged
    assert exact == pytest.approx(rate, abs=1e-16, rel=1e-15)
    assert added[-1] < 2 / num_values


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_an_event_that_is_added_is_a_success_at_a_small_rate_and_a_failure_at_a_large_one(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LARGEST_IN_16_BITS", 2**16)
    fixed = stream()
    fixed._numpy, fixed._next_events = EachIntegerOnce(np.uint16), lambda size, q: list(range(size))
    assert fixed.bernoulli((2**16,), rate).eq(rate < 0.5).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.999])
def test_rates_of_single_units_are_exact(rate: float, uniform: float) -> None:
    fixed = stream()
    fixed._numpy = EachIntegerOnce(np.uint16, uniform)
    whole = min(math.floor(65536 * rate), 65535)
    drawn = fixed.bernoulli_each(2**16, torch.tensor([rate], dtype=torch.float64))
    assert int(drawn.sum()) == whole + (uniform < 65536 * rate - whole)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("lag", [1, 2, 8, 64])
def test_draws_at_any_distance_are_independent(rate: float, lag: int) -> None:
    mask = stream().bernoulli((NUM_DRAWS,), rate)
    both = float((mask[lag:] & mask[:-lag]).double().mean())
    # Overlapping pairs share draws, which at most doubles the variance of the count.
    assert abs(both - rate**2) <= math.sqrt(2) * binomial_bound(rate**2, NUM_DRAWS - lag)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5), (2, 3, 4, 5)], ids=str)
def test_masks_have_the_shape_asked_for(shape: tuple[int, ...]) -> None:
    assert stream().bernoulli(shape, 0.5).shape == shape
    assert stream().normal(shape).shape == stream().uniform(shape).shape == shape


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 1.0])
def test_positions_are_sorted_distinct_and_as_many_as_successes_would_be(rate: float) -> None:
    source, size, num_draws = stream(), 50, 4000
    drawn = [source.positions(size, rate) for _ in range(num_draws)]
    assert all(torch.equal(positions, positions.unique()) for positions in drawn)
    counts = torch.tensor([len(positions) for positions in drawn]).double()
    assert abs(float(counts.mean()) / size - rate) <= binomial_bound(rate, size * num_draws)
    variance = size * rate * (1 - rate)  # of a binomial count; that of its estimate is about 2 / n of its square
    assert abs(float(counts.var()) - variance) <= 5 * (2 * variance**2 + variance) ** 0.5 / num_draws**0.5 + 1e-12


@pytest.mark.parametrize("draw", [MaskStream.positions, MaskStream._next_events])
def test_every_subset_of_positions_is_as_likely_as_by_single_draws(draw: Callable[..., Sequence[int]]) -> None:
    source, size, rate, num_draws = stream(), 4, 0.3, 20_000
    observed = np.zeros(2**size)
    for _ in range(num_draws):
        observed[sum(2 ** int(position) for position in draw(source, size, rate))] += 1
    sizes = np.array([bin(subset).count("1") for subset in range(2**size)])
    expected = num_draws * rate**sizes * (1 - rate) ** (size - sizes)
    assert chi2.sf(((observed - expected) ** 2 / expected).sum(), 2**size - 1) > 6e-7


def test_the_next_events_follow_a_rate_that_changes_in_every_call() -> None:
    """The events of one call are independent of those of the call before, whatever the rates."""
    source, num_draws = stream(), 20_000
    drawn = [[len(source._next_events(1, rate)) for rate in (0.2, 0.6)] for _ in range(num_draws)]
    first, second = np.array(drawn).T
    assert abs(first.mean() - 0.2) <= binomial_bound(0.2, num_draws)
    assert abs(second.mean() - 0.6) <= binomial_bound(0.6, num_draws)
    assert abs((first * second).mean() - 0.12) <= binomial_bound(0.12, num_draws)


def test_what_is_drawn_ahead_is_used_in_turn_and_only_for_what_it_was_drawn_for() -> None:
    source, asked = stream(), []

    def draw(num: int) -> list[int]:
        asked.append(num)
        return list(range(10 * len(asked), 10 * len(asked) + num))

    def take(rate: float) -> int:
        return source.ahead(("elements", rate), draw, streams.MOST_AHEAD // 3)

    assert [take(0.1) for _ in range(6)] == [10, 20, 21, 22, 30, 31]
    assert [take(rate) for rate in (0.2, 0.3, 0.3)] == [40, 50, 60]
    assert asked == [1, 3, 3, 1, 1, 3], "a rate that changes in every step is drawn for one step at a time"


def test_normal_and_uniform_draws_have_their_laws() -> None:
    normal, uniform = stream().normal((NUM_DRAWS,), torch.float64), stream().uniform((NUM_DRAWS,), torch.float64)
    assert abs(float(normal.mean())) <= 5 / NUM_DRAWS**0.5
    assert abs(float(normal.var()) - 1) <= 5 * (2 / NUM_DRAWS) ** 0.5
    assert 0 <= float(uniform.min()) <= float(uniform.max()) < 1
    tenths = torch.histc(uniform.float(), 10, 0, 1).double()
    assert ((tenths / NUM_DRAWS - 0.1).abs() <= binomial_bound(0.1, NUM_DRAWS)).all()


def test_a_stream_follows_from_its_seed_and_name_alone() -> None:
    def draws(source: MaskStream) -> list[torch.Tensor]:
        return [source.bernoulli((64,), 0.5), source.uniform((64,)), source.positions(1000, 0.1)]

    torch.manual_seed(5)
    first = draws(stream("a"))
    torch.manual_seed(6)
    stream("b").bernoulli((1000,), 0.5)
    assert all(torch.equal(*pair) for pair in zip(first, draws(stream("a")), strict=True))
    for other in (stream("b"), stream("a", seed=1)):
        assert not any(torch.equal(*pair) for pair in zip(first, draws(other), strict=True))


def test_streams_of_different_names_are_uncorrelated() -> None:
    one, other = (stream(name).bernoulli((NUM_DRAWS,), 0.5) for name in ("dropout/a", "dropout/b"))
    assert abs(float((one & other).double().mean()) - 0.25) <= binomial_bound(0.25, NUM_DRAWS)


def test_seeds_fit_every_generator_and_differ_by_seed_and_name() -> None:
    seeds = {stream_seed(seed, name) for seed in range(50) for name in ("order", "weights", "1/order")}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert stream_seed(1, "1/order") != stream_seed(11, "/order")


def test_named_generators_repeat_themselves() -> None:
    assert numpy_stream(3, "x").random() == numpy_stream(3, "x").random() != numpy_stream(3, "y").random()
    first, second = (torch.rand(4, generator=torch_stream(3, "x")) for _ in range(2))
    assert torch.equal(first, second)
