"""Files that the device decodes (here a CPU, by torchvision's decoder): the cuts and pixels of Pillow's path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.datasets.imagenet import IMAGENET
from tasks.datasets.streamed import Streamed
from tasks.errors import DataError
from tasks.experiments.demos.protocols import DIGITS as PROTOCOL
from tasks.regularizers.base import Batch
from tasks.runtime.switches import Switches

SMALL = replace(IMAGENET, name="small", num_classes=2, shape=(3, 32, 32), validation_fraction=0.25)
ON_DEVICE = replace(PROTOCOL, switches=Switches(device_decoding=True))
BOTH = ("resized_crop", "flip")
LEVELS = 3  # of 255: two decoders and two ways of scaling, each of which rounds


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth images whose colours tell rows from columns; JPEG in colours and grey, and two files of other kinds."""
    folder = tmp_path_factory.mktemp("data") / "imagenet"
    rng = np.random.default_rng(0)
    for part, number in (("train", 8), ("val", 4)):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for place in range(number):
                height, width = rng.integers(40, 90, 2)
                rows, columns = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)[None, :]
                pixels = np.stack(np.broadcast_arrays(rows, columns, 128 + 100 * (label == "b")), axis=2)
                image = Image.fromarray(pixels.astype(np.uint8))
                image = image.convert("L") if place == 1 else image
                image.save(folder / part / label / f"{place}.jpg", quality=95)
    file = folder / "val" / "b" / "2.jpg"
    with Image.open(file) as image:
        image.convert("CMYK").save(file)
    with Image.open(folder / "val" / "b" / "3.jpg") as image:
        image.save(folder / "val" / "b" / "3.png")
    (folder / "val" / "b" / "3.jpg").unlink()
    return folder.parent


def pair(data: Path, num_workers: int = 0) -> tuple[Streamed, Streamed]:
    """The training images as Pillow decodes them, and as the device does."""
    one, other = (SMALL.splits(data, protocol, num_workers).train for protocol in (PROTOCOL, ON_DEVICE))
    assert isinstance(one, Streamed)
    assert isinstance(other, Streamed)
    assert (one.device_decoding, other.device_decoding) == (False, True)
    return one, other


def assert_alike(one: Batch, other: Batch, levels: float) -> None:
    assert one.inputs.dtype == other.inputs.dtype
    torch.testing.assert_close(one.inputs.float(), other.inputs.float(), rtol=0, atol=levels)
    assert torch.equal(one.targets, other.targets)


def test_evaluation_sees_the_same_centres(data: Path) -> None:
    in_units = LEVELS / 255 / min(SMALL.std)
    one, other = (list(SMALL.splits(data, protocol).test.in_order(5)) for protocol in (PROTOCOL, ON_DEVICE))
    for batches in zip(one, other, strict=True):
        assert_alike(*batches, levels=in_units)


@pytest.mark.parametrize("augmentation", [(), ("flip",), BOTH], ids=["plain", "flip", "crop and flip"])
def test_training_sees_the_same_cuts_in_every_epoch(data: Path, augmentation: tuple[str, ...]) -> None:
    one, other = (images.batches(4, 3, augmentation) for images in pair(data))
    for _ in range(3):
        for batches in zip(one.epoch(), other.epoch(), strict=True):
            assert_alike(*batches, levels=LEVELS)


def test_other_seeds_draw_other_cuts(data: Path) -> None:
    _, images = pair(data)
    one, other = (torch.cat([batch.inputs for batch in images.batches(4, seed, BOTH).epoch()]) for seed in (0, 1))
    assert not torch.equal(one, other)


def test_workers_change_no_value_and_nothing_is_drawn_from_the_global_generator(data: Path) -> None:
    before = torch.get_rng_state()
    _, alone = pair(data)
    _, helped = pair(data, num_workers=2)
    for batches in zip(alone.batches(4, 3, BOTH).epoch(), helped.batches(4, 3, BOTH).epoch(), strict=True):
        assert_alike(*batches, levels=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("damage", [b"", b"no image", None], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_named(data: Path, tmp_path: Path, damage: bytes | None) -> None:
    (tmp_path / "imagenet").symlink_to(data / "imagenet")
    images = SMALL.splits(tmp_path, ON_DEVICE).test
    assert isinstance(images, Streamed)
    file = images.files.path(1)
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
        with pytest.raises(DataError, match=f"{file.name}.* replace or remove it"):
            list(images.in_order())
    finally:
        file.write_bytes(whole)


def test_what_the_device_cannot_decode_at_all_is_told_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a torchvision without a decoder for the device: Pillow must not take its place unnoticed."""

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("not compiled with GPU support")

    monkeypatch.setattr("torchvision.io.decode_jpeg", refuse)
    images = SMALL.splits(data, ON_DEVICE).test
    with pytest.raises(RuntimeError, match="GPU support"):
        list(images.in_order())
