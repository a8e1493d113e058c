"""Batches: every sample once an epoch, bytes normalised as stated, crops and flips as a slow loop makes them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_tasks import binomial_bound
from torch import Tensor

from tasks.datasets.augmentation import CROP_PADDING
from tasks.datasets.batches import Batches, Split
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.linear.fresh_batches import FreshBatches

HEIGHT, WIDTH = 9, 7
SHIFTS = list(product(range(-CROP_PADDING, CROP_PADDING + 1), repeat=2))


def numbers(num_samples: int) -> Split:
    """Samples that are their own numbers."""
    ids = torch.arange(num_samples, dtype=torch.float32)[:, None]
    return Split(inputs=ids, targets=ids * 10)


def images(num_samples: int, channels: int = 2) -> Split:
    """Images in which no pixel value comes twice, so that any change can be told; targets are their numbers."""
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.permutation(np.arange(1, 256))[: channels * HEIGHT * WIDTH] for _ in range(num_samples)])
    return Split(
        inputs=torch.from_numpy(pixels.reshape(num_samples, channels, HEIGHT, WIDTH).astype(np.uint8)),
        targets=torch.arange(num_samples, dtype=torch.float32)[:, None],
        preprocessing=ChannelNormalisation(mean=(0.0,) * channels, std=(1.0,) * channels),
    )


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Slow and obvious: pixel by pixel, zeros moving in."""
    result = np.zeros_like(image)
    for row, column in product(range(HEIGHT), range(WIDTH)):
        if 0 <= row + down < HEIGHT and 0 <= column + right < WIDTH:
            result[:, row, column] = image[:, row + down, column + right]
    return result


def seen(batches: Batches) -> Tensor:
    return torch.cat([batch.targets for batch in batches.epoch()]).flatten()


@pytest.mark.parametrize(("num_samples", "batch_size"), [(12, 4), (12, 5), (3, 10), (7, 7)])
def test_an_epoch_brings_every_sample_at_most_once_in_batches_of_one_size(num_samples: int, batch_size: int) -> None:
    batches = Batches(numbers(num_samples), batch_size, seed=0)
    size = min(batch_size, num_samples)
    for _ in range(3):
        epoch = list(batches.epoch())
        assert len(epoch) == len(batches) == num_samples // size
        assert all(len(batch.inputs) == size for batch in epoch)
        ids = torch.cat([batch.inputs for batch in epoch]).flatten()
        assert len(ids.unique()) == len(ids)
        assert torch.equal(torch.cat([batch.targets for batch in epoch]).flatten(), ids * 10)


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    batches = Batches(numbers(40), 8, seed=0)
    first, second = seen(batches), seen(batches)
    assert torch.equal(first.sort().values, second.sort().values)
    assert torch.equal(first.sort().values, torch.arange(40.0) * 10)
    assert not torch.equal(first, second)


def test_samples_that_do_not_fill_a_batch_come_in_other_epochs() -> None:
    batches = Batches(numbers(10), 7, seed=0)
    assert len(torch.cat([seen(batches) for _ in range(20)]).unique()) == 10


def test_the_order_follows_from_the_seed_and_not_from_the_augmentation() -> None:
    orders = [
        seen(Batches(images(20), 5, seed=seed, augmentation=augmentation))
        for seed, augmentation in ((0, ()), (0, ("crop", "flip")), (1, ()))
    ]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_bytes_become_x_over_255_minus_mean_over_std_channel_by_channel() -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.05)
    preprocessing = ChannelNormalisation(mean=mean, std=std)
    split = Split(inputs=values, targets=torch.zeros(1, 1), preprocessing=preprocessing)
    expected = (values.double() / 255 - torch.tensor(mean).double().view(1, 3, 1, 1)) / torch.tensor(std).double().view(
        1, 3, 1, 1
    )
    normalised = split.normalised(values)
    assert normalised.dtype == torch.float32
    torch.testing.assert_close(normalised.double(), expected, rtol=0, atol=1e-5)


def test_floats_are_used_as_they_are() -> None:
    split = numbers(3)
    assert split.normalised(split.inputs) is split.inputs


def test_evaluation_sees_all_samples_once_in_order_and_normalised() -> None:
    split = images(23)
    batches = list(split.in_order(batch_size=10))
    assert [len(batch.inputs) for batch in batches] == [10, 10, 3]
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), split.normalised(split.inputs))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), split.targets)


