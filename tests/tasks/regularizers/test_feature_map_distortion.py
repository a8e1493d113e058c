"""Distortion is dropout with noise in the place of zeros: what it shares with dropout, and what the noise is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import pytest
import torch
from tiny_tasks import tiny, trained
from torch import Tensor, nn

from tasks.architectures.convnet_small import ConvNetSmall
from tasks.regularizers.block_feature_map_distortion import BlockDistortion, BlockFeatureMapDistortion
from tasks.regularizers.dropblock import BlockMask, DropBlock
from tasks.regularizers.dropout import ElementMask
from tasks.regularizers.feature_map_distortion import FeatureMapDistortion, UnitDistortion
from tasks.regularizers.parts.distortion import Noise, distorted_everywhere, distorted_where_dropped, largest_weights
from tasks.regularizers.parts.masking import apply_mask, block_mask, realised_scale
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, WeightLayer, measure_sites

CHANNELS, SIDE = 3, 6
MAPS = torch.randn(20, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
UNITS = torch.randn(40, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def stream() -> MaskStream:
    return MaskStream(0, "mask", "cpu")


def on_maps(next_layer: WeightLayer | None = None, **fields: object) -> BlockDistortion:
    site = Site("conv", next_layer=next_layer)
    site.shape = (CHANNELS, SIDE, SIDE)
    settings = BlockFeatureMapDistortion(**{"distortion_rate": 0.4, "block_size": 3, **fields})
    return BlockDistortion(settings, site, stream())


def on_units(next_layer: WeightLayer | None = None, **fields: object) -> UnitDistortion:
    site = Site("dense", next_layer=next_layer)
    site.shape = (7,)
    return UnitDistortion(FeatureMapDistortion(**fields), site, stream())


def output_and_gradient(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    y.backward(torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape))
    assert x.grad is not None
    return y.detach(), x.grad


def conv(kernel: int = 3, groups: int = 1) -> nn.Conv2d:
    torch.manual_seed(2)
    return nn.Conv2d(CHANNELS, 4 * groups, kernel, groups=groups).double().requires_grad_(False)


def test_a_step_of_size_zero_on_units_is_dropout_with_the_same_mask_bit_for_bit() -> None:
    distortion = on_units(nn.Linear(7, 5).double(), distortion_rate=0.3, step_size=0.0, scaling="expected")
    for ours, theirs in zip(
        output_and_gradient(distortion, UNITS), output_and_gradient(ElementMask(0.3, stream()), UNITS), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("mode", "scaling"), list(product(["official", "paper"], ["realised", "expected"])))
def test_a_step_of_size_zero_on_maps_is_dropblock_with_the_same_mask_bit_for_bit(mode: str, scaling: str) -> None:
    distortion = on_maps(conv(), step_size=0.0, mode=mode, scaling=scaling)
    settings = DropBlock(drop_rate=0.4, block_size=3, scaling=scaling)
    for ours, theirs in zip(
        output_and_gradient(distortion, MAPS), output_and_gradient(BlockMask(settings, stream()), MAPS), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("mode", ["official", "paper"])
def test_kept_elements_are_scaled_and_no_gradient_flows_through_the_others(mode: str) -> None:
    keep = block_mask(stream(), tuple(MAPS.shape), 0.4, 3)
    scale = realised_scale(keep)
    y, gradient = output_and_gradient(on_maps(conv(), mode=mode), MAPS)
    torch.testing.assert_close(y[keep], (MAPS * scale)[keep], rtol=1e-14, atol=0)
    upstream = torch.linspace(-1, 1, MAPS.numel(), dtype=torch.float64).view(MAPS.shape)
    torch.testing.assert_close(gradient, upstream * keep * scale, rtol=1e-14, atol=0)
    assert (y[~keep] != 0).all()


@pytest.mark.parametrize("parts", ["per element", "per sample", "both"])
@pytest.mark.parametrize("x", [UNITS, MAPS], ids=["units", "maps"])
def test_what_is_drawn_for_all_elements_distorts_like_what_is_drawn_for_the_dropped_ones(x: Tensor, parts: str) -> None:
    generator = torch.Generator().manual_seed(0)
    keep = torch.rand(x.shape, generator=generator) < 0.6
    table = torch.randn((x.shape[1], *(1 for _ in x.shape[2:])), generator=generator, dtype=x.dtype)
    elements = torch.randn(x.numel(), generator=generator, dtype=x.dtype) if parts != "per sample" else None
    samples = torch.randn(len(x), generator=generator, dtype=x.dtype) if parts != "per element" else None
    dropped = None if elements is None else elements[~keep.flatten()]

    def drawn_for(elements: Tensor | None) -> Callable[[int], Noise]:
        def noise(num_elements: int) -> Noise:
            assert elements is None or num_elements == len(elements)
            return Noise(table, per_element=elements, per_sample=samples)

        return noise

    found = []
    for distort, noise in ((distorted_where_dropped, drawn_for(dropped)), (distorted_everywhere, drawn_for(elements))):
        leaf = x.clone().requires_grad_()
        y = distort(apply_mask(leaf, keep, 1.5), keep, noise)
        found.append((y.detach(), *torch.autograd.grad(y.square().sum(), leaf)))
    (sparse, sparse_gradient), (dense, dense_gradient) = found
    torch.testing.assert_close(dense, sparse, rtol=1e-15, atol=0)
    torch.testing.assert_close(dense_gradient, sparse_gradient, rtol=1e-15, atol=0)


def relative_squares(module: nn.Module, x: Tensor, size: float, num_draws: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square over draws of the noise in units of size * std * scale, per channel or unit."""
    total, squares, count = (torch.zeros(x.shape[1], dtype=x.dtype) for _ in range(3))
    dims = [0, *range(2, x.dim())]
    x = x.clone().requires_grad_()
    for _ in range(num_draws):
        y = module(x)
        (slopes,) = torch.autograd.grad(y.sum(), x)  # the scale where kept, 0 where not
        noise = torch.where(slopes == 0, y, 0.0).detach() / (slopes.max() * size * x.std(correction=0))
        total += noise.sum(dims)
        squares += noise.square().sum(dims)
        count += (slopes == 0).sum(dims)
    return (total / count).detach(), (squares / count).detach()


