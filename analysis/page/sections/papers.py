"""The comparison with the papers: their numbers, their claims and their figures."""

from __future__ import annotations

from typing import Any

from analysis.page.files import Files
from analysis.page.source import Source
from analysis.page.tables import table_of
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.claims_table import CLAIMED_THEORY_TASKS, THEORY_PAPERS, claims_table
from analysis.papers.comparison import compare_with_papers
from analysis.papers.figures import plot_paper_figures, plot_sweeps_beside_papers
from analysis.papers.reported import TIME_METRIC
from analysis.papers.theory_figures import THEORY_TASKS, plot_theory
from analysis.shown import tables as shown


def papers(source: Source, files: Files) -> dict[str, Any]:
    """Reported and measured values, claims, and figures in the layout of the papers."""
    trials, curves = source.trials, source.curves
    comparison, claims = compare_with_papers(trials), claims_table(trials, curves)
    run, judged = comparison[comparison["verdict"] != NOT_RUN], claims[claims["verdict"] != NOT_RUN]
    for name, table, measured in (("comparison", comparison, run), ("claims", claims, judged)):
        if len(measured):
            files.table(name, table)
    proven = judged["paper"].isin(THEORY_PAPERS)
    drawn = [*plot_sweeps_beside_papers(comparison), *plot_paper_figures(trials, curves, files.looks)]
    ran = set(trials.loc[trials["status"] != "skipped", "task"])
    return {
        "comparison": table_of(run[run["metric"] != TIME_METRIC], shown.COMPARISON, without_empty=True),
        "times": table_of(run[run["metric"] == TIME_METRIC], shown.TIMES),
        "paper_claims": table_of(judged[~proven], shown.CLAIMS),
        "claims": table_of(judged[proven], shown.CLAIMS),
        "paper_figures": [{"name": title, "figure": files.figure(figure, name)} for name, title, figure in drawn],
        "theory": [
            {"name": title, "figure": files.figure(figure, name)} for name, title, figure in plot_theory(trials, curves)
        ],
        "theory_tasks": ", ".join(sorted(ran & {*THEORY_TASKS, *CLAIMED_THEORY_TASKS})),
    }
