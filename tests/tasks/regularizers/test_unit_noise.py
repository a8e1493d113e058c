"""Noise on units and channels: its mean, its variance, what shares a draw, and how its rate grows."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from tiny_tasks import IMAGE_TASK, binomial_bound, prepared
from torch import Tensor, nn

from tasks.regularizers.curriculum_dropout import CurriculumDropout
from tasks.regularizers.dropout import ElementMask
from tasks.regularizers.gaussian_dropout import GaussianNoise
from tasks.regularizers.spatial_dropout import ChannelMask, SpatialDropout
from tasks.runtime.streams import MaskStream
from tasks.sites import sites_of

NUM_DRAWS = 20_000
DROP_RATES = [0.1, 0.5, 0.8]
MAP = torch.tensor([[[1.0, -2.0], [0.5, 3.0]], [[-1.0, 0.0], [2.0, 1.0]]], dtype=torch.float64)


def stream(name: str = "noise") -> MaskStream:
    return MaskStream(0, name, "cpu")


def draws(module: nn.Module, x: Tensor, num_draws: int = NUM_DRAWS) -> Tensor:
    """The module's outputs in training for many copies of one sample."""
    module.train()
    outputs: Tensor = module(x.expand(num_draws, *x.shape))
    return outputs


@pytest.mark.parametrize("drop_rate", DROP_RATES)
@pytest.mark.parametrize("kind", ["gaussian", "spatial", "element"])
def test_noise_has_mean_x_and_the_variance_of_dropout(kind: str, drop_rate: float) -> None:
    ratio = drop_rate / (1 - drop_rate)
    module = {
        "gaussian": GaussianNoise(ratio, stream()),
        "spatial": ChannelMask(drop_rate, stream()),
        "element": ElementMask(drop_rate, stream()),
    }[kind]
    y = draws(module, MAP)
    deviations = y - MAP
    # Five standard errors of a mean and of a mean square, the latter taken from the sample's own fourth moment.
    mean_error = 5 * MAP.abs() * math.sqrt(ratio / NUM_DRAWS)
    square_error = 5 * (deviations.pow(4).mean(0) / NUM_DRAWS).sqrt()
    assert (deviations.mean(0).abs() <= mean_error + 1e-12).all()
    assert ((deviations.square().mean(0) - MAP.square() * ratio).abs() <= square_error + 1e-12).all()


def test_gaussian_noise_is_normal() -> None:
    y = draws(GaussianNoise(0.25, stream()), torch.ones(1, dtype=torch.float64)).flatten()
    assert stats.kstest(y.numpy(), stats.norm(1, 0.5).cdf).pvalue > 1e-6


@pytest.mark.parametrize("drop_rate", DROP_RATES)
def test_spatial_dropout_keeps_or_drops_each_channel_of_each_sample_whole(drop_rate: float) -> None:
    factors = draws(ChannelMask(drop_rate, stream()), torch.ones(3, 2, 5)).flatten(2)
    assert (factors == factors[:, :, :1]).all()
    assert factors.unique().tolist() == pytest.approx([0, 1 / (1 - drop_rate)])
    kept = (factors[:, :, 0] > 0).double()
    assert ((kept.mean(0) - (1 - drop_rate)).abs() <= binomial_bound(1 - drop_rate, NUM_DRAWS)).all()
    together = (kept[:, 0] * kept[:, 1]).mean()  # channels are independent
    assert abs(float(together) - (1 - drop_rate) ** 2) <= float(binomial_bound((1 - drop_rate) ** 2, NUM_DRAWS))


def test_spatial_dropout_fills_every_conv_site_with_a_stream_of_its_own() -> None:
    network = prepared(IMAGE_TASK, SpatialDropout(drop_rate=0.5)).network.train()
    fillings = [site.fillings[0] for site in sites_of(network, ("conv",))]
    assert len(fillings) == 2
    first, second = (filling(torch.ones(64, 16, 1, 1)) for filling in fillings)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("steepness", [2.0, 10.0])
def test_the_curriculum_follows_the_papers_keep_rate(steepness: float) -> None:
    regularizer = CurriculumDropout(drop_rate=0.4, steepness=steepness, where="all")
    training = prepared(IMAGE_TASK, regularizer)
    masks = [filling for site in sites_of(training.network) for filling in site.fillings]
    assert len(masks) == 3
    for fraction in (0.0, 0.01, 0.3, 0.99):
        training.hooks.progress(fraction)
        keep_rate = (1 - 0.6) * math.exp(-steepness * fraction) + 0.6
        assert [1 - mask.drop_rate for mask in masks] == pytest.approx([keep_rate] * 3, rel=1e-12)


def test_the_curriculum_begins_with_every_unit() -> None:
    training = prepared(IMAGE_TASK, CurriculumDropout())
    plain = prepared(IMAGE_TASK)
    training.hooks.progress(0.0)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(training.network.train()(x), plain.network.train()(x))
