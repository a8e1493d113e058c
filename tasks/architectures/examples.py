"""An example network of any architecture, for an image shape that it accepts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tasks.sites import measure_sites

Shape = tuple[int, int, int]  # channels, height, width

SHAPES: tuple[Shape, ...] = ((1, 28, 28), (3, 32, 32), (3, 224, 224))  # MNIST's, CIFAR's and ImageNet's
NUM_CLASSES = 10


def example_of(architecture: Callable[..., nn.Module]) -> tuple[nn.Module, Shape]:
    """A new network for ten classes with its sites measured, and the shape of its images.

    The shape is the architecture's `example_shape`, or the first of SHAPES that it accepts.

    Raises:
        Exception: what the architecture raises for the first shape, if it accepts none.
    """
    declared = getattr(architecture, "example_shape", None)
    errors: list[Exception] = []
    for channels, height, width in [declared] if declared is not None else SHAPES:
        try:
            network = architecture(num_classes=NUM_CLASSES, in_channels=channels, image_size=height)
            measure_sites(network, torch.zeros(1, channels, height, width))
        except Exception as error:
            errors.append(error)
        else:
            return network, (channels, height, width)
    raise errors[0]
