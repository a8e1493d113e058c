"""What training and search cost: times of steps, scores against cost, time to a target, and the search so far."""

from __future__ import annotations

from typing import Any

from analysis.page.charts import chart_of
from analysis.page.files import Files
from analysis.page.sections.comparisons import one
from analysis.page.source import Source
from analysis.page.tables import table_of
from analysis.shown import tables as shown
from analysis.tables.over_tasks import STATISTICS
from analysis.tables.timing import timing_table


def costs(source: Source, files: Files) -> dict[str, Any]:
    """The long statistics, with charts per task, and the table of times."""
    timing = timing_table(source.trials)
    files.table("timing", timing)
    drawing = shown.TIMING_DRAWING
    machines = timing.assign(task=timing["task"].astype(str) + " on " + timing["hardware_key"].astype(str))
    files.drawn("overhead", timing, drawing)
    return {
        "timing": table_of(timing, shown.TIMING),
        "overhead": chart_of(machines, drawing),
        "long": {
            name: one(name, statistic, source, files) for name, statistic in STATISTICS.items() if statistic.is_long
        },
    }
