"""Crops, flips and rotations: as torchvision makes them one by one, alike by tensor operations and compiled loops."""

from __future__ import annotations

import math
import os
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import v2

from tasks.datasets import batches as batches_module
from tasks.datasets.augmentation import CROP_PADDING, FRACTION_BITS, MAX_DEGREES, Moves, draw_moves, moved, turns_of
from tasks.datasets.augmentation_compiled import moved as moved_by_loops
from tasks.datasets.batches import Batches, Split
from tasks.runtime.streams import torch_stream

NAMES = ("crop", "flip", "rotation")
SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(NAMES, size)]
SHAPES = [(3, 32, 32), (1, 28, 28), (2, 9, 7), (3, 5, 12)]

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def images(num_images: int, shape: tuple[int, int, int]) -> Tensor:
    """Bytes without zeros, so that zeros which move in can be told."""
    return torch.from_numpy(np.random.default_rng(1).integers(1, 256, (num_images, *shape), dtype=np.uint8))


def only(**drawn: Tensor) -> Moves:
    return Moves(drawn.get("shifts"), drawn.get("mirrored"), drawn.get("turns"))


def near_ties(degrees: float, height: int, width: int) -> np.ndarray:
    """Pixels that come from a place, in double precision, about as near to one pixel as to the next."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    v, u = np.mgrid[:height, :width] - np.array([middle_row, middle_column])[:, None, None]
    places = (cosine * u - sine * v + middle_column, sine * u + cosine * v + middle_row)
    return np.logical_or(*(np.abs(place - np.floor(place) - 0.5) < 1e-4 for place in places))


@shapes
def test_a_rotation_is_that_of_torchvision(shape: tuple[int, int, int]) -> None:
    degrees = torch.from_numpy(np.random.default_rng(0).uniform(-15, 15, 60))
    originals = images(60, shape)
    rotated = moved(originals, only(turns=turns_of(degrees)))
    num_compared = 0
    for original, ours, angle in zip(originals, rotated, degrees.tolist(), strict=True):
        sure = ~near_ties(angle, *shape[1:])
        num_compared += sure.sum()
        assert torch.equal(ours[:, sure], v2.functional.rotate(original, angle)[:, sure])
    assert num_compared > 0.99 * 60 * shape[1] * shape[2]


@pytest.mark.parametrize("quarters", range(-2, 3))
def test_quarter_turns_are_exact(quarters: int) -> None:
    originals = images(3, (2, 6, 6))
    turned = moved(originals, only(turns=turns_of(torch.full((3,), 90.0 * quarters))))
    assert torch.equal(turned, torch.rot90(originals, quarters, (2, 3)))


@shapes
def test_all_at_once_is_cropping_then_flipping_then_rotating(shape: tuple[int, int, int]) -> None:
    originals = images(50, shape)
    moves = draw_moves(NAMES, 50, torch_stream(0, "x"))
    one_by_one = moved(originals, Moves(moves.shifts_2B, None, None))
    one_by_one = moved(one_by_one, Moves(None, moves.mirrored_B, None))
    one_by_one = moved(one_by_one, Moves(None, None, moves.turns_2B))
    assert torch.equal(moved(originals, moves), one_by_one)
    others = [moved(originals, moves._replace(**{part: None})) for part in Moves._fields]
    assert not any(torch.equal(one_by_one, other) for other in others)


@shapes
@pytest.mark.parametrize("augmentation", SUBSETS, ids=",".join)
def test_compiled_loops_give_the_same_bytes(augmentation: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    originals = images(40, shape)
    chosen = torch.randint(0, 40, (100,), generator=torch_stream(0, "chosen"))
    moves = draw_moves(augmentation, 100, torch_stream(0, "moves"))
    assert torch.equal(moved_by_loops(originals, chosen, moves), moved(originals[chosen], moves))


@pytest.mark.parametrize("degrees", [-180.0, -45.0, 45.0, 90.0])
def test_compiled_loops_turn_by_any_angle_alike(degrees: float) -> None:
    originals = images(2, (3, 8, 8))
    moves = only(turns=turns_of(torch.full((2,), degrees)))
    assert torch.equal(moved_by_loops(originals, torch.arange(2), moves), moved(originals, moves))


def test_angles_are_uniform_within_15_degrees_and_independent_of_the_rest() -> None:
    moves = draw_moves(NAMES, 4000, torch_stream(0, "x"))
    assert moves.turns_2B is not None
    cosines, sines = moves.turns_2B.double() / 2**FRACTION_BITS
    torch.testing.assert_close(cosines**2 + sines**2, torch.ones(4000, dtype=torch.float64), rtol=0, atol=1e-5)
    degrees = torch.rad2deg(torch.atan2(sines, cosines)).numpy()
    assert stats.kstest(degrees, stats.uniform(-MAX_DEGREES, 2 * MAX_DEGREES).cdf).pvalue > 1e-3
    assert moves.shifts_2B is not None
    assert set(moves.shifts_2B.unique().tolist()) == set(range(-CROP_PADDING, CROP_PADDING + 1))
    assert abs(np.corrcoef(degrees, moves.shifts_2B[0].numpy())[0, 1]) < 5 / math.sqrt(4000)


def test_what_is_not_asked_for_is_not_drawn_and_leaves_images_alone() -> None:
    generator = torch_stream(0, "x")
    before = generator.get_state()
    moves = draw_moves((), 5, generator)
    assert torch.equal(generator.get_state(), before)
    originals = images(5, (3, 8, 8))
    assert moved(originals, moves) is originals


def epochs(split: Split, min_compiled: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Batches, list[Tensor]]:
    monkeypatch.setattr(batches_module, "MIN_COMPILED", min_compiled)
    batches = Batches(split, 16, seed=0, augmentation=NAMES)
    return batches, [batch.inputs for batch in chain(batches.epoch(), batches.epoch())]


def test_batches_are_the_same_with_and_without_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(inputs=images(50, (3, 16, 16)), targets=torch.zeros(50, 1))
    fast, by_loops = epochs(split, 1, monkeypatch)
    slow, portable = epochs(split, math.inf, monkeypatch)
    assert fast._loops is not None
    assert slow._loops is None
    assert all(torch.equal(*pair) for pair in zip(by_loops, portable, strict=True))


def test_loops_serve_only_where_they_are_installed_and_images_are_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(inputs=images(50, (3, 16, 16)), targets=torch.zeros(50, 1))
    for others in (split.inputs.float(), split.inputs[:, :, :, ::2]):
        unfit = Split(inputs=others, targets=split.targets)
        assert epochs(unfit, 1, monkeypatch)[0]._loops is None
    monkeypatch.setattr("tasks.runtime.compiled.is_available", lambda: False)
    assert epochs(split, 1, monkeypatch)[0]._loops is None


def test_loops_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run in forked children."""
    split = Split(inputs=images(50, (3, 16, 16)), targets=torch.zeros(50, 1))
    tasks = Path("/proc/self/task")
    before = len(os.listdir(tasks)) if tasks.exists() else 0
    batches, _ = epochs(split, 1, monkeypatch)
    assert batches._loops is not None
    assert (len(os.listdir(tasks)) if tasks.exists() else 0) == before
