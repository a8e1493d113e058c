"""Figures of matplotlib as small PNG files."""

from __future__ import annotations

import io
import warnings
from typing import Any, cast

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image  # a dependency of matplotlib

_DOTS_PER_INCH = 144


def small_png(figure: Figure) -> bytes:
    """The figure as PNG with 256 colours, which is a third of the size and enough for line drawings.

    `savefig` would draw twice: once for the layout, and once more for the file.
    """
    small, canvas = io.BytesIO(), cast("Any", FigureCanvasAgg(figure))  # its methods have no types
    figure.set_dpi(_DOTS_PER_INCH)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # names too long for the figure
        try:
            canvas.draw()
        except (ValueError, RecursionError):  # a name from a row parsed as a formula, such as "$_{"
            for text in figure.findobj(Text):
                text.set_parse_math(False)
            canvas.draw()
    _with_palette(np.asarray(canvas.buffer_rgba())).save(small, format="png")
    return small.getvalue()


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """An image of the 256 commonest colours, which replace the others; Pillow's `quantize` takes five times as long.

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue, and an opaque alpha.
    """
    height, width, _ = pixels.shape
    counts = Image.fromarray(pixels).getcolors(height * width) or []
    colours = np.array([colour for _, colour in sorted(counts, reverse=True)], dtype=np.uint8)
    palette = colours[:256].astype(int)
    nearest = [np.square(palette - colour).sum(axis=1).argmin() for colour in colours]
    places = np.zeros(1 << 24, dtype=np.uint8)
    places[_packed(colours)] = nearest
    image = Image.fromarray(places[_packed(pixels)])
    image.putpalette(palette[:, :3].astype(np.uint8).tobytes())
    return image


def _packed(colours: np.ndarray) -> np.ndarray:
    """Colours of shape (..., 4), uint8, as integers below 2^24; alpha is left out."""
    packed: np.ndarray = np.ascontiguousarray(colours).view("<u4")[..., 0] & 0xFFFFFF
    return packed
