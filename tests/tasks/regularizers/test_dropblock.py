"""DropBlock's masks have the law of the union of blocks, listed here seed by seed."""

from __future__ import annotations

from collections import Counter
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from tiny_tasks import IMAGE_TASK, binomial_bound, prepared
from torch import Tensor

from tasks.regularizers.dropblock import BlockMask, DropBlock
from tasks.regularizers.parts.masking import apply_mask, block_mask, realised_scale
from tasks.runtime.streams import MaskStream
from tasks.sites import sites_of

NUM_DRAWS = 20_000
MAPS = [(3, 6, 6), (2, 5, 7), (4, 7, 9), (7, 5, 5), (6, 4, 8)]  # block size, height, width


def mask_stream(seed: int = 0) -> MaskStream:
    return MaskStream(seed, "dropblock", "cpu")


def seed_rate(drop_rate: float, block_size: int, height: int, width: int) -> float:
    """The formula of the paper, with a block cut to the map on each axis."""
    b_h, b_w = min(block_size, height), min(block_size, width)
    return drop_rate * height * width / (b_h * b_w * (height - b_h + 1) * (width - b_w + 1))


def union_of_blocks(seeds: np.ndarray, block_size: int, height: int, width: int) -> np.ndarray:
    """Slow and obvious: which pixels of one map are dropped, given the seeds on the grid of top left corners."""
    dropped = np.zeros((height, width), dtype=bool)
    for row, column in zip(*np.nonzero(seeds), strict=True):
        dropped[row : row + block_size, column : column + block_size] = True
    return dropped


def grid_of_corners(block_size: int, height: int, width: int) -> tuple[int, int]:
    return height - min(block_size, height) + 1, width - min(block_size, width) + 1


def marginal_drop_rates(drop_rate: float, block_size: int, height: int, width: int) -> Tensor:
    """1 - (1 - gamma)^n, with n counted block by block."""
    rows, columns = grid_of_corners(block_size, height, width)
    counts = sum(
        union_of_blocks(np.arange(rows * columns).reshape(rows, columns) == corner, block_size, height, width)
        for corner in range(rows * columns)
    )
    gamma = seed_rate(drop_rate, block_size, height, width)
    return torch.from_numpy(1 - (1 - gamma) ** np.asarray(counts, dtype=float))


class FixedSeeds:
    """Stands for a stream whose seeds are given: by position, as on a CPU, or as a map, as on an accelerator."""

    def __init__(self, seeds: Tensor, device_type: str) -> None:
        self.seeds, self.device = seeds, SimpleNamespace(type=device_type)

    def positions(self, size: int, rate: float) -> Tensor:
        assert size == self.seeds.numel()
        return self.seeds.flatten().nonzero().squeeze(1)

    def bernoulli(self, shape: tuple[int, ...], rate: float | Tensor) -> Tensor:
        assert shape == tuple(self.seeds.shape)
        self.rate = rate
        return self.seeds


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
@pytest.mark.parametrize(("block_size", "height", "width"), MAPS)
def test_the_union_of_the_blocks_of_all_seeds_is_dropped_on_either_kind_of_device(
    block_size: int, height: int, width: int, device_type: str
) -> None:
    seeds = torch.rand(20, 3, *grid_of_corners(block_size, height, width), generator=torch.Generator()) < 0.2
    stream: MaskStream = FixedSeeds(seeds, device_type)
    keep = block_mask(stream, (20, 3, height, width), 0.1, block_size)
    for sample, channel in product(range(20), range(3)):
        expected = union_of_blocks(seeds[sample, channel].numpy(), block_size, height, width)
        assert (~keep[sample, channel].numpy() == expected).all()


def test_a_learned_rate_stays_a_tensor_where_its_number_would_have_to_be_waited_for() -> None:
    seeds = torch.zeros(2, 3, *grid_of_corners(3, 6, 6), dtype=torch.bool)
    stream = FixedSeeds(seeds, "cuda")
    block_mask(stream, (2, 3, 6, 6), torch.tensor(0.1), 3)
    assert isinstance(stream.rate, Tensor)
    assert float(stream.rate) == pytest.approx(seed_rate(0.1, 3, 6, 6))


