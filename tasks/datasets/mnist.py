"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28x28 pixels, in torchvision's folder layout."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from functools import partial
from pathlib import Path

from tasks.datasets.in_memory import InMemory, Raw

RAW_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
NUM_TRAIN, NUM_TEST = 60_000, 10_000


def _load(data_dir: Path | None, *, folder: str) -> Raw:
    """Read the four idx files with torchvision's reader, and check the numbers of entries."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    assert data_dir is not None  # the data set lists files, so `check` has refused None
    raw = data_dir / folder / "raw"
    arrays = [(read_image_file if "images" in name else read_label_file)(str(raw / name)) for name in RAW_FILES]
    for array, name in zip(arrays, RAW_FILES, strict=True):
        expected = NUM_TRAIN if name.startswith("train") else NUM_TEST
        if len(array) != expected:
            raise ValueError(f"{name} holds {len(array)} entries, not {expected}")
    train_images, train_labels, test_images, test_labels = arrays
    return Raw(train_images.unsqueeze(1), train_labels.long(), test_images.unsqueeze(1), test_labels.long())


def _fetch(data_dir: Path, *, class_name: str) -> None:
    """Unpack the .gz files that exist; download missing files with torchvision."""
    from torchvision import datasets

    raw = data_dir / class_name / "raw"
    for name in RAW_FILES:
        if not (raw / name).exists() and (raw / f"{name}.gz").exists():
            _unpack(raw / f"{name}.gz", raw / name)
    if all((raw / name).exists() for name in RAW_FILES):
        return

    getattr(datasets, class_name)(str(data_dir), download=True)


def _unpack(archive: Path, target: Path) -> None:
    """Unpack a file atomically; skip a damaged archive, which the download replaces."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with gzip.open(archive) as packed, unfinished.open("wb") as stream:
            shutil.copyfileobj(packed, stream)
        unfinished.replace(target)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return
    finally:
        unfinished.unlink(missing_ok=True)


def _files(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/raw/{name}" for name in RAW_FILES)


MNIST = InMemory(
    name="mnist",
    load=partial(_load, folder="MNIST"),
    num_classes=10,
    shape=(1, 28, 28),
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=1 / 6,
    mean=(0.1307,),
    std=(0.3081,),
    files=_files("MNIST"),
    fetch=partial(_fetch, class_name="MNIST"),
    official_fingerprint="3ee7f568b8fdc891",  # of files unpacked from archives that have torchvision's MD5 sums
)
"""60,000 + 10,000 handwritten digits of 28x28 pixels (LeCun et al. 1998)."""

FASHION_MNIST = InMemory(
    name="fashion_mnist",
    load=partial(_load, folder="FashionMNIST"),
    num_classes=10,
    shape=(1, 28, 28),
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=1 / 6,
    mean=(0.2860,),
    std=(0.3530,),
    files=_files("FashionMNIST"),
    fetch=partial(_fetch, class_name="FashionMNIST"),
    official_fingerprint="90fb00bb668ec4c4",
)
"""60,000 + 10,000 articles of clothing of 28x28 pixels (Xiao et al. 2017)."""
