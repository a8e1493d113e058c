"""The first layers of networks for images of 224 pixels, and those that replace them for small images."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from tasks.architectures.residual import norm_and_relu

Stem = Literal["by_size", "3x3", "7x7"]
"""`7x7`: a 7x7 conv layer at stride 2, norm, ReLU, and a maxpool at stride 2, which leave a quarter of the size; `3x3`:
a 3x3 conv layer at stride 1 and no pooling; `by_size`: 3x3 for images of up to 64 pixels."""

LARGEST_SMALL_IMAGE = 64
STRIDES = {"3x3": 8, "7x7": 32}  # the product of the strides of stem and groups, in the networks here


def is_small(stem: Stem, image_size: int) -> bool:
    """Whether the stem is the 3x3 one.

    Raises:
        ValueError: for an unknown stem.
    """
    if stem not in get_args(Stem):
        raise ValueError(f"The stem must be one of {', '.join(get_args(Stem))}, got {stem!r}.")
    return image_size <= LARGEST_SMALL_IMAGE if stem == "by_size" else stem == "3x3"


def first_conv(in_channels: int, out_channels: int, *, small: bool) -> nn.Conv2d:
    """The first conv layer, initialised as in torchvision (He et al. 2015)."""
    layer = _conv(in_channels, out_channels, small=small)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def residual_stem(stem: Stem, in_channels: int, out_channels: int, image_size: int, *, has_norm: bool) -> nn.Module:
    """The stem of a `ResidualNetwork`, which initialises the weights; `has_norm`: with norm and ReLU.

    Raises:
        ValueError: for an unknown stem.
    """
    small = is_small(stem, image_size)
    layers: list[nn.Module] = [_conv(in_channels, out_channels, small=small)]
    if has_norm:
        layers += norm_and_relu(out_channels)
    if not small:
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0]


def check_size(network: str, image_size: int, stem: Stem) -> None:
    """Check that the map after the last group has at least one pixel.

    Raises:
        ValueError: if the image is smaller than the product of all strides, or the stem is unknown.
    """
    smallest = STRIDES["3x3" if is_small(stem, image_size) else "7x7"]
    if image_size < smallest:
        raise ValueError(f"{network} takes images of at least {smallest} pixels here, got {image_size}.")


def _conv(in_channels: int, out_channels: int, *, small: bool) -> nn.Conv2d:
    kernel_size, stride = (3, 1) if small else (7, 2)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