def test_the_noise_on_units_has_mean_zero_and_a_tenth_of_the_largest_next_weight() -> None:
    layer = nn.Linear(7, 5).double().requires_grad_(False)
    module = on_units(layer, distortion_rate=0.5, step_size=1.0)
    mean, square = relative_squares(module, UNITS, 0.1, num_draws=500)  # 10,000 draws per unit
    largest = torch.tensor([max(float(layer.weight[k, j]) for k in range(5)) for j in range(7)], dtype=torch.float64)
    assert ((mean / largest.abs()).abs() < 5 / 100).all()  # five standard errors of the mean
    assert ((square / largest**2 - 1).abs() < 5 * (2 / 10_000) ** 0.5).all()  # u^2 has variance 2


def test_units_before_a_dense_layer_are_distorted_like_maps_of_one_pixel_before_a_1x1_kernel() -> None:
    dense = nn.Linear(7, 5).double().requires_grad_(False)
    kernel = nn.Conv2d(7, 5, 1).double().requires_grad_(False)
    kernel.weight.copy_(dense.weight[:, :, None, None])
    site = Site("conv", next_layer=kernel)
    site.shape = (7, 1, 1)
    pixels = BlockDistortion(FeatureMapDistortion(distortion_rate=0.5, where="conv").on_maps, site, stream())
    of_units = relative_squares(on_units(dense, distortion_rate=0.5), UNITS, 5.0, num_draws=500)[1]
    of_pixels = relative_squares(pixels, UNITS[:, :, None, None], 5.0, num_draws=500)[1]
    assert ((of_units / of_pixels - 1).abs() < 5 * (4 / 10_000) ** 0.5).all()  # each u^2 has variance 2


@pytest.mark.parametrize("seed", range(2))
def test_with_its_defaults_a_layer_of_64_units_learns(seed: int) -> None:
    task = tiny("digits-convnet", epochs=12, max_train_samples=600, evaluate_every_epochs=12)
    _, outcome = trained(task, FeatureMapDistortion(), seed=seed)
    assert outcome.final["validation"]["accuracy"] > 0.8


def test_the_paper_noise_on_units_is_one_pattern_with_a_sign_per_sample_over_the_batch_size() -> None:
    layer, rows, num_draws = nn.Linear(7, 5).double().requires_grad_(False), [], 400
    module = on_units(layer, distortion_rate=0.5, step_size=5.0, mode="paper", scaling="expected")
    x = UNITS.clone().requires_grad_()
    for _ in range(num_draws):
        y = module(x)
        (slopes,) = torch.autograd.grad(y.sum(), x)
        noise = y.detach() / (2 * 5.0 * UNITS.std(correction=0) / len(UNITS))
        pattern = torch.where(slopes == 0, noise.abs(), 0).amax(0)
        torch.testing.assert_close(noise.abs()[slopes == 0], pattern.expand_as(noise)[slopes == 0], rtol=1e-9, atol=0)
        signs = torch.where(slopes == 0, noise.sign(), 0)
        for one, other in combinations(range(7), 2):  # the same sign for all elements of a sample
            together = signs[:, one] * signs[:, other]
            assert len(together[together != 0].unique()) == 1
        rows.append(pattern)
    largest = torch.tensor([max(float(layer.weight[k, j]) for k in range(5)) for j in range(7)], dtype=torch.float64)
    squares = torch.stack(rows).square().mean(0)
    assert ((squares / largest**2 - 1).abs() < 5 * (2 / num_draws) ** 0.5).all()  # u^2 has variance 2


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_official_noise_on_maps_has_the_mean_square_of_randomly_signed_taps(kernel: int) -> None:
    layer = conv(kernel)
    num_draws = 1500
    mean, square = relative_squares(on_maps(layer, step_size=0.1), MAPS, 0.1, num_draws)
    expected = torch.zeros(CHANNELS, dtype=torch.float64)
    for c, i, j in product(range(CHANNELS), range(kernel), range(kernel)):
        expected[c] += max(float(layer.weight[o, c, i, j]) for o in range(4)) ** 2 / kernel**4
    expected *= 0.1**2 if kernel == 1 else 1.0
    # One sum of signs per draw: its square has a relative variance below 2; each draw has over 200 elements.
    assert ((square / expected - 1).abs() < 5 * (2 / num_draws) ** 0.5).all()
    assert ((mean / expected.sqrt()).abs() < 5 / (num_draws * 200) ** 0.5).all()


