"""The critical-difference diagram: mean ranks on a line, and bars over contestants that do not differ significantly."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.tables.overall import Friedman

_STEP = 0.3  # inches per bar or name
_WIDTH = 10.0  # inches, for names on both sides
_MARGIN = 0.04  # of the line of ranks, at both ends


def plot_critical_difference(result: Friedman) -> Figure:
    """Plot mean ranks with Nemenyi's critical difference (Demšar 2006, figure 1); 1, the best rank, is at the left.

    The better half of the contestants is named at the left, the others at the right. A bar is drawn over each largest
    group of contestants whose mean ranks do not differ significantly: over all of them if Friedman's test is not
    significant, else over those that differ by no more than the critical difference.

    Args:
        result: from `analysis.tables.overall.friedman`, or a value of `friedman_by_scale`.

    Raises:
        ValueError: if there is no critical difference, because nothing was tested.
    """
    if not result.critical_difference > 0:
        raise ValueError("There is no critical difference: Friedman's test needs 3 tasks and 3 contestants in common.")
    means, groups = result.mean_ranks, groups_of(result)
    num_left = -(-len(means) // 2)
    figure, (axis,) = new_figure(1, width=_WIDTH, height=1.6 + _STEP * (num_left + len(groups)))
    left, right = 1 - _MARGIN * len(means), (1 + _MARGIN) * len(means)
    for place, (name, mean) in enumerate(means.items()):
        is_left = place < num_left
        row, edge = (place, left) if is_left else (len(means) - 1 - place, right)  # outer lines end first: none cross
        axis.plot([mean, mean, edge], [0, -row - 1, -row - 1], color="black", linewidth=0.8)
        words = f"{name} ({mean:.2f}) " if is_left else f" ({mean:.2f}) {name}"
        axis.text(edge, -row - 1, words, va="center", ha="right" if is_left else "left")
    for place, (first, last) in enumerate(groups, 1):
        axis.plot([means.iloc[first] - 0.03, means.iloc[last] + 0.03], [0.5 * place] * 2, color="black", linewidth=4)
    axis.plot([1, 1 + result.critical_difference], [0.5 * len(groups) + 0.8] * 2, color="black", marker="|")
    axis.annotate(f"critical difference {result.critical_difference:.2f}", (1, 0.5 * len(groups) + 1.1))
    axis.set_xlim(left, right)
    axis.set_ylim(-num_left - 1, 0.5 * len(groups) + 1.8)
    axis.set_yticks([])
    axis.set_xlabel(f"mean rank over {result.num_tasks} tasks (1 is best)")
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    return figure


def groups_of(result: Friedman) -> list[tuple[int, int]]:
    """The largest groups without a significant difference: positions of their first and last members by mean rank."""
    means = result.mean_ranks.to_numpy()
    spans = [(first, int(np.flatnonzero(~result.differ(means[first], means)).max())) for first in range(len(means))]
    return [
        (first, last)
        for first, last in spans
        if last > first and not any(a <= first and last <= b for a, b in spans if (a, b) != (first, last))
    ]
