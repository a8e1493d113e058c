"""What all figures share: new figures that need no display, and one colour and marker per regularizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

BASELINE = "none"
_BASELINE_COLOUR = "#4d4d4d"
# Seaborn's colour-blind palette without grey, which is the colour of the baseline; the pale colours are last.
_COLOURS = tuple(sns.color_palette("colorblind").as_hex()[place] for place in (0, 1, 2, 3, 4, 5, 9, 6, 8))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_WIDTH = 5.6  # inches of a panel
_MOST_NAMED = 15  # contestants in a legend
OTHERS_COLOUR = "0.7"  # of contestants that are not named
_FONT = {"font.size": 11.0, "axes.titlesize": 12.0, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one regularizer appears in every figure."""

    colour: str
    marker: str
    dash: Any


Styles = Mapping[str, Look]


def styles_by_regularizer(regularizers: Iterable[str]) -> dict[str, Look]:
    """Colour, marker and dash of each regularizer, assigned in alphabetical order; the baseline is always grey.

    The styles depend on the set of names, so pass one dictionary to all figures that belong together. After nine
    contestants the colours repeat, with another marker and dash.
    """
    looks = {BASELINE: Look(colour=_BASELINE_COLOUR, marker="o", dash=(0, (3, 1.5)))}
    for place, name in enumerate(sorted(set(regularizers) - {BASELINE})):
        repetition = place // len(_COLOURS)
        looks[name] = Look(
            colour=_COLOURS[place % len(_COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            dash=_DASHES[repetition % len(_DASHES)],
        )
    return looks


def new_figure(
    num_axes: int, *, width: float = _WIDTH, height: float = 3.4, num_columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure with this many axes, of `width` and `height` inches each; without pyplot, so it needs no display."""
    num_columns = max(1, min(num_columns, num_axes))
    num_rows = -(-num_axes // num_columns)
    with sns.axes_style("whitegrid", rc=_FONT), sns.plotting_context("notebook", rc=_FONT):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches
        figure = Figure(figsize=(width * num_columns, height * num_rows), layout=layout)
        FigureCanvasAgg(figure)
        grid = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for unused in grid[num_axes:]:
        unused.remove()
    return figure, list(grid[:num_axes])


def width_for(names: Iterable[str]) -> float:
    """The width in inches of a panel with these names beside its axes, of which at least 3.4 inches are left."""
    return max(_WIDTH, 3.4 + _length_of(names))


def legend_columns(names: Iterable[str]) -> int:
    """How many columns of a legend with these names fit below one panel, from 1 to 3."""
    return max(1, min(3, int(_WIDTH / (0.65 + _length_of(names)))))


def is_crowded(names: Iterable[str]) -> bool:
    """Whether there are too many contestants for a legend, so that only some of them are named."""
    return len(set(names)) > _MOST_NAMED


def _length_of(names: Iterable[str]) -> float:
    """About the length of the longest name, in inches."""
    return 0.085 * max(map(len, names), default=0)


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """Write a name to the left of each of the rows 0, 1, ... of an axis, the first row on top.

    The names are texts, not labels of ticks: matplotlib measures a label about ten times for one figure.
    """
    axis.set_yticks([])
    axis.set_ylim(len(names) - 0.5, -0.5)
    beside = axis.get_yaxis_transform()
    for place, name in enumerate(names):
        axis.text(-0.02, place, name, transform=beside, ha="right", va="center", fontsize=_FONT["font.size"])


Named = tuple[str, str, Figure]  # file name, title, figure
