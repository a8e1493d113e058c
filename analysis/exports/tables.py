"""The exported tables: those of `rank`, `timing`, `stats` and `compare`, and some of the report.

Of `compare` these are the reported and measured values, not the claims and times; of the report the winners, the
failures and the skipped cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from analysis.papers.comparison import compare_with_papers
from analysis.rows.notes import notes_of
from analysis.shown import tables as shown
from analysis.shown.column import Column, is_blank
from analysis.tables import campaign
from analysis.tables.over_tasks import STATISTICS, statistics_of
from analysis.tables.ranking import ranking_table
from analysis.tables.timing import timing_table
from harness.records import OVERALL

NO_RANK = ("skipped", "missing")  # rows of a ranking with these statuses are not exported


@dataclass(frozen=True, kw_only=True)
class NamedTable:
    """A table to export.

    Attributes:
        name: the parts of the file's name.
        title: its heading, in words.
        columns: the displayed columns.
        rows: the texts of the cells, row by row.
        notes: sentences that belong below it.
    """

    name: tuple[str, ...]
    title: str
    columns: tuple[Column, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()

    def without_empty_columns(self) -> NamedTable:
        """The table without the columns that have a value in no row."""
        places = [place for place in range(len(self.columns)) if not all(is_blank(row[place]) for row in self.rows)]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in places),
            rows=[[row[place] for place in places] for row in self.rows],
        )


def tables_of(trials: pd.DataFrame, curves: pd.DataFrame) -> Iterator[NamedTable]:
    """All tables that have rows."""
    ranking = ranking_table(trials)
    notes = notes_of(ranking)
    for (scale, task), rows in ranking.groupby(["scale", "task"], sort=False):
        if task == OVERALL:
            yield from _table(("overall", str(scale)), f"Overall ({scale})", shown.OVERALL, rows, notes)
            continue
        better = "higher" if bool(rows["higher_is_better"].iloc[0]) else "lower"
        metric = str(next((each for each in rows["metric"] if each), "value")).replace("_", " ")
        title = f"{task} ({scale}): {metric}, {better} is better"
        ranked = rows[~rows["status"].isin(NO_RANK)]
        yield from _table(("ranking", str(task), str(scale)), title, shown.RANKING, ranked, notes)
    timing = timing_table(trials)
    for (scale, task, hardware), rows in timing.groupby(["scale", "task", "hardware_key"], sort=False):
        title = f"Time per training step on {task} ({scale}), {hardware}"
        name = ("timing", str(task), str(scale), str(hardware))
        columns = [column for column in shown.TIMING if column.name not in ("task", "hardware_key")]
        yield from _table(name, title, columns, rows, notes_of(timing))
    for key, table in statistics_of(trials, STATISTICS, curves):
        statistic, notes = STATISTICS[key], notes_of(table)
        for scale, rows in statistic.views(table):
            where = f" ({scale})" if scale else ""
            title = f"{statistic.title[:1].upper()}{statistic.title[1:]}{where}"
            yield from _table(
                (key, scale) if scale else (key,), title, statistic.columns, rows, [statistic.source, *notes]
            )
    compared = compare_with_papers(trials)
    measured = compared[compared["ours"].notna()]
    for (paper, experiment), rows in measured.groupby(["paper", "experiment"], sort=False):
        title = f"{experiment} of {paper}: reported and measured values"
        yield from _table(("papers", str(paper), str(experiment)), title, shown.COMPARISON, rows, notes_of(compared))
    yield from _table(("frozen",), "Tuned hyperparameters", shown.FROZEN, campaign.frozen_winners(trials))
    yield from _table(("failed",), "Trials that failed", shown.FAILED, campaign.failures(trials))
    yield from _table(("skipped",), "Cells that were skipped", shown.SKIPPED, campaign.skipped_cells(trials))


def _table(
    name: tuple[str, ...], title: str, columns: Iterable[Column], frame: pd.DataFrame, notes: Iterable[str] = ()
) -> Iterator[NamedTable]:
    """The table with its cells made; none if it has no rows."""
    columns = tuple(columns)
    rows = [[column.make(row) for column in columns] for row in frame.to_dict("records")]
    if rows:
        yield NamedTable(name=name, title=title, columns=columns, rows=rows, notes=tuple(notes))