def test_the_paper_noise_is_one_pattern_for_the_batch_with_a_sign_per_sample_over_the_batch_size() -> None:
    layer, step_size = conv(), 30.0
    y = on_maps(layer, step_size=step_size, mode="paper", distortion_rate=0.9, block_size=6)(MAPS)
    keep = block_mask(stream(), tuple(MAPS.shape), 0.9, 6)
    noise = y / (realised_scale(keep) * step_size * MAPS.std(correction=0) / len(MAPS))
    for channel in range(CHANNELS):
        pattern = [noise[i, channel] for i in range(len(MAPS)) if not keep[i, channel].any()]
        assert len(pattern) > 5
        ratios = torch.stack([other / pattern[0] for other in pattern])
        torch.testing.assert_close(ratios.abs(), torch.ones_like(ratios), rtol=1e-9, atol=0)
        torch.testing.assert_close(ratios, ratios[:, :1, :1].expand_as(ratios), rtol=1e-9, atol=0)
        taps = largest_weights(layer)[channel].flatten()
        sizes = [abs(float((taps * torch.tensor(signs)).mean())) for signs in product([-1.0, 1.0], repeat=9)]
        # One of the 512 signed means times 36 normal numbers: their root mean square is near that mean.
        rms = float(pattern[0].square().mean().sqrt())
        assert min(abs(rms / size - 1) for size in sizes if size > 0) < 0.05


def test_the_weight_of_the_size_of_the_distortion_leaves_a_share_of_the_feature() -> None:
    fields = {"mode": "paper", "step_size": 3.0}
    without, gradient_without = output_and_gradient(on_maps(conv(), **fields), MAPS)
    with_lam, gradient_with = output_and_gradient(on_maps(conv(), lam=0.5, **fields), MAPS)
    keep = block_mask(stream(), tuple(MAPS.shape), 0.4, 3)
    share = 3.0 * MAPS.std(correction=0) * 0.5 / len(MAPS) * realised_scale(keep)
    torch.testing.assert_close(with_lam - without, share * MAPS * ~keep, rtol=1e-9, atol=1e-12)
    upstream = torch.linspace(-1, 1, MAPS.numel(), dtype=torch.float64).view(MAPS.shape)
    torch.testing.assert_close(gradient_with - gradient_without, share * upstream * ~keep, rtol=1e-9, atol=1e-12)


def test_the_largest_weights_have_the_shape_of_the_fan_in_and_are_signed_maxima() -> None:
    assert largest_weights(nn.Linear(7, 5)).shape == (7,)
    grouped = conv(groups=3)
    found = largest_weights(grouped)
    assert found.shape == (CHANNELS, 3, 3)
    for c, i, j in product(range(CHANNELS), range(3), range(3)):
        assert found[c, i, j] == max(grouped.weight[o, 0, i, j] for o in range(4 * c, 4 * c + 4))


def test_where_no_conv_layer_follows_the_noise_has_the_size_of_the_released_code() -> None:
    _, square = relative_squares(on_maps(nn.Linear(CHANNELS * 9, 4), step_size=0.1), MAPS, 0.1, 200)
    assert ((square / 0.01**2 - 1).abs() < 5 * (2 / 40_000) ** 0.5).all()


def test_a_weight_on_the_size_of_the_distortion_is_refused_where_it_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="mode official"):
        BlockFeatureMapDistortion(lam=0.1)


def test_on_maps_it_is_block_distortion_with_blocks_of_one_pixel() -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    measure_sites(network, torch.zeros(1, 1, 8, 8))
    distortion = FeatureMapDistortion(distortion_rate=0.3, step_size=2.0, where="conv", scaling="expected")
    assert {site.kind for site in distortion.chosen_sites(network)} == {"conv"}
    assert {site.kind for site in FeatureMapDistortion().chosen_sites(network)} == {"dense"}
    settings = distortion.on_maps
    assert (settings.distortion_rate, settings.step_size, settings.scaling) == (0.3, 2.0, "expected")
    site = distortion.chosen_sites(network)[0]
    x = torch.randn(200, *(site.shape or ()), generator=torch.Generator().manual_seed(0))
    y = BlockDistortion(replace(settings, step_size=0.0), site, stream()).train()(x)
    assert torch.equal(y, ElementMask(0.3, stream()).train()(x))  # independent elements, each with the same chance
