"""Decoding of image files to 8-bit RGB, and a quick check of many files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.datasets.image_files import ImageFiles

_READERS = 8
_TAIL_BYTES = 64
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # end markers, among the last bytes of a complete file
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # raised by Pillow for damaged files


class ImageError(ValueError):
    """A file that is not an image, is truncated, or has too many pixels; the message says which."""


def decoded(path: Path) -> Image.Image:
    """The image as 8-bit RGB. Of 16-bit channels the upper 8 bits are kept; CMYK, grey and palettes are converted.

    Raises:
        ImageError: when it cannot be read.
    """
    try:
        with Image.open(path) as file:
            return _as_colours(file)
    except UNREADABLE as error:
        raise ImageError(str(error)) from error


def faults_of(files: ImageFiles) -> list[str]:
    """A message for each file that cannot be decoded.

    Only headers and the last bytes are checked; a file without the end marker of its format is decoded.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda place: list(_faults(files.path(place))), range(len(files)))
        return [fault for faults in found for fault in faults]


def _as_colours(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
        values = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _faults(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as stream:
            with Image.open(stream) as image:
                kind = image.format or ""
            size = path.stat().st_size
            stream.seek(max(0, size - _TAIL_BYTES))
            is_whole = _ENDS.get(kind, b"") in stream.read()
        if not is_whole:
            decoded(path)
    except UNREADABLE as error:
        yield f"{path} ({error})"
