"""The answer: the verdict over all tasks and per task in words, and the figures that show it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.page.charts import chart_of, ranking_chart
from analysis.page.files import Files
from analysis.page.source import Source
from analysis.page.tables import Table, table_of
from analysis.rows.notes import notes_of
from analysis.shown import tables as shown
from analysis.tables.over_tasks import STATISTICS
from analysis.tables.overall import friedman_by_scale, significance_of
from analysis.tables.verdicts import overall_sentences
from harness.records import OVERALL

MOST_PAIRS = 12  # significantly different pairs that are listed at once


def answer(source: Source, files: Files) -> dict[str, Any]:
    """Sentences and overall tables by scale, the verdicts, and the charts of mean ranks and of means per task."""
    ranking, ranks = source.ranking, source.statistics["ranks"]
    significance = significance_of(ranking)
    for name, table in (("ranking", ranking), ("significance", significance), ("verdicts", source.verdicts)):
        files.table(name, table)
    files.drawn("ranking", source.of_tasks, shown.RANKING_DRAWING)
    sentences, overall = overall_sentences(ranking), ranking[ranking["task"] == OVERALL]
    tests, several_scales = friedman_by_scale(ranking), len(significance) > 1
    drawing = STATISTICS["ranks"].drawing
    several = ranks[ranks["num_tasks"] > 1]
    return {
        "overall": [
            {
                "scale": row["scale"],
                "sentences": sentences.get(row["scale"]) or [*_of_one_task(source, row["scale"]), row["sentence"]],
                "differences": _by_better(tests[row["scale"]].different_pairs),
                "num_pairs": len(tests[row["scale"]].different_pairs),
                "table": _overall(source, overall[overall["scale"] == row["scale"]]),
            }
            for row in significance.to_dict("records")
        ],
        "verdicts": [
            {
                "task": f"{row['task']} ({row['scale']})" if several_scales else row["task"],
                "sentence": row["sentence"],
            }
            for row in source.verdicts.to_dict("records")
        ],
        "ranks_chart": chart_of(several, drawing),
        "ranking_chart": ranking_chart(source.of_tasks, shown.RANKING_DRAWING),
        "most_pairs": MOST_PAIRS,
        "overall_notes": [note for note in notes_of(significance) if note not in source.notes],
    }


def _by_better(pairs: list[tuple[str, str]]) -> list[str]:
    """The pairs (better, worse) in words, gathered by the better one."""
    worse: dict[str, list[str]] = {}
    for better, other in pairs:
        worse.setdefault(better, []).append(other)
    return [f"{better} before {', '.join(others)}" for better, others in worse.items()]


def _of_one_task(source: Source, scale: str) -> list[str]:
    """The verdict of the only task of a scale, which is the answer where there is nothing to say over tasks."""
    rows = source.verdicts[source.verdicts["scale"] == scale].to_dict("records")
    return [f"On {row['task']}, {row['sentence']}" for row in rows] if len(rows) == 1 else []


def _overall(source: Source, rows: pd.DataFrame) -> Table:
    anchors = [source.anchors[str(name)] for name in rows["regularizer"]]
    return table_of(rows, shown.OVERALL, known_notes=source.notes, anchors=anchors)
