"""Small image files in a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_images(
    folder: Path, classes: Sequence[str], num_train: int, num_val: int, size: tuple[int, int] = (14, 11)
) -> Path:
    """`num_train` + `num_val` noisy images (height, width) of each class, each class of its own colour."""
    rng = np.random.default_rng(0)
    for part, number in (("train", num_train), ("val", num_val)):
        for label, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for place in range(number):
                colour = 60 + 40 * (label // np.array([1, 2, 4]) % 2)
                pixels = (colour + rng.integers(0, 60, (*size, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{name}_{place:03}.png")
    return folder
