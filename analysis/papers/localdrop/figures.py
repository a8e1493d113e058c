"""Figures of LocalDrop's logs for each layer, and figures 1 and 2 of its paper (Lu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.papers.claims.curves import bound_and_error
from analysis.papers.entries import accuracy_points, at_fullest_scale, mean_by_epoch, standing_for
from analysis.papers.localdrop.source import WIDTH_TASKS
from analysis.rows.current import current_rows, succeeded
from analysis.tables.statistics import spans_decades
from harness.records import SCALES

LOG_PREFIX = "localdrop."
_PANELS = {  # quantity that LocalDrop logs for every layer: title of its panel
    "threshold": "threshold C (solid), next singular value (dashed)",
    "num_zeroed": "singular values set to zero",
    "drop_rate": "learned drop rate",
}
_PROBE = "rademacher_probe"
_STABILITY_TASKS = {"CIFAR-10 (figure 1b)": "cifar10-zhai", "CIFAR-100 (figure 1c)": "cifar100-zhai"}
_STABILITY_METHODS = ("adaptive_dropout_rc", "localdrop")
_FEWEST_WIDTHS = 2
_BLUE, _RED = (sns.color_palette("colorblind").as_hex()[place] for place in (0, 3))


def plot_localdrop(
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    task: str,
    regularizer: str = "localdrop",
    scale: str | None = None,
) -> Figure:
    """Plot what LocalDrop logged for each layer over epochs, as means over seeds: one line per layer in three panels.

    - The threshold C = lam ||theta||, and the singular value number h + 1 (if it is below C, shrinkage truncates).
    - The number of singular values set to zero at each shrinkage, the sum over all kernels of a conv layer.
    - The learned drop rate.

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
        task: its name.
        regularizer: LocalDrop or a variant of it.
        scale: by default the one closest to the paper's that was run.

    Raises:
        ValueError: if nothing was logged.
    """
    logged = layer_curves(curves, _trials(trials, task, regularizer, scale))
    if logged.empty:
        raise ValueError(f"{regularizer} logged nothing about its layers on {task!r}.")
    return _draw_layers(logged)


def _draw_layers(logged: pd.DataFrame) -> Figure:
    shrunk = logged[logged["quantity"] == "threshold"]  # in the order of the network; sites without a layer follow
    layers = list(dict.fromkeys([*shrunk["layer"], *logged["layer"]]))
    colours = dict(zip(layers, sns.color_palette("viridis", len(layers)).as_hex(), strict=True))
    figure, axes = new_figure(len(_PANELS), width=4.9, height=3.6, num_columns=len(_PANELS))
    for axis, (quantity, title) in zip(axes, _PANELS.items(), strict=True):
        _layer_lines(axis, logged[logged["quantity"] == quantity], colours, "-")
        if quantity == "threshold":
            following = logged[logged["quantity"] == "next_singular_value"]
            _layer_lines(axis, following, colours, "--")
            both = logged.loc[logged["quantity"].isin(["threshold", "next_singular_value"]), "value"]
            if len(both) and spans_decades(float(both[both > 0].min()), float(both.max()), 1.5):
                axis.set_yscale("log")
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xlabel("epoch")
        axis.set_xlim(0, 1.03 * logged["epoch"].max())
    handles = [axes[0].plot([], [], color=colours[layer], label=layer)[0] for layer in layers]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(layers)), frameon=False, fontsize=10)
    return figure


def layer_curves(curves: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of these trials: columns `quantity`, `layer` (in the network's order), `epoch`, `value`."""
    logged = curves[curves["trial_id"].isin(rows["trial_id"]) & (curves["split"] == "regularizer")]
    logged = logged[logged["metric"].str.startswith(LOG_PREFIX) & logged["metric"].str.contains("/", regex=False)]
    names = logged["metric"].str.removeprefix(LOG_PREFIX).str.split("/", n=1, expand=True)
    if logged.empty:
        return pd.DataFrame(columns=["quantity", "layer", "epoch", "value"])
    named = logged.assign(quantity=names[0], layer=names[1])
    return named.groupby(["quantity", "layer", "epoch"], sort=False)["value"].mean().reset_index()


def draw_widths(errors: pd.DataFrame, looks: Styles) -> Figure:
    """Figure 1a: error against the number of hidden units; `errors` has regularizer, width, mean and std (in %)."""
    figure, (axis,) = new_figure(1, width=6.4, height=4.2)
    for name, line in errors.groupby("regularizer"):
        look = looks[str(name)]
        axis.errorbar(
            line["width"], line["mean"], yerr=line["std"].fillna(0), color=look.colour, marker=look.marker,
            linestyle=look.dash, capsize=3, label=str(name),
        )  # fmt: skip
    axis.set_xscale("log", base=2)
    widths = sorted(set(errors["width"]))
    axis.set_xticks(widths, [str(width) for width in widths])
    axis.minorticks_off()
    axis.set_xlabel("units of each dense layer")
    axis.set_ylabel("test error, %")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_stability(panels: Mapping[str, pd.DataFrame], looks: Styles) -> Figure:
    """Figure 1b and c: test error over epochs, the last eighth shaded; a panel for each data set."""
    figure, axes = new_figure(len(panels), width=5.4, height=3.8, num_columns=2)
    for axis, (title, points) in zip(axes, panels.items(), strict=True):
        for name, line in points.groupby("regularizer"):
            look = looks[str(name)]
            over_seeds = line.groupby("epoch")["error"]
            mean, std = over_seeds.mean(), over_seeds.std().fillna(0)
            axis.plot(mean.index, mean, color=look.colour, linestyle=look.dash, label=str(name), linewidth=1.6)
            axis.fill_between(mean.index, mean - std, mean + std, color=look.colour, alpha=0.15, linewidth=0)
        last = points["epoch"].max()
        axis.axvspan(7 / 8 * last, last, color="grey", alpha=0.12, linewidth=0)
        late = points.loc[points["epoch"] >= last / 4, "error"]
        margin = 0.08 * float(late.max() - late.min()) or 1.0
        axis.set_ylim(float(late.min()) - margin, float(late.max()) + margin)
        axis.set_title(title, loc="left")
        axis.set_xlabel("epoch")
        axis.set_ylabel("test error, %")
    _shared_legend(figure, axes)
    return figure


