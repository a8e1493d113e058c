"""The figures of Tang et al. 2020: training curves, and what distortion probability and step length do."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.canvas import Looks, new_figure, spans_decades

_RED, _BLUE = (sns.color_palette("colorblind").as_hex()[place] for place in (3, 0))
_TRAIN, _TEST = (0, (1, 1.5)), "-"


def draw_overfitting(points: pd.DataFrame, looks: Looks) -> Figure:
    """Figure 1: accuracy over epochs, dotted on the training split and solid on the test split.

    Columns regularizer, split, epoch, accuracy (%). Without curves of the training accuracy the training accuracy at
    the end is a dot.
    """
    figure, (axis,) = new_figure(1, width=7.0, height=4.4)
    for (name, split), line in points.groupby(["regularizer", "split"]):
        look = looks[str(name)]
        mean = line.groupby("epoch")["accuracy"].mean()
        label = f"{name}, {split}"
        if len(mean) == 1:
            axis.plot(
                mean.index, mean, color=look.colour, marker=look.marker, markersize=8, linestyle="", label=label,
                markerfacecolor="white", zorder=3,
            )  # fmt: skip
        else:
            dash = _TRAIN if split == "train" else _TEST
            axis.plot(mean.index, mean, color=look.colour, linestyle=dash, label=label, linewidth=1.7)
    axis.set_xlabel("epoch")
    axis.set_ylabel("accuracy, %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def draw_strength(by_rate: dict[str, pd.DataFrame], by_step: pd.DataFrame, looks: Looks) -> Figure:
    """Figure 2: (a) test accuracy of distortion and DropBlock by p; accuracy and train-test gap by (b) p, (c) gamma.

    The frames have place, accuracy, accuracy_std, gap and gap_std, in % and points; an empty one leaves out its panel.
    """
    ours = by_rate.get("block_feature_map_distortion", pd.DataFrame())
    panels = [
        panel
        for panel, frame in (("a", pd.concat([pd.DataFrame(), *by_rate.values()])), ("b", ours), ("c", by_step))
        if len(frame)
    ]
    figure, axes = new_figure(len(panels), width=4.9, height=4.0, num_columns=3)
    for axis, panel in zip(axes, panels, strict=True):
        if panel == "a":
            for name, line in by_rate.items():
                look = looks[name]
                axis.errorbar(
                    line["place"], line["accuracy"], yerr=line["accuracy_std"].fillna(0), color=look.colour,
                    marker=look.marker, linestyle=look.dash, capsize=3, label=name,
                )  # fmt: skip
            axis.set_ylabel("test accuracy, %")
            axis.set_title("(a) by method", loc="left")
            axis.set_xlabel("distortion or drop probability p")
            # Two contestants at most, and room is made for their names above the lines.
            low, high = axis.get_ylim()
            axis.set_ylim(low, high + 0.28 * (high - low))
            axis.legend(loc="upper center", fontsize=9, frameon=False)
        else:
            _two_axes(axis, ours if panel == "b" else by_step)
            axis.set_title("(b) distortion, by p" if panel == "b" else "(c) distortion, by step length", loc="left")
            axis.set_xlabel("distortion probability p" if panel == "b" else "step length gamma")
    return figure


def _two_axes(axis: Axes, line: pd.DataFrame) -> None:
    right = axis.twinx()
    for side, name, colour, dash, label in (
        (axis, "accuracy", _RED, "-", "test accuracy, %"),
        (right, "gap", _BLUE, "--", "training less test accuracy, points"),
    ):
        error = line[f"{name}_std"].fillna(0)
        side.errorbar(line["place"], line[name], yerr=error, color=colour, fmt="o", linestyle=dash, capsize=3)
        side.set_ylabel(label, color=colour)
    if spans_decades(float(line["place"].min()), float(line["place"].max()), 1.3):
        axis.set_xscale("log")
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
