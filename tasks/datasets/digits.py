"""Digits: 1,797 grey images of 8x8 pixels, embedded in scikit-learn (Alpaydin and Kaynak 1998, UCI)."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits

from tasks.datasets.in_memory import InMemory, Raw
from tasks.runtime.streams import torch_stream

NUM_TRAIN, NUM_TEST = 1300, 497  # NUM_TRAIN includes the validation images


def _load(data_dir: Path | None) -> Raw:
    digits = load_digits()
    images = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(images), generator=torch_stream(0, "split/digits-test"))
    test, train = order[:NUM_TEST], order[NUM_TEST:]
    return Raw(images[train], labels[train], images[test], labels[test])


DIGITS = InMemory(
    name="digits",
    load=_load,
    num_classes=10,
    shape=(1, 8, 8),
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=300 / NUM_TRAIN,
    mean=(0.305,),
    std=(0.376,),
)
"""1,797 grey digits of 8x8 pixels from scikit-learn; needs no files."""
