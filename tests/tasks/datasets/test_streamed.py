"""Streamed images: the same whatever the number of workers, listed in order, cut as torchvision cuts them."""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import write_images
from PIL import Image
from tiny_tasks import binomial_bound
from torch import Tensor
from torchvision.transforms import v2

from tasks.datasets.image_files import index_of
from tasks.datasets.imagenet import IMAGENET
from tasks.datasets.streamed import Streamed
from tasks.errors import DataError
from tasks.experiments.demos.protocols import DIGITS as PROTOCOL
from tasks.regularizers.base import Batch

CLASSES = ("n03", "n01", "n10", "n02")
SMALL = replace(IMAGENET, name="small", num_classes=6, shape=(3, 8, 8), validation_fraction=0.25)
AUGMENTED = replace(PROTOCOL, augmentation=("resized_crop", "flip"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder / "imagenet", CLASSES, num_train=6, num_val=3)
    return folder


def train_of(data: Path, num_workers: int = 0) -> Streamed:
    train = SMALL.splits(data, PROTOCOL, num_workers).train
    assert isinstance(train, Streamed)
    return train


def same(one: list[Batch], other: list[Batch]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a.inputs, b.inputs) and torch.equal(a.targets, b.targets) for a, b in pairs)


def two_epochs(data: Path, num_workers: int = 0, seed: int = 0) -> list[list[Batch]]:
    batches = train_of(data, num_workers).batches(5, seed, AUGMENTED.augmentation)
    return [list(batches.epoch()) for _ in range(2)]


def test_labels_are_places_in_the_sorted_list_of_folders_and_files_come_sorted(data: Path) -> None:
    index = index_of(data / "imagenet")
    assert index.classes == ("n01", "n02", "n03", "n10")
    assert [index.train.path(place).name for place in (0, 1, 6, 23)] == [
        "n01_000.png", "n01_001.png", "n02_000.png", "n10_005.png"
    ]  # fmt: skip
    assert index.val.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_splits_hold_every_file_once_and_the_official_validation_set_is_the_test_set(data: Path) -> None:
    splits = SMALL.splits(data)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 6, 12)
    parts = [splits.train, splits.validation]
    names = [{part.files.path(place) for place in range(len(part))} for part in parts if isinstance(part, Streamed)]
    assert names[0] | names[1] == {path.resolve() for path in (data / "imagenet" / "train").rglob("*.png")}
    assert not names[0] & names[1]
    assert len(SMALL.splits(data, replace(PROTOCOL, validation_fraction=0.5)).train) == 12


def test_images_are_counted_in_the_copy_at_hand_and_are_the_officials_where_there_is_none(data: Path) -> None:
    assert SMALL.num_images(data) == (24, 12)
    assert SMALL.num_images(None) == SMALL.num_images(data / "elsewhere") == (1_281_167, 50_000)


def test_targets_have_as_many_classes_as_the_data_set_whatever_the_copy_has(data: Path) -> None:
    (batch,) = SMALL.splits(data).test.in_order(50)
    assert batch.targets.shape == (12, 6)
    assert batch.targets.argmax(1).tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_evaluation_cuts_the_centre_of_the_image_scaled_by_its_short_side(data: Path) -> None:
    samples = SMALL.splits(data).test
    batches = list(samples.in_order(5))
    assert [len(batch.inputs) for batch in batches] == [5, 5, 2]
    with Image.open(data / "imagenet" / "val" / "n01" / "n01_001.png") as image:
        scaled = v2.functional.resize(image, [9])  # 256 / 224 * 8 = 9.14
        assert scaled.size == (9, 11)
        pixels = torch.from_numpy(np.array(scaled.crop((0, 2, 8, 10)))).permute(2, 0, 1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    torch.testing.assert_close(batches[0].inputs[1], (pixels / 255 - mean) / std, rtol=0, atol=1e-5)


def test_training_images_without_augmentation_are_cut_from_the_centre_too(data: Path) -> None:
    train = train_of(data)
    batches = train.batches(18, seed=0)
    (batch,) = batches.epoch()
    assert batch.inputs.dtype == torch.uint8
    found = sorted(map(tuple, batches.normalised(batch.inputs).flatten(1).tolist()))
    expected = sorted(map(tuple, torch.cat([part.inputs for part in train.in_order()]).flatten(1).tolist()))
    assert found == expected


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_no_value(data: Path, num_workers: int) -> None:
    alone, helped = two_epochs(data), two_epochs(data, num_workers)
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))
    test = [list(SMALL.splits(data, None, workers).test.in_order(5)) for workers in (0, num_workers)]
    assert same(*test)