def draw_bound(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Figure 2: the bound (left axis, decimal logarithm) and the test error (right axis) over epochs.

    There is one panel for each contestant that was run with the probe; the frames have the columns `epoch`, `bound` and
    `error`.
    """
    figure, axes = new_figure(len(panels), width=6.0, height=3.9, num_columns=2)
    for axis, (title, joined) in zip(axes, panels.items(), strict=True):
        mean = joined.groupby("epoch")[["bound", "error"]].mean()
        right = axis.twinx()
        (bound,) = axis.plot(mean.index, mean["bound"], color=_BLUE, label="bound of theorem 1")
        (error,) = right.plot(mean.index, mean["error"], color=_RED, linestyle="--", label="test error")
        axis.set_ylabel("log10 of the bound", color=_BLUE)
        right.set_ylabel("test error, %", color=_RED)
        right.grid(visible=False)
        right.spines["right"].set_visible(True)
        axis.set_xlabel("epoch")
        axis.set_title(title, loc="left")
    figure.legend(handles=[bound, error], loc="outside lower center", ncols=2, frameon=False)
    return figure


def _trials(trials: pd.DataFrame, task: str, regularizer: str, scale: str | None) -> pd.DataFrame:
    """The trials of one setting of a cell, at one scale."""
    rows = succeeded(current_rows(trials))
    rows = rows[(rows["task"] == task) & (rows["regularizer"] == regularizer)]
    rows = rows[rows["role"].isin(["default", "confirm"])]
    scales: Sequence[str] = [name for name in SCALES if name in set(rows["scale"])]
    wanted = scale or (scales[0] if scales else "")
    return standing_for(rows[rows["scale"] == wanted], "", exact=False)


def _layer_lines(axis: Axes, points: pd.DataFrame, colours: Mapping[str, str], dash: str) -> None:
    for layer, line in points.groupby("layer", sort=False):
        marker = "o" if len(line) < 12 else None
        axis.plot(
            line["epoch"], line["value"], dash, color=colours[str(layer)], marker=marker, markersize=4.5, linewidth=1.5,
            markerfacecolor="white" if dash == "--" else None,
        )  # fmt: skip


def _shared_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=min(3, len(handles)), frameon=False
    )


def layer_figures(rows: pd.DataFrame, curves: pd.DataFrame, _looks: Styles) -> list[Named]:
    """`plot_localdrop` of every cell whose trials set singular values to zero.

    A confirmed winner may never have done so where the default trials did.
    """
    shrinks = curves[(curves["split"] == "regularizer") & curves["metric"].str.startswith(f"{LOG_PREFIX}num_zeroed/")]
    cells = rows.loc[rows["trial_id"].isin(shrinks["trial_id"]), ["scale", "task", "regularizer"]].drop_duplicates()
    figures = []
    for scale, task, name in cells.sort_values(["scale", "task", "regularizer"]).itertuples(index=False, name=None):
        logged = layer_curves(curves, _trials(rows, task, name, scale))
        if "num_zeroed" in set(logged["quantity"]):
            title = f"Layers under {name} on {task} (scale {scale})"
            figures.append((f"layers-{task}-{name}-{scale}", title, _draw_layers(logged)))
    return figures


def width_figures(rows: pd.DataFrame, _curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 1a: the error against the width of the dense layers."""
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


def stability_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figures 1b and 1c: the test error over epochs."""
    panels = {}
    for title, task in _STABILITY_TASKS.items():
        lines = [
            mean_by_epoch(curves, at_fullest_scale(rows, task, method), "test").assign(regularizer=method)
            for method in _STABILITY_METHODS
        ]
        points = pd.concat(lines, ignore_index=True)
        if len(set(points["epoch"])) > 1:
            fullest = (at_fullest_scale(rows, task, method) for method in _STABILITY_METHODS)
            scales = {str(cell["scale"].max()) for cell in fullest} & set(SCALES)
            panels[f"{title}, scale {', '.join(sorted(scales))}"] = points.assign(error=100 - points["accuracy"])
    if not panels:
        return []
    title = "Lu et al. 2021, figures 1b and c: test error over epochs; the shaded part is claimed to be stable"
    return [("localdrop-fig1bc", title, draw_stability(panels, looks))]


def bound_figures(rows: pd.DataFrame, curves: pd.DataFrame, _looks: Styles) -> list[Named]:
    """Figure 2: the bound and the test error over epochs."""
    probed = rows[rows["regularizer"].map(lambda name: _PROBE in name.split("+")).astype(bool)]
    panels = {}
    for (task, name), cell in probed.groupby(["task", "regularizer"]):
        fullest = at_fullest_scale(cell, str(task), str(name))
        joined = bound_and_error(curves, fullest, f"{_PROBE}.log10_bound")
        if len(set(joined["epoch"])) > 1:
            panels[f"{name} on {task}, scale {fullest['scale'].iloc[0]}"] = joined
    if not panels:
        return []
    title = "Lu et al. 2021, figure 2: the bound of theorem 1 and the test error during training"
    return [("localdrop-fig2", title, draw_bound(panels))]