@pytest.mark.parametrize("drop_rate", [0.1, 0.5])
@pytest.mark.parametrize(("block_size", "height", "width"), MAPS)
def test_each_position_is_dropped_at_the_rate_1_minus_1_minus_gamma_to_the_n(
    drop_rate: float, block_size: int, height: int, width: int
) -> None:
    keep = block_mask(mask_stream(), (NUM_DRAWS // 4, 4, height, width), drop_rate, block_size)
    expected = marginal_drop_rates(drop_rate, block_size, height, width)
    measured = 1 - keep.double().mean((0, 1))
    assert ((measured - expected).abs() <= binomial_bound(expected, NUM_DRAWS)).all()
    assert float(expected.mean()) <= drop_rate + 1e-12  # the union bound


@pytest.mark.parametrize("drop_rate", [0.2, 0.6])
def test_whole_masks_are_as_frequent_as_their_seeds(drop_rate: float) -> None:
    keep = block_mask(mask_stream(), (NUM_DRAWS, 1, 3, 3), drop_rate, 2)
    gamma = seed_rate(drop_rate, 2, 3, 3)
    probabilities: dict[bytes, float] = {}
    for seeds in product([False, True], repeat=4):
        pattern = (~union_of_blocks(np.reshape(seeds, (2, 2)), 2, 3, 3)).tobytes()
        rate = gamma ** sum(seeds) * (1 - gamma) ** (4 - sum(seeds))
        probabilities[pattern] = probabilities.get(pattern, 0.0) + rate
    assert_frequencies([mask.numpy().tobytes() for mask in keep.view(NUM_DRAWS, 3, 3)], probabilities)


def test_blocks_of_one_pixel_have_the_law_of_dropout() -> None:
    drop_rate = 0.3
    keep = block_mask(mask_stream(), (NUM_DRAWS, 1, 2, 2), drop_rate, 1)
    probabilities = {
        np.array(kept).tobytes(): (1 - drop_rate) ** sum(kept) * drop_rate ** (4 - sum(kept))
        for kept in product([False, True], repeat=4)
    }
    assert_frequencies([mask.numpy().tobytes() for mask in keep.view(NUM_DRAWS, 4)], probabilities)


@pytest.mark.parametrize("block_size", [6, 9])
def test_blocks_of_the_whole_map_drop_whole_maps_at_the_rate_itself(block_size: int) -> None:
    keep = block_mask(mask_stream(), (NUM_DRAWS // 4, 4, 6, 6), 0.3, block_size)
    assert (keep == keep[:, :, :1, :1]).all()
    assert abs(float(1 - keep[:, :, 0, 0].double().mean()) - 0.3) <= binomial_bound(0.3, NUM_DRAWS)


def test_samples_and_channels_are_masked_independently() -> None:
    keep = block_mask(mask_stream(), (NUM_DRAWS // 2, 2, 4, 4), 0.4, 4)[:, :, 0, 0]  # one coin for each map
    by_pair = {pair: 0.6 ** sum(pair) * 0.4 ** (2 - sum(pair)) for pair in product([False, True], repeat=2)}
    channels = [tuple(pair) for pair in keep.tolist()]
    assert_frequencies(channels, by_pair)
    assert_frequencies([tuple(pair) for pair in keep[:, 0].view(-1, 2).tolist()], by_pair)


@pytest.mark.parametrize("drop_rate", [0.05, 0.3])
def test_realised_scaling_keeps_the_mean_of_a_constant_exactly(drop_rate: float) -> None:
    mask = BlockMask(DropBlock(drop_rate=drop_rate, block_size=3), mask_stream()).train()
    for _ in range(5):
        y = mask(torch.ones(8, 4, 7, 7, dtype=torch.float64))
        assert (y == 0).any()
        assert float(y.mean()) == pytest.approx(1, abs=1e-14)


def test_a_mask_that_keeps_nothing_gives_zeros_and_no_nan() -> None:
    keep = torch.zeros(2, 3, dtype=torch.bool)
    assert apply_mask(torch.ones(2, 3), keep, realised_scale(keep)).equal(torch.zeros(2, 3))


@pytest.mark.parametrize("shape", [(3, 6, 5), (20,)], ids=["maps", "hidden units"])
def test_with_expected_scaling_the_mean_of_its_output_is_its_input(shape: tuple[int, ...]) -> None:
    mask = BlockMask(DropBlock(drop_rate=0.4, block_size=3, scaling="expected"), mask_stream()).train()
    x = torch.linspace(-1, 2, int(np.prod(shape)), dtype=torch.float64).view(shape)
    y = mask(x.expand(NUM_DRAWS, *shape))
    drop_rates = marginal_drop_rates(0.4, 3, *((1, shape[0]) if len(shape) == 1 else shape[1:])).view(shape[-2:])
    standard_error = x.abs() * (drop_rates / (1 - drop_rates) / NUM_DRAWS).sqrt()
    assert ((y.mean(0) - x).abs() <= 5 * standard_error + 1e-12).all()


def test_hidden_units_are_a_map_of_one_row() -> None:
    mask = BlockMask(DropBlock(drop_rate=0.4, block_size=3), mask_stream()).train()
    dropped = (mask(torch.ones(NUM_DRAWS, 10)) == 0).double().mean(0)
    expected = marginal_drop_rates(0.4, 3, 1, 10)[0]
    assert ((dropped - expected).abs() <= binomial_bound(expected, NUM_DRAWS)).all()


def test_at_rate_0_and_in_eval_mode_it_is_the_identity() -> None:
    x = torch.randn(2, 3, 6, 6)
    assert BlockMask(DropBlock(drop_rate=0.0), mask_stream()).train()(x) is x
    assert BlockMask(DropBlock(drop_rate=0.5), mask_stream()).eval()(x) is x


@pytest.mark.parametrize(("schedule", "rates"), [("linear", [0.0, 0.1, 0.2, 0.3]), ("constant", [0.4] * 4)])
def test_the_linear_schedule_brings_the_rate_from_zero_to_its_end(schedule: str, rates: list[float]) -> None:
    training = prepared(IMAGE_TASK, DropBlock(drop_rate=0.4, schedule=schedule))
    fillings = [filling for site in sites_of(training.network, ["conv"]) for filling in site.fillings]
    assert len(fillings) == 2
    for quarter, rate in enumerate(rates):
        training.hooks.progress(quarter / 4)
        assert [filling.drop_rate for filling in fillings] == pytest.approx([rate] * 2)


def assert_frequencies(observed: list[object], probabilities: dict[object, float]) -> None:
    """Pearson's test at the level of five sigma; nothing of probability zero may occur."""
    assert sum(probabilities.values()) == pytest.approx(1)
    counts = Counter(observed)
    expected = {value: rate * len(observed) for value, rate in probabilities.items()}
    assert set(counts) <= set(expected)
    statistic = sum((counts[value] - mean) ** 2 / mean for value, mean in expected.items())
    assert chi2.sf(statistic, len(expected) - 1) > 6e-7