def test_a_crop_is_the_image_shifted_as_the_slow_loop_shifts_it() -> None:
    split = images(60, channels=1)
    batches = Batches(split, 20, seed=0, augmentation=("crop",))
    found: set[tuple[int, int]] = set()
    for batch in (*batches.epoch(), *batches.epoch()):
        for cropped, number in zip(batch.inputs, batch.targets.flatten(), strict=True):
            original = split.inputs[int(number)].numpy()
            matches = [shift for shift in SHIFTS if (shifted(original, *shift) == cropped.numpy()).all()]
            assert len(matches) == 1
            found.update(matches)
    assert len(found) > 40  # 120 draws of 81 shifts


def test_all_shifts_come_equally_often_in_both_directions() -> None:
    # One bright pixel in the middle tells the shift by where it goes.
    num_images = 40_500
    inputs = torch.zeros(num_images, 1, 9, 9, dtype=torch.uint8)
    inputs[:, 0, 4, 4] = 255
    preprocessing = ChannelNormalisation(mean=(0.0,), std=(1.0,))
    split = Split(inputs=inputs, targets=torch.zeros(num_images, 1), preprocessing=preprocessing)
    (batch,) = Batches(split, num_images, seed=0, augmentation=("crop",)).epoch()
    frequencies = split.normalised(batch.inputs)[:, 0].double().mean(0)
    assert ((frequencies - 1 / 81).abs() <= binomial_bound(1 / 81, num_images)).all()


def test_a_flip_mirrors_columns_and_comes_every_second_time() -> None:
    split = images(2000, channels=1)
    (batch,) = Batches(split, 2000, seed=0, augmentation=("flip",)).epoch()
    originals = split.inputs[batch.targets.flatten().long()]
    same = (batch.inputs == originals).flatten(1).all(1)
    mirrored = (batch.inputs == torch.from_numpy(originals.numpy()[:, :, :, ::-1].copy())).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert abs(float(mirrored.double().mean()) - 0.5) <= binomial_bound(0.5, 2000)


def test_augmentation_draws_afresh_every_epoch_and_follows_from_its_seed() -> None:
    one = images(1)
    alike = replace(one, inputs=one.inputs.expand(30, -1, -1, -1), targets=torch.zeros(30, 1))  # so order is no matter

    def two_epochs(seed: int) -> list[Tensor]:
        batches = Batches(alike, 30, seed=seed, augmentation=("crop", "flip"))
        return [batch.inputs for _ in range(2) for batch in batches.epoch()]

    first, second = two_epochs(0)
    assert not torch.equal(first, second)
    assert all(torch.equal(*pair) for pair in zip((first, second), two_epochs(0), strict=True))
    assert not torch.equal(first, two_epochs(1)[0])


@pytest.mark.parametrize("augmentation", [(), ("crop", "flip", "rotation")], ids=["plain", "augmented"])
def test_restored_batches_continue_bit_for_bit_from_a_file_of_plain_tensors(
    augmentation: tuple[str, ...], tmp_path: Path
) -> None:
    batches = Batches(images(30), 7, seed=3, augmentation=augmentation)
    for _ in range(2):
        list(batches.epoch())
    torch.save(batches.state(), tmp_path / "state")
    third, fourth = list(batches.epoch()), list(batches.epoch())
    fresh = Batches(images(30), 7, seed=99, augmentation=augmentation)
    fresh.restore(torch.load(tmp_path / "state", weights_only=True))
    for expected, found in ((third, list(fresh.epoch())), (fourth, list(fresh.epoch()))):
        assert all(
            torch.equal(a.inputs, b.inputs) and torch.equal(a.targets, b.targets)
            for a, b in zip(expected, found, strict=True)
        )


def test_restored_samples_of_a_law_continue_bit_for_bit() -> None:
    batches, fresh = (FreshBatches(torch.eye(3), 4, 2, seed=seed) for seed in (0, 1))
    list(batches.epoch())
    fresh.restore(batches.state())
    for expected, found in zip(batches.epoch(), fresh.epoch(), strict=True):
        assert torch.equal(expected.inputs, found.inputs)


def test_images_stay_bytes_until_their_batch_is_normalised() -> None:
    (batch,) = Batches(images(4), 4, seed=0, augmentation=("crop", "flip")).epoch()
    assert batch.inputs.dtype == torch.uint8


def test_the_first_samples_of_a_split_are_a_split() -> None:
    split = images(10)
    part = split.first(4)
    assert len(part) == len(part.targets) == 4
    assert torch.equal(part.inputs, split.inputs[:4])
    assert split.first(None) is split.first(10) is split
    assert part.preprocessing is split.preprocessing
