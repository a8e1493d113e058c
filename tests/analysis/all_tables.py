"""Every table of the analysis, by name, for laws that hold for all of them."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pandas as pd

import analysis
from analysis.papers.claims.claim import Results
from analysis.papers.claims.contests import best_of, judge_order
from analysis.papers.entries import Entry
from analysis.rows.current import current_rows_remembered
from analysis.rows.notes import with_notes
from analysis.tables.over_tasks import STATISTICS
from analysis.tables.scores import scores_table
from analysis.tables.verdicts import verdicts
from harness.records import CURVE_COLUMNS

FEW_DRAWS = 20  # of each bootstrap: enough to see that it changes


def ranking_of(rows: pd.DataFrame | list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of the tasks in a ranking, by task and contestant."""
    table = ranked(analysis.ranking_table(pd.DataFrame(rows)))
    return table[table["task"].ne("overall")].set_index(["task", "regularizer"]).sort_index()


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """A ranking without the rows of contestants that have no comparable trial."""
    return table[table["status"].ne("not comparable")]


@current_rows_remembered()
def all_tables(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables, with few draws of the bootstrap."""
    curves = curves_of(trials)
    ranking, scores, costs = analysis.ranking_table(trials), scores_table(trials), analysis.score_against_cost(trials)
    return {
        "ranking": ranking,
        "timing": analysis.timing_table(trials),
        "overall": analysis.overall_significance(trials),
        "verdicts": verdicts(ranking, scores, costs),
        "recommendation": analysis.recommend(trials),
        "claims": claims(trials, curves),
        **{name: _statistic(name, trials, scores, curves) for name in STATISTICS},
    }


def claims(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Judgements of the claim that a contestant is the best, for each contestant and task."""
    current = analysis.current_rows(trials)
    results = Results(trials=current, curves=curves)
    rows = []
    for task, cells in current[current["role"] != "timing"].groupby("task"):
        entries = [
            Entry(label=str(name), task=str(task), regularizer=str(name)) for name in sorted(set(cells["regularizer"]))
        ]
        rows += [
            {"task": task, "best": best.regularizer, **(vars(found) if found else {})}
            for best in entries
            for found in [judge_order(best_of(best, entries))(results)]
        ]
    return with_notes(pd.DataFrame(rows), analysis.notes_of(current))


def curves_of(trials: pd.DataFrame) -> pd.DataFrame:
    """A validation curve for each trial with a value, which it reaches after half of its epochs."""
    ended = trials[trials["test_value"].notna() & trials["metric"].notna()].drop_duplicates("trial_id")
    points = [
        {"trial_id": trial, "epoch": epoch, "split": "validation", "metric": metric, "value": value * share}
        for trial, metric, value in zip(ended["trial_id"], ended["metric"], ended["test_value"], strict=True)
        for epoch, share in ((1, 0.5), (2, 1.0))
    ]
    return pd.DataFrame(points).reindex(columns=list(CURVE_COLUMNS))


def _statistic(name: str, trials: pd.DataFrame, scores: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    statistic = STATISTICS[name]
    fewer = {"num_draws": FEW_DRAWS} if "num_draws" in signature(statistic.make).parameters else {}
    rows = scores if statistic.takes_scores else trials
    return statistic.make(rows, *([curves] if statistic.takes_curves else []), **fewer)
