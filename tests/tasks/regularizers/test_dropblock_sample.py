"""Block dropout without overlaps has the block-diagonal covariance on which the theory of DropBlock rests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import get_args

import pytest
import torch
from tiny_tasks import IMAGE_TASK, binomial_bound, prepared
from torch import Tensor

from tasks.regularizers.dropblock_sample import Blocks, DropBlockSample, GridMask
from tasks.runtime.streams import Key, MaskStream
from tasks.sites import sites_of
from tasks.theory.structured import dropblock_objective

NUM_DRAWS = 20_000


class GivenSeeds:
    """Stands for a stream whose next draw is given: every combination of `num_seeds` zeros and ones, one per sample."""

    def __init__(self, num_seeds: int) -> None:
        self.seeds = torch.tensor(list(itertools.product([False, True], repeat=num_seeds)))
        self.rate = math.nan

    def bernoulli(self, shape: tuple[int, ...], rate: float) -> Tensor:
        assert shape[0] == len(self.seeds)
        self.rate = rate
        return self.seeds.view(shape)

    def ahead(self, key: Key, draw: Callable[[int], Sequence[Tensor]], num_elements: int) -> Tensor:
        return draw(1)[0]


def moments_of(blocks: Blocks, block_size: int, shape: tuple[int, ...], num_seeds: int) -> tuple[Tensor, Tensor]:
    """E[z] and E[z z'] of the units of one sample, over all seeds with their chances."""
    stream = GivenSeeds(num_seeds)
    settings = DropBlockSample(drop_rate=0.4, block_size=block_size, blocks=blocks)
    mask = GridMask(settings, stream)
    z = mask.train()(torch.ones(2**num_seeds, *shape, dtype=torch.float64)).flatten(1) * 0.6
    rate = torch.tensor(stream.rate, dtype=torch.float64)
    chances = torch.where(stream.seeds, rate, 1 - rate).prod(1)
    return chances @ z, z.T @ (chances[:, None] * z)


@pytest.mark.parametrize(
    ("blocks", "block_size", "shape", "num_seeds"),
    [
        ("separate", 2, (7,), 4),
        ("separate", 9, (3,), 1),
        ("separate", 2, (1, 3, 4), 4),
        ("overlapping", 1, (5,), 5),
        ("overlapping", 3, (5,), 7),
        ("overlapping", 6, (3,), 8),
        ("overlapping", 2, (1, 2, 3), 12),
    ],
)
def test_every_unit_is_kept_equally_often_in_both_forms(
    blocks: Blocks, block_size: int, shape: tuple[int, ...], num_seeds: int
) -> None:
    mean, _ = moments_of(blocks, block_size, shape, num_seeds)
    torch.testing.assert_close(mean, torch.full_like(mean, 0.6), rtol=0, atol=1e-12)


def test_overlapping_blocks_have_the_banded_covariance_of_the_seeds_that_two_units_share() -> None:
    _, both = moments_of("overlapping", 3, (5,), 7)
    unit = torch.arange(5)
    shared = (3 - (unit[:, None] - unit).abs()).clamp(min=0)
    torch.testing.assert_close(both / 0.6**2 - 1, 0.6 ** (-shared.double() / 3) - 1, rtol=0, atol=1e-12)


def test_blocks_of_one_unit_are_the_same_draws_in_both_forms() -> None:
    x = torch.ones(50, 6)
    outputs = [
        GridMask(DropBlockSample(drop_rate=0.3, block_size=1, blocks=blocks), MaskStream(0, "x", "cpu")).train()(x)
        for blocks in get_args(Blocks)
    ]
    assert torch.equal(*outputs)
    assert 0 < int((outputs[0] == 0).sum()) < 300


def test_overlapping_blocks_of_a_map_are_independent_between_channels_and_fill_every_site() -> None:
    settings = DropBlockSample(drop_rate=0.5, block_size=3, blocks="overlapping")
    masks = (GridMask(settings, MaskStream(0, "x", "cpu")).train()(torch.ones(NUM_DRAWS, 2, 4, 4)) > 0).double()
    assert abs(float(masks.mean()) - 0.5) < 0.01
    together = (masks[:, 0, 1, 1] * masks[:, 1, 1, 1]).mean()
    assert abs(float(together) - 0.25) <= float(binomial_bound(0.25, NUM_DRAWS))
    network = prepared(IMAGE_TASK, settings).network
    assert all(isinstance(site.fillings[0], GridMask) for site in sites_of(network, settings.acts_on))


def kept(drop_rate: float, block_size: int, shape: tuple[int, ...]) -> Tensor:
    """Masks as 0 and 1, (draws, *shape)."""
    mask = GridMask(
        DropBlockSample(drop_rate=drop_rate, block_size=block_size), MaskStream(0, "dropblock_sample", "cpu")
    )
    output: Tensor = mask.train()(torch.ones(NUM_DRAWS, *shape, dtype=torch.float64))
    assert set(output.unique().tolist()) <= {0.0, 1 / (1 - drop_rate)}
    return (output > 0).double()


@pytest.mark.parametrize("drop_rate", [0.2, 0.5])
@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_each_unit_is_kept_at_the_keep_rate(drop_rate: float, block_size: int) -> None:
    mean = kept(drop_rate, block_size, (15,)).mean(0)
    assert ((mean - (1 - drop_rate)).abs() <= binomial_bound(drop_rate, NUM_DRAWS)).all()


@pytest.mark.parametrize("drop_rate", [0.2, 0.5])
@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_units_of_a_block_share_their_fate_and_blocks_are_independent(drop_rate: float, block_size: int) -> None:
    masks = kept(drop_rate, block_size, (15,))
    both = masks.T @ masks / NUM_DRAWS
    keep = 1 - drop_rate
    blocks = torch.arange(15) // block_size
    same = blocks[:, None] == blocks[None, :]
    # Cov / keep^2 is (1 - keep) / keep inside a block and 0 outside: E[z_i z_j] is keep there and keep^2 here.
    expected = torch.where(same, keep, keep**2)
    assert ((both - expected).abs() <= binomial_bound(expected, NUM_DRAWS)).all()
    assert all(torch.equal(masks[:, 0], masks[:, unit]) for unit in range(block_size))


def test_the_last_block_is_cut_where_the_size_does_not_divide_the_width() -> None:
    masks = kept(0.5, 4, (10,))
    assert masks.shape == (NUM_DRAWS, 10)
    assert torch.equal(masks[:, 8], masks[:, 9])
    assert not torch.equal(masks[:, 7], masks[:, 8])


def test_on_maps_the_blocks_are_squares_of_a_grid_for_each_sample_and_channel() -> None:
    masks = kept(0.5, 3, (2, 7, 5))
    assert torch.equal(masks[:, :, :3, :3], masks[:, :, :1, :1].expand(-1, -1, 3, 3))
    assert torch.equal(masks[:, :, 6:, 3:], masks[:, :, 6:, 3:4].expand(-1, -1, 1, 2))
    corners = masks[:, :, ::3, ::3].flatten(1)
    both = (corners.T @ corners / NUM_DRAWS)[~torch.eye(corners.shape[1], dtype=torch.bool)]
    assert ((both - 0.25).abs() <= binomial_bound(0.25, NUM_DRAWS)).all()


def test_a_block_larger_than_the_layer_drops_all_of_it_or_nothing() -> None:
    masks = kept(0.3, 99, (6,))
    assert torch.equal(masks, masks[:, :1].expand(-1, 6))


@pytest.mark.slow
def test_training_with_it_minimises_the_objective_of_the_theory() -> None:
    generator = torch.Generator().manual_seed(0)
    Y, X, U, V = (
        torch.randn(size, generator=generator, dtype=torch.float64) for size in ((3, 7), (4, 7), (3, 6), (4, 6))
    )
    mask = GridMask(DropBlockSample(drop_rate=0.4, block_size=3), MaskStream(0, "dropblock_sample", "cpu")).train()
    hidden = torch.stack([mask((V.T @ X).T) for _ in range(NUM_DRAWS)])
    errors = (Y.T - hidden @ U.T).square().sum((1, 2))
    standard_error = float(errors.std()) / NUM_DRAWS**0.5
    assert abs(float(errors.mean() - dropblock_objective(Y, X, U, V, 0.6, 3))) <= 5 * standard_error


def test_at_rate_0_and_in_eval_mode_it_is_the_identity() -> None:
    x, stream = torch.randn(2, 6), MaskStream(0, "dropblock_sample", "cpu")
    assert GridMask(DropBlockSample(drop_rate=0.0), stream).train()(x) is x
    assert GridMask(DropBlockSample(), stream).eval()(x) is x
