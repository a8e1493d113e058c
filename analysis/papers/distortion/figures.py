"""The figures of Tang et al. 2020: training curves, and the effect of distortion probability and step length."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.papers.distortion.claims import (
    ALONG_RATE,
    ALONG_STEP_SIZE,
    BLOCKS,
    DROPBLOCK_ALONG_RATE,
    MODES,
    SWEEP_TASK,
)
from analysis.papers.entries import Entry, accuracy_points, at_fullest_scale, gap_points, mean_by_epoch, samples_of
from analysis.tables.statistics import spans_decades
from harness.records import SCALES

_RED, _BLUE = (sns.color_palette("colorblind").as_hex()[place] for place in (3, 0))
_TRAIN, _TEST = (0, (1, 1.5)), "-"


def draw_overfitting(points: pd.DataFrame, looks: Styles) -> Figure:
    """Figure 1: accuracy over epochs, dotted on the training split and solid on the test split.

    `points` has the columns `regularizer`, `split`, `epoch` and `accuracy` (%). If the training accuracy was measured
    only once, at the end, it is drawn as a dot.
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


def draw_strength(by_rate: dict[str, pd.DataFrame], by_step: pd.DataFrame, looks: Styles) -> Figure:
    """Figure 2: (a) test accuracy of distortion and DropBlock by p; accuracy and train-test gap by (b) p, (c) gamma.

    The frames have the columns `place` (p or gamma), `accuracy` and `accuracy_std` (%), `gap` and `gap_std` (% points).
    The panel of an empty frame is left out.
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
            # Make room above the lines for the legend, which has at most two entries.
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


def overfitting_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 1: the accuracy on training and test images over epochs."""
    parts, scales = [], set()
    for name in ("none", BLOCKS):
        cell = at_fullest_scale(rows, SWEEP_TASK, name)
        scales |= set(cell["scale"])
        for split in ("train", "test"):
            line = mean_by_epoch(curves, cell, split)
            if line.empty and split == "train" and len(cell):
                line = pd.DataFrame({"epoch": cell["epochs_run"], "accuracy": 100 * cell["train_value"]}).dropna()
            parts.append(line.assign(regularizer=name, split=split))
    points = pd.concat(parts, ignore_index=True)
    if points.loc[points["split"] == "test", "epoch"].nunique() < 2:
        return []
    title = f"Tang et al. 2020, figure 1: training on CIFAR-100 (scale {', '.join(sorted(scales))})"
    return [("distortion-fig1", title, draw_overfitting(points, looks))]


def strength_figures(rows: pd.DataFrame, _curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 2: the effect of distortion probability and step length, in each mode."""
    return [named for mode in MODES for named in _strength_in(mode, rows, looks)]


def _strength_in(mode: str, rows: pd.DataFrame, looks: Styles) -> list[Named]:
    of_task = rows[rows["task"] == SWEEP_TASK]
    for scale in SCALES:
        at_scale = of_task[of_task["scale"] == scale]
        lines = {BLOCKS: ALONG_RATE[mode], "dropblock": DROPBLOCK_ALONG_RATE}
        by_rate = {name: _along(at_scale, along(at_scale)) for name, along in lines.items()}
        by_rate = {name: line for name, line in by_rate.items() if len(line) > 1}
        by_step = _along(at_scale, ALONG_STEP_SIZE[mode](at_scale))
        by_step = by_step if len(by_step) > 1 else by_step.iloc[:0]
        if BLOCKS in by_rate or len(by_step):
            title = f"Tang et al. 2020, figure 2, {MODES[mode]}: probability p and step length on CIFAR-100"
            return [(f"distortion-fig2-{mode}", f"{title} (scale {scale})", draw_strength(by_rate, by_step, looks))]
    return []


def _along(rows: pd.DataFrame, points: list[tuple[float, Entry]]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of accuracy and gap at each point of a sweep."""
    entries = [entry for _, entry in points]
    accuracy, gap = (samples_of(rows, entries, measure) for measure in (accuracy_points, gap_points))
    lines = []
    for place, entry in points:
        over_seeds = [pd.Series(list(sample[entry].by_seed.values()), dtype=float) for sample in (accuracy, gap)]
        (mean, std), (gap_mean, gap_std) = ((each.mean(), each.std()) for each in over_seeds)
        lines.append({"place": place, "accuracy": mean, "accuracy_std": std, "gap": gap_mean, "gap_std": gap_std})
    return pd.DataFrame(lines, columns=["place", "accuracy", "accuracy_std", "gap", "gap_std"]).dropna(
        subset=["accuracy"]
    )
