"""The figures of LocalDrop's and feature map distortion's papers, from rows and curves, wherever their trials ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd
from matplotlib.figure import Figure

from analysis.canvas import Looks, looks_of
from analysis.claims.curves import bound_and_error
from analysis.claims.feature_map_distortion import (
    ALONG_RATE,
    ALONG_STEP_SIZE,
    BLOCKS,
    DROPBLOCK_ALONG_RATE,
    MODES,
    SWEEP_TASK,
)
from analysis.current import current_rows, succeeded
from analysis.distortion_figures import draw_overfitting, draw_strength
from analysis.entries import Entry, accuracy_points, gap_points, samples_of, standing_for
from analysis.localdrop_figures import LOG_PREFIX, draw_bound, draw_stability, draw_widths, plot_localdrop
from analysis.paper_tasks import WIDTH_TASKS
from harness.records import SCALES

Named = tuple[str, str, Figure]  # file name, title, figure
_PROBE = "rademacher_probe"
_STABILITY_TASKS = {"CIFAR-10 (figure 1b)": "cifar10-zhai", "CIFAR-100 (figure 1c)": "cifar100-zhai"}
_STABILITY_METHODS = ("adaptive_dropout_rc", "localdrop")
_FEWEST_WIDTHS = 2


def plot_paper_figures(trials: pd.DataFrame, curves: pd.DataFrame, looks: Looks | None = None) -> list[Named]:
    """(name, title, figure) of every figure whose trials ran, each task at the fullest scale at which it ran.

    Names and mean values are those of the confirmed winners where there are such, else of the default trials. A figure
    of one trial is drawn as well; it has no error bars then.
    """
    rows = succeeded(current_rows(trials))
    rows = rows[rows["role"].isin(["default", "confirm"])]
    looks = looks or looks_of(trials["regularizer"])
    makers: Iterable[Callable[[pd.DataFrame, pd.DataFrame, Looks], list[Named]]]
    makers = (_layers, _widths, _stability, _bounds, _overfitting, _strength)
    return [named for make in makers for named in make(rows, curves, looks)]


def _layers(rows: pd.DataFrame, curves: pd.DataFrame, _looks: Looks) -> list[Named]:
    """What LocalDrop did to each layer, in every cell where it logged that."""
    logged = curves[(curves["split"] == "regularizer") & curves["metric"].str.startswith(f"{LOG_PREFIX}num_zeroed/")]
    cells = rows.loc[rows["trial_id"].isin(logged["trial_id"]), ["scale", "task", "regularizer"]].drop_duplicates()
    return [
        (
            f"layers-{task}-{regularizer}-{scale}",
            f"Layers under {regularizer} on {task} (scale {scale})",
            plot_localdrop(rows, curves, task, regularizer, scale),
        )
        for scale, task, regularizer in cells.sort_values(["scale", "task", "regularizer"]).itertuples(
            index=False, name=None
        )
    ]


def _widths(rows: pd.DataFrame, _curves: pd.DataFrame, looks: Looks) -> list[Named]:
    of_tasks = rows[rows["task"].isin(WIDTH_TASKS)]
    narrow = [task for task in WIDTH_TASKS if task in set(of_tasks["task"])]
    if len(narrow) < _FEWEST_WIDTHS:
        return []
    common = [scale for scale in SCALES if of_tasks.loc[of_tasks["scale"] == scale, "task"].nunique() == len(narrow)]
    if not common:
        return []
    at_scale = of_tasks[of_tasks["scale"] == common[0]]
    everywhere = at_scale.groupby("regularizer")["task"].nunique()
    errors = []
    for name in everywhere.index[everywhere >= _FEWEST_WIDTHS]:
        for task in narrow:
            cell = at_scale[(at_scale["task"] == task) & (at_scale["regularizer"] == name)]
            if len(cell):
                error = 100 - accuracy_points(standing_for(cell, "", exact=False))
                width = WIDTH_TASKS[task]
                errors.append({"regularizer": name, "width": width, "mean": error.mean(), "std": error.std()})
    title = f"Lu et al. 2021, figure 1a: test error by the number of hidden units (scale {common[0]})"
    return [("localdrop-fig1a", title, draw_widths(pd.DataFrame(errors), looks))]


def _stability(rows: pd.DataFrame, curves: pd.DataFrame, looks: Looks) -> list[Named]:
    panels = {}
    for title, task in _STABILITY_TASKS.items():
        lines = [
            _curve(curves, _fullest(rows, task, method), "test").assign(regularizer=method)
            for method in _STABILITY_METHODS
        ]
        points = pd.concat(lines, ignore_index=True)
        if len(set(points["epoch"])) > 1:
            scales = {str(_fullest(rows, task, method)["scale"].max()) for method in _STABILITY_METHODS} & set(SCALES)
            panels[f"{title}, scale {', '.join(sorted(scales))}"] = points.assign(error=100 - points["accuracy"])
    if not panels:
        return []
    title = "Lu et al. 2021, figures 1b and c: test error over epochs; the shaded part is claimed to be stable"
    return [("localdrop-fig1bc", title, draw_stability(panels, looks))]


def _bounds(rows: pd.DataFrame, curves: pd.DataFrame, _looks: Looks) -> list[Named]:
    probed = rows[rows["regularizer"].map(lambda name: _PROBE in name.split("+")).astype(bool)]
    panels = {}
    for (task, name), cell in probed.groupby(["task", "regularizer"]):
        fullest = _fullest(cell, str(task), str(name))
        joined = bound_and_error(curves, fullest, f"{_PROBE}.log10_bound")
        if len(set(joined["epoch"])) > 1:
            panels[f"{name} on {task}, scale {fullest['scale'].iloc[0]}"] = joined
    if not panels:
        return []
    title = "Lu et al. 2021, figure 2: the bound of theorem 1 and the test error during training"
    return [("localdrop-fig2", title, draw_bound(panels))]


def _overfitting(rows: pd.DataFrame, curves: pd.DataFrame, looks: Looks) -> list[Named]:
    parts, scales = [], set()
    for name in ("none", BLOCKS):
        cell = _fullest(rows, SWEEP_TASK, name)
        scales |= set(cell["scale"])
        for split in ("train", "test"):
            line = _curve(curves, cell, split)
            if line.empty and split == "train" and len(cell):
                line = pd.DataFrame({"epoch": cell["epochs_run"], "accuracy": 100 * cell["train_value"]}).dropna()
            parts.append(line.assign(regularizer=name, split=split))
    points = pd.concat(parts, ignore_index=True)
    if points.loc[points["split"] == "test", "epoch"].nunique() < 2:
        return []
    title = f"Tang et al. 2020, figure 1: training on CIFAR-100 (scale {', '.join(sorted(scales))})"
    return [("distortion-fig1", title, draw_overfitting(points, looks))]


def _strength(rows: pd.DataFrame, _curves: pd.DataFrame, looks: Looks) -> list[Named]:
    return [named for mode in MODES for named in _strength_in(mode, rows, looks)]


def _strength_in(mode: str, rows: pd.DataFrame, looks: Looks) -> list[Named]:
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
    """Accuracy and gap at each point of a sweep, mean and standard deviation over seeds."""
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


def _fullest(rows: pd.DataFrame, task: str, regularizer: str) -> pd.DataFrame:
    """The trials that stand for a cell at the fullest scale at which it ran; empty where it did not."""
    cell = rows[(rows["task"] == task) & (rows["regularizer"] == regularizer)]
    if cell.empty:
        return cell
    scale = min(cell["scale"], key=SCALES.index)
    return standing_for(cell[cell["scale"] == scale], "", exact=False)


def _curve(curves: pd.DataFrame, rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """Columns epoch and accuracy (%)."""
    points = curves[curves["trial_id"].isin(rows["trial_id"]) & (curves["split"] == split)]
    points = points[points["metric"] == "accuracy"]
    return pd.DataFrame({"epoch": points["epoch"], "accuracy": 100 * points["value"]})
