"""Comparisons over all tasks: win rates of pairs, critical differences, profiles, and the other statistics."""

from __future__ import annotations

from typing import Any

from analysis.figures.critical_difference import plot_critical_difference
from analysis.page.charts import chart_of, critical_chart
from analysis.page.files import Files
from analysis.page.source import Source
from analysis.page.tables import MOST_ROWS, table_of
from analysis.rows.notes import notes_of
from analysis.tables.over_tasks import STATISTICS
from analysis.tables.overall import friedman_by_scale
from analysis.tables.statistic import Statistic


def comparisons(source: Source, files: Files) -> dict[str, Any]:
    """Each statistic over tasks with its chart and its table, and the diagrams of critical differences."""
    tests = {scale: each for scale, each in friedman_by_scale(source.ranking).items() if each.critical_difference > 0}
    for scale, each in tests.items():
        files.figure(plot_critical_difference(each), "critical-difference", scale)
    shown = {name: STATISTICS[name] for name in STATISTICS if not STATISTICS[name].is_long}
    return {
        "critical": critical_chart(tests) if tests else None,
        "over_tasks": [one(name, statistic, source, files) for name, statistic in shown.items()],
    }


def one(name: str, statistic: Statistic, source: Source, files: Files) -> dict[str, Any]:
    """A statistic for the page: title, source, chart, and the first rows of its table for each scale."""
    whole = source.statistics[name]
    if len(whole):
        files.table(name, whole)
    files.drawn(name, whole, statistic.drawing)
    views = [(scale, rows) for scale, rows in statistic.views(whole) if len(rows)]
    return {
        "name": name,
        "title": statistic.title[:1].upper() + statistic.title[1:],
        "source": statistic.source,
        "absent": statistic.absent,
        "chart": chart_of(whole, statistic.drawing, source.best_first),
        "tables": [
            {
                "scale": scale if len(views) > 1 else "",
                "table": table_of(rows.head(MOST_ROWS), statistic.columns, known_notes=notes_of(whole)),
                "num_more": max(0, len(rows) - MOST_ROWS),
            }
            for scale, rows in views
        ],
        "notes": [note for note in notes_of(whole) if note not in source.notes],
        "file": f"tables/{name}.csv",
    }
