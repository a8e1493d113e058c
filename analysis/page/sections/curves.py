"""Learning curves."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from analysis.figures.canvas import Styles
from analysis.figures.learning_curves import plot_curve_means
from analysis.page.charts import curves_chart
from analysis.page.files import Files
from analysis.page.source import Source


def curves(source: Source, files: Files) -> dict[str, Any]:
    """The chart of all tasks."""
    means = source.curve_means
    panels = [((scale, task), (task, points)) for (task, scale), points in means.items()]
    files.first("curves", "plot_learning_curves", panels, _plot)
    return {"curves_chart": curves_chart(means, source.best_first) if means else None}


def _plot(of_task: tuple[str, Any], looks: Styles) -> Figure:
    task, points = of_task
    return plot_curve_means(points, task, looks)
