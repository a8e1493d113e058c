"""The first layers of networks made for 224 pixels, and what takes their place for small images."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

Stem = Literal["by_size", "3x3", "7x7"]
"""`7x7`: a 7x7 conv layer at stride 2, norm, ReLU, and a maxpool at stride 2, which leave a quarter of the size; `3x3`:
a 3x3 conv layer at stride 1 and no pooling; `by_size`: 3x3 for images of up to 64 pixels."""

LARGEST_SMALL_IMAGE = 64


def is_small(stem: Stem, image_size: int) -> bool:
    """Whether the stem is the 3x3 one.

    Raises:
        ValueError: for an unknown stem.
    """
    if stem not in get_args(Stem):
        raise ValueError(f"The stem must be one of {', '.join(get_args(Stem))}, got {stem!r}.")
    return image_size <= LARGEST_SMALL_IMAGE if stem == "by_size" else stem == "3x3"


def first_conv(in_channels: int, out_channels: int, *, small: bool) -> nn.Conv2d:
    """The first conv layer, drawn as torchvision draws it (He et al. 2015)."""
    kernel_size, stride = (3, 1) if small else (7, 2)
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