def test_every_epoch_is_drawn_anew_and_follows_from_the_seed(data: Path) -> None:
    first, second = two_epochs(data)
    again, _ = two_epochs(data)
    other, _ = two_epochs(data, seed=1)
    assert same(first, again)
    assert not same(first, second)
    assert not same(first, other)


def test_restored_batches_continue_bit_for_bit(data: Path, tmp_path: Path) -> None:
    batches = train_of(data).batches(5, 3, AUGMENTED.augmentation)
    list(batches.epoch())
    torch.save(batches.state(), tmp_path / "state")
    second = list(batches.epoch())
    fresh = train_of(data).batches(5, 3, AUGMENTED.augmentation)
    fresh.restore(torch.load(tmp_path / "state", weights_only=True))
    assert same(list(fresh.epoch()), second)


def test_reading_draws_nothing_from_the_global_generator(data: Path) -> None:
    before = torch.get_rng_state()
    two_epochs(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_has_steps_of_one_size_and_every_image_at_most_once(data: Path) -> None:
    batches = train_of(data).batches(5, 0)
    assert (len(batches), batches.num_samples) == (3, 18)
    epoch = list(batches.epoch())
    assert [len(batch.inputs) for batch in epoch] == [5, 5, 5]
    assert len(torch.cat([batch.inputs for batch in epoch]).flatten(1).unique(dim=0)) == 15


def gradient(folder: Path) -> Path:
    """One image that is dark on the left and bright on the right."""
    pixels = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], (64, 64, 3))
    for part in ("train", "val"):
        (folder / "imagenet" / part / "n01").mkdir(parents=True)
        for place in range(2):
            Image.fromarray(pixels.copy()).save(folder / "imagenet" / part / "n01" / f"{place}.png")
    return folder


def drawn(data: Path, augmentation: tuple[str, ...], num_epochs: int) -> Tensor:
    batches = train_of(data).first(1).batches(1, 0, augmentation)
    return torch.cat([batch.inputs for _ in range(num_epochs) for batch in batches.epoch()]).float()


def test_a_flip_mirrors_columns_and_comes_every_second_time(tmp_path: Path) -> None:
    images = drawn(gradient(tmp_path), ("flip",), 400)
    plain = images[images[:, 0, 0, 0] < images[:, 0, 0, -1]]
    mirrored = images[images[:, 0, 0, 0] > images[:, 0, 0, -1]]
    assert len(plain) + len(mirrored) == 400
    assert torch.equal(mirrored.flip(3), plain[:1].expand(len(mirrored), -1, -1, -1))
    assert abs(len(mirrored) / 400 - 0.5) <= binomial_bound(0.5, 400)


def test_a_crop_keeps_between_8_and_100_percent_of_the_area_with_sides_of_3_to_4(tmp_path: Path) -> None:
    images = drawn(gradient(tmp_path), ("resized_crop",), 300)
    # Along the gradient the width of the cut can be read from the spread of its columns.
    widths = (images[:, 0, 0, -1] - images[:, 0, 0, 0]) / 255 * 8 / 7
    assert float(widths.min()) >= np.sqrt(0.08 * 3 / 4) - 0.06
    assert float(widths.max()) <= 1 + 0.06
    assert float(widths.std()) > 0.1
    assert len(images.flatten(1).unique(dim=0)) > 150


