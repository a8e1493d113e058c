"""Image files that the training's device decodes: workers read bytes and draw the cuts, the device does the rest.

nvJPEG, which torchvision uses on a GPU, rounds in another way than Pillow, so pixels differ by a few levels of 255.
Files that it does not support (other formats than JPEG, and CMYK) are decoded by Pillow in the workers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomResizedCrop, v2

from tasks.datasets.image_decoding import UNREADABLE, ImageError, decoded

_MODES = ("RGB", "L")  # of JPEG files that the device decodes
_SCALE, _RATIO = [0.08, 1.0], [3 / 4, 4 / 3]  # torchvision's for RandomResizedCrop: of the area, of width to height


class Cut(NamedTuple):
    """What of an image becomes the sample."""

    box: tuple[int, int, int, int] | None = None  # top, left, height, width; None: the centre of the scaled image
    is_mirrored: bool = False

    @classmethod
    def drawn(cls, image: Image.Image, augmentation: Sequence[str]) -> Cut:
        """A cut drawn from torch's generator, in the order of torchvision's RandomResizedCrop and flip."""
        box = RandomResizedCrop.get_params(image, _SCALE, _RATIO) if "resized_crop" in augmentation else None
        return cls(box, "flip" in augmentation and bool(torch.rand(1) < 0.5))

    def applied(self, pixels: Tensor, size: int, short_side: int) -> Tensor:
        """The sample (3, size, size) of an image (3, H, W); without a box it is first scaled to this short side."""
        if self.box is None:
            pixels = v2.functional.center_crop(v2.functional.resize(pixels, [short_side]), [size])
        else:
            top, left, height, width = self.box
            pixels = v2.functional.resized_crop(pixels, top, left, height, width, [size, size])
        return pixels.flip(-1) if self.is_mirrored else pixels


class Encoded(NamedTuple):
    """A file as a worker sends it."""

    content: Tensor  # uint8: the bytes (N,) of a JPEG file, or the pixels (3, H, W) of another one
    cut: Cut
    path: str


def encoded(path: Path, augmentation: Sequence[str] = ()) -> Encoded:
    """Read a file and draw its cut from torch's generator.

    Raises:
        ImageError: when it cannot be read.
    """
    try:
        with Image.open(path) as image:  # reads the header only
            cut = Cut.drawn(image, augmentation)
            if image.format == "JPEG" and image.mode in _MODES:
                return Encoded(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8), cut, str(path))
    except UNREADABLE as error:
        raise ImageError(str(error)) from error
    return Encoded(_pixels_of(path), cut, str(path))


def samples_of(files: Sequence[Encoded], size: int, short_side: int, device: torch.device) -> Tensor:
    """Decode and cut on the device; the samples (B, 3, size, size), uint8.

    Raises:
        ImageError: for a damaged file; the message names it.
        RuntimeError: if torchvision cannot decode files that are whole, for example without its decoder for the device.
    """
    jpegs = [each for each in files if each.content.dim() == 1]
    try:
        images = iter(_decoded_on(device, [each.content for each in jpegs]))
    except RuntimeError:  # does not say which file; Pillow does
        for each in jpegs:
            _check(each.path)
        raise
    pixels = [next(images) if each.content.dim() == 1 else each.content.to(device) for each in files]
    return torch.stack([each.cut.applied(own, size, short_side) for each, own in zip(files, pixels, strict=True)])


def _decoded_on(device: torch.device, contents: list[Tensor]) -> list[Tensor]:
    from torchvision.io import ImageReadMode, decode_jpeg  # deprecated since torchvision 0.29

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        images: list[Tensor] = decode_jpeg(contents, mode=ImageReadMode.RGB, device=device) if contents else []
    return images


def _check(path: str) -> None:
    try:
        decoded(Path(path))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _pixels_of(path: Path) -> Tensor:
    return torch.from_numpy(np.array(decoded(path))).permute(2, 0, 1)
