"""Mixup and CutMix: the arithmetic of torchvision's, and the laws of what they draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_tasks import prepared, tiny
from torch import Tensor
from torchvision.transforms import v2

from tasks.regularizers.base import Batch, Step
from tasks.regularizers.cutmix import CutMix, paste, random_box
from tasks.regularizers.mixup import Mixup, blend

SIZE = 8
NUM_BATCHES = 3000


def batch(size: int = 4) -> Batch:
    """Each image is filled with its number, each target is its own class."""
    numbers = torch.arange(1, size + 1, dtype=torch.float64)
    return Batch(numbers.view(-1, 1, 1, 1).expand(size, 1, SIZE, SIZE).clone(), torch.eye(size, dtype=torch.float64))


def step() -> Step:
    network = prepared(tiny("digits-convnet")).network
    return Step(
        network=network,
        loss=lambda batch: batch.inputs.sum(),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0,
    )


def torchvisions(transform: v2.Transform, examples: Batch) -> tuple[Tensor, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs, targets = transform(examples.inputs.float(), examples.targets.float())
    return inputs, targets


def test_a_blend_is_torchvisions_for_the_same_weight() -> None:
    inputs, targets = torchvisions(v2.MixUp(alpha=1.0, num_classes=4), batch())
    blended = blend(batch(), float(targets[0, 0]))
    assert torch.allclose(blended.inputs.float(), inputs)
    assert torch.allclose(blended.targets.float(), targets)


def test_a_pasted_box_is_torchvisions_for_the_same_box() -> None:
    inputs, targets = torchvisions(v2.CutMix(alpha=1.0, num_classes=4), batch())
    rows, columns = (inputs[1, 0] == 1).nonzero().unbind(1)
    box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
    pasted = paste(batch(), box)
    assert torch.equal(pasted.inputs.float(), inputs)
    assert torch.allclose(pasted.targets.float(), targets)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.0])
def test_mixups_weight_is_beta_distributed(alpha: float) -> None:
    regularizer, at = Mixup(alpha=alpha), step()
    weights = [float(regularizer.transform_batch(batch(), at).targets[0, 0]) for _ in range(NUM_BATCHES)]
    assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 1e-6


@pytest.mark.slow
def test_cutmixs_boxes_have_the_law_of_torchvisions() -> None:
    regularizer, at, theirs = CutMix(), step(), v2.CutMix(alpha=1.0, num_classes=4)
    ours = torch.stack([regularizer.transform_batch(batch(), at).inputs[1, 0] == 1 for _ in range(NUM_BATCHES)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        others = torch.stack([theirs(*batch())[0][1, 0] == 1 for _ in range(NUM_BATCHES)])
    frequencies = ours.double().mean(0), others.double().mean(0)
    mean = (frequencies[0] + frequencies[1]) / 2
    standard_error = (2 * mean * (1 - mean) / NUM_BATCHES).sqrt()
    assert ((frequencies[0] - frequencies[1]).abs() <= 5 * standard_error).all()
    areas = [masks.flatten(1).sum(1).numpy() for masks in (ours, others)]
    assert stats.ks_2samp(*areas).pvalue > 1e-6


def test_the_label_tells_the_share_of_pixels_that_remain() -> None:
    regularizer, at = CutMix(), step()
    for _ in range(50):
        mixed = regularizer.transform_batch(batch(), at)
        for image in range(4):
            remaining = (mixed.inputs[image] == image + 1).double().mean()
            assert float(mixed.targets[image, image]) == pytest.approx(float(remaining), abs=1e-12)
        assert torch.allclose(mixed.targets.sum(1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("side", [0.0, 0.5, 1.0])
def test_a_box_lies_on_the_image_and_is_centred_uniformly(side: float) -> None:
    rng = np.random.default_rng(0)
    boxes = [random_box(6, 9, side, rng) for _ in range(500)]
    for rows, columns in boxes:
        assert 0 <= rows.start <= rows.stop <= 6
        assert 0 <= columns.start <= columns.stop <= 9
        assert rows.stop - rows.start <= 2 * int(3 * side)
    if side == 0.5:  # half sides of 1 and 2 pixels; cut at the border, hence a start of 0 twice or three times as often
        starts = np.bincount([columns.start for _, columns in boxes], minlength=7)
        assert stats.chisquare(starts, 500 / 9 * np.array([3, 1, 1, 1, 1, 1, 1])).pvalue > 1e-6


def test_a_batch_of_one_is_its_own_partner() -> None:
    for mixed in (blend(batch(1), 0.3), paste(batch(1), (slice(0, 4), slice(0, 4)))):
        assert torch.allclose(mixed.inputs, batch(1).inputs)
        assert torch.allclose(mixed.targets, batch(1).targets)


def test_they_refuse_a_negative_alpha() -> None:
    for regularizer in (Mixup, CutMix):
        with pytest.raises(ValueError, match=rf"{regularizer.__name__}\.alpha must be finite and >= 0, got -0\.1"):
            regularizer(alpha=-0.1)