def test_grey_images_and_images_with_a_palette_become_colours(tmp_path: Path) -> None:
    gradient(tmp_path)
    file = tmp_path / "imagenet" / "val" / "n01" / "0.png"
    with Image.open(file) as image:
        image.convert("L").save(file)
    with Image.open(file.with_name("1.png")) as image:
        image.convert("P").save(file.with_name("1.png"))
    (batch,) = SMALL.splits(tmp_path).test.in_order()
    assert batch.inputs.shape == (2, 3, 8, 8)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, num_workers: int) -> None:
    file = gradient(tmp_path) / "imagenet" / "val" / "n01" / "1.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=rf"The image {file} cannot be read"):
        list(SMALL.splits(tmp_path, None, num_workers).test.in_order())


def test_an_image_that_says_it_is_huge_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A few bytes of a file may stand for gigabytes of pixels: a decompression bomb."""
    file = gradient(tmp_path) / "imagenet" / "val" / "n01" / "1.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rest = file.read_bytes()[33:]
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + rest
    )
    with pytest.raises(DataError, match=rf"The image {file} cannot be read .*exceeds limit"):
        list(SMALL.splits(tmp_path).test.in_order())


def test_the_fingerprint_follows_from_paths_and_sizes(data: Path, tmp_path: Path) -> None:
    prints = []
    for change in ("copy", "rename", "append", "remove"):
        folder = tmp_path / change / "imagenet"
        shutil.copytree(data / "imagenet", folder)
        file = folder / "train" / "n02" / "n02_001.png"
        if change == "rename":
            file.rename(file.with_name("other.png"))
        elif change == "append":
            file.write_bytes(file.read_bytes() + b"x")
        elif change == "remove":
            file.unlink()
        prints.append(SMALL.splits(tmp_path / change).fingerprint)
    assert prints[0] == SMALL.splits(data).fingerprint
    assert len(set(prints)) == 4


def test_other_names_of_the_folder_serve_and_the_first_is_taken(data: Path, tmp_path: Path) -> None:
    for name in ("imagenette2-224", "ILSVRC2012"):
        shutil.copytree(data / "imagenet", tmp_path / name)
        notice = SMALL.notice(tmp_path)
        assert notice is not None
        assert f"in {tmp_path / name} differs" in notice


def test_a_copy_with_fewer_classes_is_used_with_a_notice(data: Path) -> None:
    notice = IMAGENET.notice(data)
    assert notice is not None
    assert "4 of 1,000 classes, 24 of 1,281,167 training images, 12 of 50,000 validation images" in notice
    assert "keep 1,000 outputs" in notice
    assert f"dataset_fingerprint ({SMALL.splits(data).fingerprint})" in notice
    assert replace(SMALL, num_classes=4, num_train=24, num_test=12).notice(data) is None


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing in .*: imagenet/train/CLASS/\*\.JPEG, imagenet/val.* put the files"):
        IMAGENET.check(tmp_path, download=True)
    with pytest.raises(DataError, match="no --data was given"):
        IMAGENET.splits(None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (("train/a",), "train holds no images"),
        (("train/a/x.png", "val/b/x.png"), "val has the class b, of which .*train has no folder"),
        (("train/a/x.png",), "val holds no images"),
        (
            (*(f"train/{k}/x.png" for k in range(7)), "val/1/x.png"),
            "train holds 7 class folders, where",
        ),
    ],
    ids=["no image", "unknown class", "no val", "too many classes"],
)
def test_folders_of_another_form_are_refused(tmp_path: Path, make: tuple[str, ...], words: str) -> None:
    for name in make:
        path = tmp_path / "imagenet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if not path.suffix else path.write_bytes(b"x")
    with pytest.raises(DataError, match=words):
        SMALL.splits(tmp_path)


def test_what_imagenet_does_not_offer_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match="offers the augmentations resized_crop, flip, got 'crop'"):
        SMALL.splits(data, replace(PROTOCOL, augmentation=("crop",)))
    with pytest.raises(ValueError, match="offers the preprocessing standard, got 'gcn_zca'"):
        SMALL.splits(data, replace(PROTOCOL, preprocessing="gcn_zca"))
