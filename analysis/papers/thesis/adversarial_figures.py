"""Figures 6-1 and 6-2 of Mianjy's thesis, and table 6-I as heatmaps of our values and the reported ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.figures.canvas import Named, Styles, new_figure
from analysis.figures.theory_panels import BLUE, GREEN, RED
from analysis.papers.reported import reported_rows
from analysis.papers.thesis.adversarial import ATTACKS, TABLE_6_I, TRAININGS, errors_by_seed, rows_of
from harness.records import METRIC_PREFIX

PAPER = "dropout_theory"
FIG_6_1, FIG_6_2 = "thesis-fig6-1", "thesis-fig6-2"
_LOSSES = (("logistic_loss", "logistic loss", BLUE), ("reflected_loss", "reflected loss", RED))
_FORMS = {
    "cross_entropy": "cross-entropy",
    "margin": "reflected: margin",
    "log_p": "reflected: log p",
    "reflected": "reflected: negated scores",
}
TOP = (10, 100, 1000)


def loss_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 6-1: the logistic loss, its reflection, and the 0-1 loss between them."""
    trial = rows.loc[rows["task"] == FIG_6_1, "trial_id"].tail(1)
    points = curves[curves["trial_id"].isin(trial) & (curves["split"] == "validation")]
    if points.empty:
        return []
    figure, (axis,) = new_figure(1, width=5.6, height=4.2)
    for name, label, colour in (*_LOSSES, ("zero_one_loss", "0-1 loss", GREEN)):
        of_loss = points[points["metric"].str.startswith(f"{name}/")]
        margins = of_loss["metric"].str.rpartition("/")[2].astype(float).to_numpy()
        order = np.argsort(margins)
        style = "steps-post" if name == "zero_one_loss" else "default"
        axis.plot(margins[order], of_loss["value"].to_numpy()[order], color=colour, label=label, drawstyle=style)
    axis.set(xlabel="margin z = y f(x)", ylabel="loss")
    axis.legend()
    return [("thesis-fig6-1", "Mianjy's thesis, figure 6-1: the logistic loss and its reflection", figure)]


def grid_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Figure 6-2: label flips among the k perturbations of largest loss, one panel for each k."""
    found = rows[rows["task"] == FIG_6_2].tail(1)
    if found.empty:
        return []
    numbers = {name.removeprefix(METRIC_PREFIX): found[name].iloc[0] for name in found.columns}
    numbers[str(found["metric"].iloc[0])] = found["test_value"].iloc[0]
    figure, axes = new_figure(len(TOP), width=3.6, height=3.4, num_columns=len(TOP))
    colours = [BLUE, RED, *sns.color_palette("Reds", 4).as_hex()[1:3]]
    for axis, k in zip(axes, TOP, strict=True):
        flips = [float(numbers[f"flips_in_top_{k}/{name}"]) for name in _FORMS]
        bars = axis.barh(list(_FORMS.values()), flips, color=colours)
        axis.bar_label(bars, fmt="%d", padding=3, fontsize=9)
        axis.set(title=f"k = {k}", xlabel="label flips")
        axis.set_xlim(0, max(*flips, 1) * 1.2)
        axis.invert_yaxis()
        axis.tick_params(labelleft=axis is axes[0])
    return [("thesis-fig6-2", "Mianjy's thesis, figure 6-2: label flips among the largest losses", figure)]


def attack_figures(rows: pd.DataFrame, curves: pd.DataFrame, looks: Styles) -> list[Named]:
    """Table 6-I: errors by way of training and attack, ours and the reported ones, on a logarithmic colour scale."""
    ours = pd.DataFrame(
        {
            training: {attack: _mean(errors_by_seed(rows_of(rows, training), attack)) for attack in ATTACKS}
            for training in TRAININGS
        }
    ).T
    if rows[rows["task"] == TABLE_6_I].empty or ours.isna().all(axis=None):
        return []
    figure, axes = new_figure(2, width=6.6, height=3.4, num_columns=1)
    scale = str(rows_of(rows, "Standard")["scale"].iloc[0]) if len(rows_of(rows, "Standard")) else "?"
    for axis, table, title in ((axes[0], ours, f"ours (scale {scale})"), (axes[1], _reported(), "reported")):
        shades = np.log10(table.astype(float).clip(lower=5e-4))
        sns.heatmap(
            shades, annot=table, fmt=".3f", cmap="flare", vmin=-3.3, vmax=-0.5, cbar=False, ax=axis, linewidths=0.5
        )
        axis.set(title=title, xlabel="attack", ylabel="training")
        axis.tick_params(axis="x", rotation=30)
    return [("thesis-table6-1", "Mianjy's thesis, table 6-I: errors under attack", figure)]


def _mean(by_seed: dict[int, float]) -> float:
    return float(np.mean(list(by_seed.values()))) if by_seed else float("nan")


def _reported() -> pd.DataFrame:
    table = reported_rows(PAPER, "table6-1")
    training = table["method"].str.removeprefix("train=")
    attack = table["setting"].str.split(";").str[0].str.removeprefix("attack=")
    table = table.assign(training=training, attack=attack)
    wide = table.pivot_table(index="training", columns="attack", values="reported")
    return wide.loc[list(TRAININGS), list(ATTACKS)]
