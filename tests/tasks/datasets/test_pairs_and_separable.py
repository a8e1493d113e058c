"""Pairs of classes, their symmetrised form, and points with a known margin."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tasks.datasets import DATASETS
from tasks.datasets.in_memory import InMemory, Raw
from tasks.datasets.made_up import made_up_split
from tasks.datasets.pairs import pair_of
from tasks.datasets.separable import direction, separable
from tasks.input_space import InputSpace

IMAGES = torch.arange(40 * 16, dtype=torch.int64).remainder(256).to(torch.uint8).view(40, 1, 4, 4)
LABELS = torch.arange(40) % 5


def _load(data_dir: Path | None) -> Raw:
    return Raw(IMAGES, LABELS, IMAGES[:10], LABELS[:10])


FIVE = InMemory(
    name="five", load=_load, num_classes=5, shape=(1, 4, 4), validation_fraction=0.25, mean=(0.3,), std=(0.4,)
)


def test_a_pair_holds_the_images_of_two_classes_in_grey_levels_from_0_to_1() -> None:
    pair = pair_of(FIVE, 3, 1)
    raw = pair.load(None)
    assert torch.equal(raw.train_images, IMAGES[(LABELS == 1) | (LABELS == 3)])
    assert raw.train_labels.tolist() == [1, 0] * 8  # class 1 comes before class 3 in each round
    assert (pair.name, pair.num_classes, len(raw.test_labels)) == ("five_3v1", 2, 4)
    inputs = torch.cat([batch.inputs for batch in pair.splits(None).test.in_order()])
    torch.testing.assert_close(inputs, raw.test_images / 255)
    assert pair.input_space() == InputSpace(offset=(-0.0,), low=0.0, high=1.0)


def test_symmetrised_images_have_one_sign_each_drawn_once_for_the_data_set() -> None:
    plain, symmetrised = pair_of(FIVE, 0, 1), pair_of(FIVE, 0, 1, symmetrised=True)
    raw, signed = plain.load(None), symmetrised.load(None)
    signs = (signed.train_images / (raw.train_images / 255)).flatten(1).nanmedian(dim=1).values
    assert set(signs.tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(signed.train_images, signs.view(-1, 1, 1, 1) * raw.train_images / 255)
    assert torch.equal(signed.train_images, symmetrised.load(None).train_images)
    assert torch.equal(signed.train_labels, raw.train_labels)
    assert symmetrised.input_space() == InputSpace()
    assert symmetrised.splits(None).train.input_space == InputSpace()
    assert made_up_split(symmetrised, 3).inputs.is_floating_point()


@pytest.mark.parametrize("classes", [(1, 1), (0, 5), (-1, 2)])
def test_a_pair_needs_two_classes_that_there_are(classes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"A pair needs two classes from 0 to 4, got"):
        pair_of(FIVE, *classes)


@pytest.mark.parametrize(("dimension", "margin"), [(2, 0.5), (10, 0.3), (30, 0.05)])
def test_separable_points_lie_on_the_sphere_with_the_margin_said(dimension: int, margin: float) -> None:
    raw, v = separable(dimension, margin).load(None), direction(dimension)
    points = torch.cat([raw.train_images, raw.test_images]).flatten(1).double()
    signs = 2 * torch.cat([raw.train_labels, raw.test_labels]) - 1
    margins = signs * (points @ v)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(len(points), dtype=torch.float64), atol=1e-6, rtol=0)
    assert margin - 1e-6 <= margins.min() <= margin + 0.01
    assert margins.max() <= 1 + 1e-6


def test_a_margin_of_1_or_a_line_is_refused() -> None:
    for dimension, margin in ((1, 0.5), (3, 1.0), (3, 0.0)):
        with pytest.raises(ValueError, match=r"needs a dimension >= 2 and a margin in \(0, 1\), got"):
            separable(dimension, margin)


def test_the_table_knows_them_by_their_names() -> None:
    for name in DATASETS:
        assert DATASETS[name].name == name
