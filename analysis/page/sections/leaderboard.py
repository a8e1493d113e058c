"""The leaderboard: all contestants on all tasks in one table, with what they act on and what they cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.page.files import Files
from analysis.page.source import Source
from analysis.page.tables import table_of, with_scale
from analysis.rows.notes import with_notes
from analysis.shown import tables as shown
from analysis.tables.score_cost import timed_costs

MOST_SHOWN = 50  # rows, until a reader asks for all
_CELL = ["scale", "task", "regularizer"]


def leaderboard(source: Source, files: Files) -> dict[str, Any]:
    """The table, and the values that its filters take."""
    rows = with_notes(with_costs(source), source.notes)
    columns = with_scale(shown.LEADERBOARD, rows["scale"])
    kinds = {part.strip() for kind in rows["kind"] for part in kind.split(",")} - {""}
    return {
        "leaderboard": table_of(rows, columns, without_empty=True, anchors=_anchors(source, rows)),
        "most_shown": MOST_SHOWN,
        "filters": {
            "tasks": list(dict.fromkeys(map(str, rows["task"]))),
            "kinds": sorted(kinds),
            "has_costs": bool(rows["cost"].notna().any()),
        },
    }


def _anchors(source: Source, rows: pd.DataFrame) -> list[str]:
    return [source.anchors[str(name)] for name in rows["regularizer"]]


def with_costs(source: Source) -> pd.DataFrame:
    """The ranking of the tasks with the columns `cost` and `kind`."""
    costs = timed_costs(source.statistics["score-cost"])[[*_CELL, "cost"]]
    rows = source.of_tasks.merge(costs, on=_CELL, how="left")
    kinds = [source.facts.get(str(name), {}).get("kind", "") for name in rows["regularizer"]]
    return rows.assign(kind=kinds)
