"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32x32 pixels, in torchvision's folder layout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.datasets.in_memory import InMemory, Raw
from tasks.datasets.plain_pickle import read_plain_pickle

SHAPE = (3, 32, 32)
NUM_TRAIN, NUM_TEST = 50_000, 10_000

CIFAR10_MD5 = {  # of the official release (Krizhevsky's page; torchvision.datasets.CIFAR10 holds the same)
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
}


def _load(data_dir: Path | None, *, files: tuple[str, ...], labels: str) -> Raw:
    """All batches; the last file is the test set."""
    assert data_dir is not None  # the data set lists files, so `check` has refused None
    read = [_batch(data_dir / file, labels) for file in files]
    train_images, train_labels = (torch.cat(parts) for parts in zip(*read[:-1], strict=True))
    for what, found, expected in (("training", train_images, NUM_TRAIN), ("test", read[-1][0], NUM_TEST)):
        if len(found) != expected:
            raise ValueError(f"the {what} files hold {len(found)} images, not {expected}")
    return Raw(train_images, train_labels, *read[-1])


def _batch(path: Path, labels: str) -> tuple[Tensor, Tensor]:
    """Images and labels of one file: a dictionary whose rows of `data` are images, channel by channel."""
    content = read_plain_pickle(path)
    content = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
    data = np.asarray(content["data"])
    if data.dtype != np.uint8:
        raise ValueError(f"{path.name} holds pixels of type {data.dtype}, not bytes")
    return torch.from_numpy(data.reshape(-1, *SHAPE).copy()), torch.tensor(content[labels], dtype=torch.int64)


def _fetch(data_dir: Path, *, class_name: str) -> None:
    """Download and unpack with torchvision."""
    from torchvision import datasets

    getattr(datasets, class_name)(str(data_dir), download=True)


CIFAR10 = InMemory(
    name="cifar10",
    load=partial(_load, files=tuple(CIFAR10_MD5), labels="labels"),
    num_classes=10,
    shape=SHAPE,
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=0.1,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
    files=tuple(CIFAR10_MD5),
    fetch=partial(_fetch, class_name="CIFAR10"),
    official_md5=CIFAR10_MD5,
)
"""60,000 colour images of 32x32 pixels in 10 classes (Krizhevsky 2009)."""

CIFAR100_FILES = ("cifar-100-python/train", "cifar-100-python/test")

CIFAR100 = InMemory(
    name="cifar100",
    load=partial(_load, files=CIFAR100_FILES, labels="fine_labels"),
    num_classes=100,
    shape=SHAPE,
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=0.1,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    files=CIFAR100_FILES,
    fetch=partial(_fetch, class_name="CIFAR100"),
    official_fingerprint="920d625f05df163e",  # of images and labels whose binary layout has the published SHA-1 sums
)
"""60,000 colour images of 32x32 pixels in 100 classes (Krizhevsky 2009), by their fine labels."""
