"""Image folders as they come from real people: read rightly, or refused with all that is wrong in one message."""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_images
from PIL import Image

from tasks.datasets.image_decoding import ImageError, decoded
from tasks.datasets.image_files import index_of
from tasks.datasets.imagenet import IMAGENET
from tasks.datasets.mnist import MNIST, RAW_FILES
from tasks.errors import DataError

CLASSES = ("n01", "n02", "n03")
SMALL = replace(IMAGENET, name="small", num_classes=3, shape=(3, 8, 8), num_train=6, num_test=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "imagenet", CLASSES, num_train=2, num_val=1)


def test_hidden_files_and_folders_are_no_part_of_the_data(folder: Path) -> None:
    clean = index_of(folder)
    for part in ("train", "val"):
        for name in (".ipynb_checkpoints", "__MACOSX"):
            (folder / part / name).mkdir()
            (folder / part / name / "x.png").write_bytes(b"x")
        (folder / part / ".DS_Store").write_bytes(b"x")
        (folder / part / "n02" / ".ipynb_checkpoints").mkdir()
        (folder / part / "n02" / "._n02_000.JPEG").write_bytes(b"x")
        (folder / part / "n02" / "notes.txt").write_text("x")
    index_of.cache_clear()
    found = index_of(folder)
    assert found.classes == CLASSES
    assert found.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (found.fingerprint, found.train.paths.tolist()) == (clean.fingerprint, clean.train.paths.tolist())


def test_all_that_would_shift_labels_or_cannot_be_read_is_named_in_one_message(folder: Path) -> None:
    (folder / "train" / "a_new_class").mkdir()
    (folder / "train" / "nested" / "images").mkdir(parents=True)
    (folder / "val" / "other").mkdir()
    (folder / "train" / "n01" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "train" / "n00").symlink_to(folder / "nowhere")
    (folder / "val" / "n03" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        index_of(folder)
    message = str(raised.value)
    assert message.startswith("6 file(s) or folder(s) cannot be used: ")
    for words in (
        "train/a_new_class: the class has no training images",
        "train/nested: the class has no training images",
        "val has the class other, of which",
        "train/n01/gone.png is a link that leads nowhere",
        "train/n00 is a link that leads nowhere",
        "val/n03/empty.jpg is empty",
    ):
        assert words in message
    assert "\n" not in message


def test_links_to_images_and_to_class_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    os.rename(folder / "train" / "n02", elsewhere)
    (folder / "train" / "n02").symlink_to(elsewhere)
    (folder / "train" / "n02" / "more.png").symlink_to(folder / "train" / "n01" / "n01_000.png")
    assert index_of(folder).train.labels.tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_all_images_that_cannot_be_decoded_are_named_in_one_message(folder: Path, tmp_path: Path) -> None:
    page, cut, short = (
        folder / "train" / f"n0{place}" / name for place, name in ((1, "page.jpg"), (2, "cut.jpg"), (3, "cut.png"))
    )
    page.write_text("<html>not found</html>")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for path, kind in ((cut, "JPEG"), (short, "PNG")):
        content = io.BytesIO()
        Image.fromarray(noise).save(content, kind)
        path.write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
    with pytest.raises(DataError) as raised:
        SMALL.notice(tmp_path)
    assert all(str(path) in str(raised.value) for path in (page, cut, short))
    assert "3 file(s)" in str(raised.value)
    for path in (page, cut, short):
        with pytest.raises(ImageError):
            decoded(path)
        path.unlink()
    index_of.cache_clear()
    assert SMALL.notice(tmp_path) is None


def test_a_jpeg_with_bytes_behind_its_end_is_sound(folder: Path, tmp_path: Path) -> None:
    path = folder / "val" / "n01" / "camera.jpg"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes() + b"from a camera" * 40)
    assert "4 of 3 validation images" in str(SMALL.notice(tmp_path))


def test_sixteen_bits_become_the_upper_eight_and_four_inks_become_colours(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 0x7F00, 0xFFFF]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(decoded(tmp_path / "deep.png"))[0].tolist() == [[v] * 3 for v in (0, 0, 1, 0x7F, 0xFF)]
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "inks.jpg", quality=100)
    red = np.asarray(decoded(tmp_path / "inks.jpg")).reshape(-1, 3).mean(0)
    assert red.tolist() == pytest.approx([255, 0, 0], abs=6)
    Image.new("RGBA", (2, 2), (10, 20, 30, 128)).save(tmp_path / "clear.png")
    assert np.asarray(decoded(tmp_path / "clear.png"))[0, 0].tolist() == [10, 20, 30]


def test_packed_files_of_mnist_are_unpacked_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def asks_the_network(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(datasets, "MNIST", asks_the_network)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in RAW_FILES:
        with gzip.open(raw / f"{name}.gz", "wb") as packed:
            packed.write(name.encode())
    MNIST.check(tmp_path, download=True)
    assert [(raw / name).read_text() for name in RAW_FILES] == list(RAW_FILES)
    (raw / RAW_FILES[0]).unlink()
    (raw / f"{RAW_FILES[0]}.gz").write_bytes((raw / f"{RAW_FILES[1]}.gz").read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"missing in .*: MNIST/raw/{RAW_FILES[0]}\. Fetching them failed"):
        MNIST.check(tmp_path, download=True)
    assert sorted(path.name for path in raw.iterdir() if path.name.startswith(".")) == []
