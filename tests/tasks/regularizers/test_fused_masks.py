"""The fused kernels in Triton's interpreter: the laws of the portable masks, and equal to them on the same draws.

The interpreter must be chosen before Triton is loaded, so these tests run in a process of their own, which
`test_fused_choice.py` starts.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from philox import philox, uniform
from scipy import stats
from tiny_tasks import binomial_bound
from torch import Tensor, nn

from tasks.regularizers.fused import operators
from tasks.regularizers.fused.masks import (
    distorted_blocks,
    masked_alike,
    masked_blocks,
    masked_channels,
    masked_elements,
    masked_grid,
    masked_samples,
    masked_units,
    noisy_elements,
    shaken_samples,
)
from tasks.regularizers.fused.rates import ScheduledRate
from tasks.regularizers.generalized_dropout import FamilyMask, GeneralizedDropout
from tasks.regularizers.parts.distortion import largest_weights
from tasks.regularizers.shakedrop import Shake, ShakeDrop
from tasks.runtime.kernel_devices import INTERPRETER, is_available
from tasks.runtime.passes import Draw
from tasks.runtime.streams import MaskStream, Streams
from tasks.theory.drop_rates import keep_matrix

pytestmark = pytest.mark.skipif(
    os.environ.get(INTERPRETER) != "1" or not is_available(), reason=f"needs Triton and {INTERPRETER}=1"
)
KEEP = 0.7
DROP = 1 - KEEP
HALF_WAY = ScheduledRate(2 * DROP, torch.tensor(0.5))  # of a schedule: the same rate
LAYOUTS = {"rows first": torch.contiguous_format, "channels last": torch.channels_last}


def stream(seed: int = 0) -> MaskStream:
    return MaskStream(seed, "here", "cpu")


def draw(key: int, number: int = 3, call: int = 0) -> Draw:
    return Draw(key, torch.tensor(number), call)


def learned(rate: float) -> ScheduledRate:
    """A rate as a site that learns it has it."""
    return ScheduledRate(1.0, torch.tensor(rate))


def ones(*shape: int, layout: str = "rows first") -> Tensor:
    return torch.ones(shape).to(memory_format=LAYOUTS[layout])


MASKS: dict[str, Callable[[Tensor, MaskStream], Tensor]] = {
    "elements": lambda x, s: masked_elements(x, s, DROP),
    "elements by a schedule": lambda x, s: masked_elements(x, s, HALF_WAY),
    "elements by learned rates": lambda x, s: masked_units(x, s, torch.full(x.shape[1:], KEEP), 1 / KEEP),
    "channels": lambda x, s: masked_channels(x, s, DROP),
    "channels by a schedule": lambda x, s: masked_channels(x, s, HALF_WAY),
    "samples": lambda x, s: masked_samples(x, s, DROP),
    "one for the batch": lambda x, s: masked_alike(x, s, DROP),
    "blocks of a grid": lambda x, s: masked_grid(x, s, DROP, 2),
    "blocks of a grid by a schedule": lambda x, s: masked_grid(x, s, HALF_WAY, 2),
    "blocks": lambda x, s: masked_blocks(x, s, DROP, 2, is_realised=True),
    "blocks by a schedule": lambda x, s: masked_blocks(x, s, HALF_WAY, 2, is_realised=True),
    "blocks at a learned rate": lambda x, s: masked_blocks(x, s, learned(DROP), 2, is_realised=False),
}


def test_philox_has_its_published_values() -> None:
    assert philox([0, 0, 0, 0], 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("key", [7, 2**62 + 12345])
@pytest.mark.parametrize("number", [0, 2**31 + 5], ids=["first pass", "pass aside"])
@pytest.mark.parametrize("call", [0, 3])
def test_elements_are_kept_by_the_words_of_philox(key: int, number: int, call: int) -> None:
    """Its counter is the index (64 bits), the pass, and the call beside the purpose (8 bits)."""
    size, block = 200, 64  # of four groups: the least power of 2 from 200 / 4 on
    kept = operators.mask_elements(torch.ones(size), None, None, *draw(key, number, call), 0.4, 1.0, False)
    words = [philox([i % block, 0, number, call * 256], key)[i // block] for i in range(size)]
    assert kept.tolist() == [float(uniform(word) < np.float32(0.4)) for word in words]


@pytest.mark.parametrize(
    "name", [name for name in MASKS if name not in ("blocks", "blocks by a schedule", "blocks at a learned rate")]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_kept_comes_at_its_rate_and_is_scaled(name: str, layout: str) -> None:
    x = torch.rand(10, 6, 6, 6).add(1).to(memory_format=LAYOUTS[layout])
    y = MASKS[name](x, stream())
    kept = y != 0
    torch.testing.assert_close(y, x * kept / KEEP)
    assert y.stride() == x.stride()
    sharings = {"channels": 36, "samples": 6 * 36, "one for the batch": 10, "blocks of a grid": 4}
    sharing = sharings.get(name.removesuffix(" by a schedule"), 1)
    assert abs(float(kept.double().mean()) - KEEP) <= float(binomial_bound(KEEP, x.numel() // sharing))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_0_and_1_are_exact(rate: float) -> None:
    scheduled = ScheduledRate(1.0, torch.tensor(1 - rate))
    for drop_rate in (1 - rate, scheduled):
        assert bool((masked_elements(ones(100, 100), stream(), drop_rate, is_inverted=False) == rate).all())


@pytest.mark.parametrize("block_size", [1, 2])
def test_at_the_beginning_of_a_schedule_nothing_changes(block_size: int) -> None:
    x, rate = torch.randn(5, 4, 6, 6), ScheduledRate(0.9, torch.tensor(0.0))
    assert torch.equal(masked_elements(x, stream(), rate), x)
    assert torch.equal(masked_blocks(x, stream(), rate, block_size, is_realised=True), x)
    y = distorted_blocks(
        x, stream(), rate, block_size, step_size=2.0, layer=None, is_official=True, is_realised=block_size > 1
    )
    assert torch.equal(y, x)


def test_a_schedule_that_ends_nowhere_needs_no_kernel() -> None:
    x = ones(4, 3, 6, 6)
    assert masked_elements(x, stream(), 0.0) is x
    assert masked_blocks(x, stream(), 0.0, 3, is_realised=True) is x


@pytest.mark.parametrize("is_inverted", [False, True])
def test_kept_elements_are_divided_by_the_keep_rate_of_the_schedule_if_asked_for(is_inverted: bool) -> None:
    y = masked_elements(ones(50, 50), stream(), HALF_WAY, is_inverted=is_inverted)
    assert y.unique().tolist() == pytest.approx([0, 1 / KEEP if is_inverted else 1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_are_shared_by_what_they_say(layout: str) -> None:
    x = ones(8, 6, 5, 7, layout=layout)
    channels, samples, alike, grid = (
        MASKS[name](x, stream()) != 0 for name in ("channels", "samples", "one for the batch", "blocks of a grid")
    )
    assert torch.equal(channels, channels[:, :, :1, :1].expand_as(x))
    assert 0 < int(channels[:, :, 0, 0].sum()) < 48
    assert torch.equal(samples, samples[:, :1, :1, :1].expand_as(x))
    assert torch.equal(alike, alike[:1].expand_as(x))
    for axis in (2, 3):
        blocks = grid.index_select(axis, torch.arange(0, x.shape[axis], 2)).repeat_interleave(2, axis)
        assert torch.equal(grid, blocks.narrow(axis, 0, x.shape[axis]))


def test_units_are_masked_in_blocks_along_a_sample() -> None:
    kept = masked_grid(ones(60, 7), stream(), DROP, 3) != 0
    assert torch.equal(kept, kept[:, [0, 3, 6]].repeat_interleave(3, 1)[:, :7])
    rates = kept.double().mean(0)
    assert bool(((rates - KEEP).abs() <= binomial_bound(KEEP, 60)).all())


def test_learned_rates_belong_to_their_elements() -> None:
    rates = torch.linspace(0, 1, 12)
    for shape, layout in (((12,), "rows first"), ((3, 2, 2), "rows first"), ((3, 2, 2), "channels last")):
        shares = (
            (masked_units(ones(3000, *shape, layout=layout), stream(), rates.view(shape), 1.0) != 0)
            .double()
            .mean(0)
            .flatten()
        )
        assert bool(((shares - rates).abs() <= binomial_bound(rates, 3000)).all())


@pytest.mark.parametrize("is_learned", [False, True])
@pytest.mark.parametrize(("size", "block_size"), [((6, 9), 3), ((5, 5), 1), ((4, 4), 7), ((17, 20), 5)])
def test_pixels_are_kept_at_dropblocks_rates(size: tuple[int, int], block_size: int, is_learned: bool) -> None:
    drop_rate, num_maps = 0.2, 100
    rate = learned(drop_rate) if is_learned else drop_rate
    kept = masked_blocks(ones(num_maps // 10, 10, *size), stream(), rate, block_size, is_realised=False) != 0
    expected = keep_matrix(drop_rate, block_size, *size).double()
    error = (kept.double().mean((0, 1)) - expected).abs()
    assert bool((error <= binomial_bound(expected, num_maps, sigmas=5.5)).all())


def test_blocks_are_the_portable_ones_of_the_same_seeds() -> None:
    shape, rate, block, key = (10, 3, 9, 12), 0.03, [3, 4], 99
    words = [philox([pixel, 0, 3, 0], key)[0] for pixel in range(math.prod(shape))]
    seeds = torch.tensor([uniform(word) < rate for word in words]).view(shape)
    inside = seeds[:, :, : 9 - 3 + 1, : 12 - 4 + 1].float()
    portable = F.max_pool2d(F.pad(inside, (3, 3, 2, 2)), (3, 4), stride=1) == 0
    kept = operators.mask_maps(ones(*shape), None, None, *draw(key), rate, block, False, 1.0) != 0
    assert torch.equal(kept, portable)
    assert 0.5 < float(kept.double().mean()) < 0.9


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("num_programs", [3, 256])
def test_the_realised_scale_keeps_the_mean_of_a_constant_input(
    num_programs: int, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "MAX_PROGRAMS", num_programs)  # so that one measures several maps
    y = masked_blocks(ones(5, 2, 6, 6, layout=layout), stream(), 0.3, 3, is_realised=True)
    assert float(y.double().mean()) == pytest.approx(1, rel=1e-6)
    assert bool((y == 0).any())


def test_nothing_kept_is_no_division_by_zero() -> None:
    assert bool((masked_blocks(ones(2, 2, 4, 4), stream(), 0.999, 4, is_realised=True) == 0).all())


def test_gaussian_noise_has_mean_1_and_its_deviation() -> None:
    factors = noisy_elements(ones(256, 256), stream(), 0.5).double()
    assert float(factors.mean()) == pytest.approx(1, abs=5 * 0.5 / 256)
    assert float(factors.std()) == pytest.approx(0.5, rel=5 / math.sqrt(2 * 256**2))
    normals = ((factors - 1) / 0.5).flatten()
    assert float((normals.abs() < 1).double().mean()) == pytest.approx(0.6827, abs=5 * 0.466 / 256)
    quarters = normals.view(-1, 4, operators.BLOCK).transpose(0, 1).flatten(1)  # each from other words of a draw
    for numbers in (quarters, quarters.square()):
        assert float(torch.corrcoef(numbers).fill_diagonal_(0).abs().max()) < 5 / math.sqrt(quarters.shape[1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MASKS)
def test_the_backward_pass_draws_the_same_mask(name: str, layout: str) -> None:
    x = torch.rand(12, 3, 6, 6).add(1).to(memory_format=LAYOUTS[layout]).requires_grad_()
    y = MASKS[name](x, stream())
    for gradient_layout in LAYOUTS.values():
        (gradient,) = torch.autograd.grad(y, x, torch.ones_like(x).to(memory_format=gradient_layout), retain_graph=True)
        torch.testing.assert_close(gradient, (y / x).detach())
        assert bool((gradient == 0).any())


LEVELS = {"sample": 1, "channel": 2, "element": 4}  # number of axes along which factors differ
BOUNDS = (-1.0, 0.5), (0.0, 2.0)
IN_16_BITS = MASKS | {
    "noise": lambda x, s: noisy_elements(x, s, 0.5),
    "shaken elements": lambda x, s: shaken_samples(x, s, 0.3, *BOUNDS, 4),
    "shaken channels": lambda x, s: shaken_samples(x, s, 0.3, *BOUNDS, 2),
    "distorted": lambda x, s: distorted_blocks(
        x, s, 0.3, 2, step_size=2.0, layer=None, is_official=True, is_realised=True
    ),
}


@pytest.mark.parametrize("name", IN_16_BITS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_in_16_bits_products_and_scales_have_32_and_are_rounded_once(name: str, dtype: torch.dtype) -> None:
    """In both directions; the interpreter truncates to bf16, where a GPU rounds."""
    generator = torch.Generator().manual_seed(0)
    values, gradient = (torch.rand(4, 3, 6, 6, generator=generator).add(1).to(dtype) for _ in range(2))
    results = []
    for x, slopes in ((values, gradient), (values.float(), gradient.float())):
        x.requires_grad_()
        y = IN_16_BITS[name](x, stream())
        results.append([y.detach(), *torch.autograd.grad(y, x, slopes)])
    for half, whole in zip(*results, strict=True):
        assert half.dtype == dtype
        bits = 0xFFFF0000 if dtype == torch.bfloat16 else 0xFFFFFFFF
        kept = torch.from_numpy((whole.numpy().view(np.uint32) & np.uint32(bits)).view(np.float32))
        assert torch.equal(half, kept.to(dtype))


def test_every_draw_of_a_training_is_another_and_a_training_resumes() -> None:
    """Draws of two calls, passes and streams, and those aside."""
    streams = Streams()
    here, there = (streams.masks(0, name, torch.device("cpu")) for name in ("here", "there"))
    network = nn.Identity()
    streams.number_passes_of(network)

    def passed() -> list[Tensor]:
        network(torch.ones(1))
        return [masked_elements(ones(50, 50), each, 0.5) for each in (here, here, there)]

    first, before = passed(), copy.deepcopy(streams.state())
    with streams.aside():
        aside = passed()
    second = passed()
    streams.restore(before)
    assert all(map(torch.equal, second, passed()))
    draws = [*first, *aside, *second]
    for one in range(len(draws)):
        for other in range(one):
            agreement = float((draws[one] == draws[other]).double().mean())
            assert abs(agreement - 0.5) <= float(binomial_bound(0.5, 2500))


def shaken(x: Tensor, level: str, keep_rate: float = KEEP) -> tuple[Tensor, Tensor]:
    """The factors of the values and those of their gradients."""
    x = x.detach().requires_grad_()
    y = shaken_samples(x, stream(), keep_rate, *BOUNDS, LEVELS[level])
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert y.stride() == gradient.stride() == x.stride()
    return (y / x).detach(), gradient


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_sample_is_kept_both_ways_or_shaken_by_other_factors_for_each_unit(level: str, layout: str) -> None:
    forward, backward = shaken(ones(20, 3, 4, 5, layout=layout), level)
    are_kept = (forward == 1).flatten(1).all(1)
    for factors in (forward, backward):
        assert torch.equal(are_kept, (factors == 1).flatten(1).any(1))
        assert torch.equal(are_kept, (factors == 1).flatten(1).all(1))
    assert 0 < int(are_kept.sum()) < 20
    num_units = {"sample": 1, "channel": 3, "element": 60}[level]
    shared = {"sample": (1, 2, 3), "channel": (2, 3), "element": ()}[level]
    for factors in (forward[~are_kept], backward[~are_kept]):
        assert bool((factors == (factors.amin(shared, keepdim=True) if shared else factors)).all())
        assert len(factors.unique()) == len(factors) * num_units


@pytest.mark.parametrize("level", LEVELS)
def test_samples_are_shaken_by_independent_uniform_factors(level: str) -> None:
    shape = {"sample": (150, 1, 1, 1), "channel": (40, 8, 1, 2), "element": (20, 3, 9, 11)}[level]
    forward, backward = shaken(ones(*shape), level, keep_rate=0.3)
    are_shaken = (forward != 1).flatten(1).all(1)
    assert abs(float((~are_shaken).double().mean()) - 0.3) <= float(binomial_bound(0.3, shape[0]))
    own = (slice(None),) * LEVELS[level] + (0,) * (4 - LEVELS[level])
    first, second = (factors[are_shaken][own].flatten().numpy() for factors in (forward, backward))
    assert stats.kstest(first, stats.uniform(-1, 1.5).cdf).pvalue > 1e-6
    assert stats.kstest(second, stats.uniform(0, 2).cdf).pvalue > 1e-6
    assert abs(stats.pearsonr(first, second).statistic) < 5 / len(first) ** 0.5
    assert abs(stats.pearsonr(first[1:], first[:-1]).statistic) < 5 / len(first) ** 0.5


def test_factors_come_from_the_words_of_philox() -> None:
    """Of the second word of the counter's second half: 0 for what is kept, 4 for factors and 5 for the gradient's."""
    key, keep_rate, shape = 2**62 + 12345, 0.4, (5, 3, 5, 7)
    size, block, num_parts = 105, 32, 1  # of four groups: the least power of 2 from 105 / 4 on
    for is_backward in (False, True):
        bounds = -1.0, 0.5
        y = operators.shake_samples(torch.ones(shape), *draw(key), [size, 1, size], keep_rate, *bounds, is_backward)
        for sample, factors in enumerate(y.flatten(1)):
            words = [
                philox([sample * num_parts * block + i % block, 0, 3, 4 + is_backward], key)[i // block]
                for i in range(size)
            ]
            is_kept = uniform(philox([sample, 0, 3, 0], key)[0]) < np.float32(keep_rate)
            expected = [1.0 if is_kept else float(np.float32(-1) + np.float32(1.5) * uniform(word)) for word in words]
            torch.testing.assert_close(factors, torch.tensor(expected), rtol=0, atol=2e-7)


@pytest.mark.parametrize("values", ["binary", "gaussian"])
def test_generalized_dropout_has_its_moments(values: str) -> None:
    module = FamilyMask(GeneralizedDropout(values=values, mean=-0.8, deviation=0.6), stream())
    factors = module(ones(100, 100)).double()
    spread, keep_rate = 0.6 / 0.8, 0.64
    assert float(factors.mean()) == pytest.approx(1, abs=5 * spread / 100)
    if values == "binary":
        assert factors.unique().tolist() == pytest.approx([0, 1 / keep_rate])
    else:
        assert float(factors.std()) == pytest.approx(spread, rel=5 / math.sqrt(2 * 100**2))


@pytest.mark.parametrize("level", LEVELS)
def test_shakedrop_hands_its_rate_and_bounds_to_the_kernel(level: str) -> None:
    bounds = {"alpha_low": -1.0, "alpha_high": -0.5, "beta_low": 2.0, "beta_high": 3.0}
    module = Shake(ShakeDrop(level=level, **bounds), 0.8, stream())
    x = ones(60, 2, 2, 1).requires_grad_()
    y = module(x)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    are_kept = (y == 1).flatten(1).all(1)
    assert torch.equal(gradient[are_kept], torch.ones_like(gradient[are_kept]))
    assert bool(((y >= -1) & (y <= -0.5))[~are_kept].all())
    assert bool(((gradient >= 2) & (gradient <= 3))[~are_kept].all())
    assert abs(float(are_kept.double().mean()) - 0.2) <= float(binomial_bound(0.2, 60))
    assert len(y[~are_kept].unique()) == int((~are_kept).sum()) * {"sample": 1, "channel": 2, "element": 4}[level]


def test_units_of_a_dense_layer_are_channels() -> None:
    x = torch.ones(20, 7).requires_grad_()
    y = shaken_samples(x, stream(), 0.0, *BOUNDS, 2)
    assert len(y.unique()) == 140
    assert torch.equal(y, shaken_samples(x, stream(), 0.0, *BOUNDS, 2))


LAYERS = {
    "no layer": lambda: None,
    "1x1": lambda: nn.Conv2d(4, 5, 1),
    "1x1 in groups": lambda: nn.Conv2d(4, 6, 1, groups=2),
    "1x1, channels last": lambda: nn.Conv2d(4, 5, 1).to(memory_format=torch.channels_last),
}


def distorted(x: Tensor, layer: nn.Module | None, **options: object) -> Tensor:
    how = {"step_size": 2.0, "is_official": True, "is_realised": True, "block_size": 2} | options
    return distorted_blocks(x, stream(), 0.3, layer=layer, **how)


@pytest.mark.parametrize("layer", LAYERS)
def test_noise_has_the_size_of_the_next_layers_largest_weights(layer: str) -> None:
    torch.manual_seed(0)
    behind = LAYERS[layer]()
    x = 3 + 2 * torch.randn(15, 4, 6, 6)
    y = distorted(x, behind)
    scale = float((y / x).median())  # of what is kept
    dropped = ((y / x) - scale).abs() > 1e-4
    torch.testing.assert_close(y[~dropped], x[~dropped] * scale)
    assert x.numel() / float((~dropped).sum()) == pytest.approx(scale, rel=1e-3)
    sizes = torch.full((4,), 0.01) if behind is None else 0.1 * largest_weights(behind).flatten()
    for channel in range(4):
        noise = y[:, channel][dropped[:, channel]] / (2 * float(x.std(correction=0)) * scale)
        assert float(noise.std()) == pytest.approx(abs(float(sizes[channel])), rel=5 / math.sqrt(2 * len(noise)))
        assert abs(float(noise.mean())) <= 5 * float(noise.std()) / math.sqrt(len(noise))


@pytest.mark.parametrize("num_programs", [3, 256])
def test_noise_has_the_deviation_of_the_whole_batch(num_programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "MAX_PROGRAMS", num_programs)  # so that one measures several maps
    torch.manual_seed(0)
    alike = 100 + torch.randn(5, 2, 6, 6)
    apart = alike + torch.arange(5).view(5, 1, 1, 1) * torch.tensor([3.0, -1]).view(1, 2, 1, 1)
    dropped = (distorted(alike, None) / alike).abs() < 0.5
    noises = [distorted(x, None)[dropped] for x in (alike, apart)]
    ratio = float(apart.std(correction=0) / alike.std(correction=0))
    torch.testing.assert_close(noises[1], noises[0] * ratio, rtol=1e-3, atol=1e-6)


def test_signs_are_drawn_for_each_tap() -> None:
    """The mean of taps with random signs has the variance of one tap over their number."""
    behind = nn.Conv2d(60, 1, 3)
    nn.init.constant_(behind.weight, 0.9)
    table = operators.measure_maps(
        torch.randn(1, 60, 2, 2), behind.weight.detach(), None, *draw(5), 1.0, [1, 1], True, True, False, 1, 1.0
    )[-1]
    assert {round(abs(float(size)), 4) for size in table} <= {0.1, 0.3, 0.5, 0.7, 0.9}
    assert float(table.square().mean()) == pytest.approx(0.81 / 9, rel=5 * math.sqrt(2 / 60))


def test_the_papers_noise_is_one_pattern_with_a_sign_for_each_sample_over_the_batch_size() -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 4, 6, 6)
    behind = nn.Conv2d(4, 5, 1)
    y = distorted(x, behind, is_official=False, block_size=1, step_size=30.0)
    scale = x.numel() / float(((y / x - (y / x).median()).abs() < 1e-4).sum())
    noise = torch.where((y / x - scale).abs() > 1e-3 * scale, y, math.nan)
    magnitudes = noise.abs()
    pattern = magnitudes.nanmedian(0).values
    for sample in magnitudes:
        where = ~sample.isnan()
        torch.testing.assert_close(sample[where], pattern[where], rtol=1e-4, atol=1e-6)
    ratios = (noise / noise[0]).flatten(1)
    signs = [float(sample.nanmean().sign()) for sample in ratios]
    for sample, sign in zip(ratios, signs, strict=True):
        where = ~sample.isnan()
        torch.testing.assert_close(sample[where], torch.full_like(sample[where], sign))
    assert set(signs) == {1.0, -1.0}
    sizes = largest_weights(behind).flatten().abs() * 30 / 12 * float(x.std(correction=0)) * scale
    normals = (pattern / sizes[:, None, None]).flatten()
    normals = normals[~normals.isnan()]
    assert float(normals.square().mean()) == pytest.approx(1, rel=5 * math.sqrt(2 / len(normals)))


@pytest.mark.parametrize("is_realised", [True, False])
def test_units_are_distorted_by_the_next_dense_layer(is_realised: bool) -> None:
    torch.manual_seed(0)
    behind = nn.Linear(60, 3)
    x = 3 + torch.randn(40, 60)
    y = distorted(x, behind, block_size=1, is_realised=is_realised)
    scale = float((y / x).median())
    dropped = ((y / x) - scale).abs() > 1e-4
    assert abs(float(dropped.double().mean()) - 0.3) <= float(binomial_bound(0.3, x.numel()))
    assert scale == pytest.approx(float(x.numel() / (~dropped).sum()) if is_realised else 1 / 0.7, rel=1e-3)
    normals = (y / (2 * float(x.std(correction=0)) * scale * 0.1 * largest_weights(behind)))[dropped]
    assert float(normals.square().mean()) == pytest.approx(1, rel=5 * math.sqrt(2 / len(normals)))


def test_no_gradient_flows_through_the_noise() -> None:
    x = (3 + torch.randn(4, 4, 6, 6)).requires_grad_()
    y = distorted(x, nn.Conv2d(4, 5, 1))
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    scale = float(gradient.max())
    kept = gradient != 0
    torch.testing.assert_close(gradient[kept], torch.full_like(gradient[kept], scale))
    torch.testing.assert_close(y[kept], x[kept] * scale)
    assert float(kept.double().mean()) == pytest.approx(1 / scale)
