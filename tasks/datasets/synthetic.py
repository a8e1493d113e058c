"""Synthetic images that can be learned in seconds: a pattern for each class, and noise. For tests, without files."""

from __future__ import annotations

from pathlib import Path

import torch

from tasks.datasets.in_memory import InMemory, Raw
from tasks.runtime.streams import torch_stream

NUM_CLASSES, SHAPE = 10, (3, 32, 32)
NUM_TRAIN, NUM_TEST = 500, 200
_PATCH = 8  # pixels along a side of the squares that make up a pattern
_NOISE = 40.0  # standard deviation, in grey levels
_LOW, _HIGH = 78, 178  # grey levels of a pattern's squares


def _load(data_dir: Path | None) -> Raw:
    generator = torch_stream(0, "synthetic")
    channels, height, width = SHAPE
    squares = torch.randint(0, 2, (NUM_CLASSES, channels, height // _PATCH, width // _PATCH), generator=generator)
    patterns = (_LOW + (_HIGH - _LOW) * squares).float()
    patterns = patterns.repeat_interleave(_PATCH, dim=2).repeat_interleave(_PATCH, dim=3)
    labels = torch.arange(NUM_TRAIN + NUM_TEST) % NUM_CLASSES
    noise = _NOISE * torch.randn(len(labels), *SHAPE, generator=generator)
    images = (patterns[labels] + noise).round().clamp(0, 255).to(torch.uint8)
    return Raw(images[:NUM_TRAIN], labels[:NUM_TRAIN], images[NUM_TRAIN:], labels[NUM_TRAIN:])


SYNTHETIC = InMemory(
    name="synthetic",
    load=_load,
    num_classes=NUM_CLASSES,
    shape=SHAPE,
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    validation_fraction=0.2,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)
"""700 noisy colour patterns of 32x32 pixels in 10 classes; needs no files."""
