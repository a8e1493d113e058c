"""Points on the unit sphere that a known direction separates with a known margin. No files are needed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tasks.datasets.in_memory import InMemory, Raw
from tasks.runtime.streams import torch_stream

NUM_TRAIN, NUM_TEST = 2000, 1000


def separable(dimension: int, margin: float) -> InMemory:
    """Two classes with ||x|| = 1 and y v.x >= margin for the unit vector v = `direction(dimension)`, y = -1 or 1.

    Formula:
        x = y a v + sqrt(1 - a^2) w, with a uniform in [margin, 1] and w uniform on the unit sphere orthogonal to v.

    Args:
        dimension: d >= 2; a point has the shape (d, 1, 1).
        margin: gamma in (0, 1).

    Source:
        Assumption 3 of Mianjy's thesis (section 6.3) with R = 1; section 5.2 likewise.

    Raises:
        ValueError: if dimension or margin lie outside their ranges.

    Example:
        >>> raw = separable(10, 0.3).load(None)
        >>> signed = (2 * raw.train_labels - 1) * (raw.train_images.flatten(1).double() @ direction(10))
        >>> bool(signed.min() >= 0.3 - 1e-6), round(float(raw.train_images.flatten(1).norm(dim=1).max()), 6)
        (True, 1.0)
    """
    if dimension < 2 or not 0 < margin < 1:
        raise ValueError(f"separable needs a dimension >= 2 and a margin in (0, 1), got {dimension} and {margin}.")
    name = f"separable_d{dimension}_margin{margin:g}"

    def load(data_dir: Path | None) -> Raw:
        generator = torch_stream(0, f"data/{name}")
        labels = torch.arange(NUM_TRAIN + NUM_TEST) % 2
        points = draw_points(labels, dimension, margin, generator).float().view(-1, dimension, 1, 1)
        return Raw(points[:NUM_TRAIN], labels[:NUM_TRAIN], points[NUM_TRAIN:], labels[NUM_TRAIN:])

    return InMemory(
        name=name,
        load=load,
        num_classes=2,
        shape=(dimension, 1, 1),
        num_train=NUM_TRAIN,
        num_test=NUM_TEST,
        validation_fraction=0.2,
        mean=(0.0,) * dimension,
        std=(1.0,) * dimension,
        augmentations=(),
        preprocessings=("standard",),
        holds_bytes=False,
    )


def draw_points(labels: Tensor, dimension: int, margin: float, generator: torch.Generator) -> Tensor:
    """Points (n, dimension) in double precision, one for each label 0 or 1 (n,), drawn as `separable` says."""
    along = direction(dimension)
    sizes = margin + (1 - margin) * torch.rand(len(labels), 1, generator=generator, dtype=torch.float64)
    across = torch.randn(len(labels), dimension, generator=generator, dtype=torch.float64)
    across -= (across @ along)[:, None] * along
    across /= across.norm(dim=1, keepdim=True)
    points: Tensor = (2 * labels - 1)[:, None] * sizes * along + (1 - sizes.square()).sqrt() * across
    return points


def direction(dimension: int) -> Tensor:
    """The unit vector v (dimension,), in double precision, that separates the classes."""
    drawn = torch.randn(dimension, generator=torch_stream(0, f"data/direction/{dimension}"), dtype=torch.float64)
    unit: Tensor = drawn / drawn.norm()
    return unit


SEPARABLE_MARGIN_03 = separable(10, 0.3)
"""3,000 points on the unit sphere of 10 dimensions in two classes with a margin of 0.3; needs no files."""

SEPARABLE_MARGIN_05 = separable(10, 0.5)
"""3,000 points on the unit sphere of 10 dimensions in two classes with a margin of 0.5; needs no files."""
