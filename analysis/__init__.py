"""Rows in, frames out, figures from frames, one page: what a campaign's Parquet files say.

Everything is loaded when it is first used, so `import analysis` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.figures.learning_curves import interactive_learning_curves, plot_learning_curves
    from analysis.figures.ranking import plot_overhead, plot_ranking
    from analysis.figures.sensitivity import plot_sensitivity
    from analysis.page.report import write_report
    from analysis.papers.claims_table import claims_table
    from analysis.papers.comparison import compare_with_papers
    from analysis.papers.figures import plot_paper_figures
    from analysis.papers.localdrop.figures import plot_localdrop
    from analysis.papers.theory_figures import plot_theory
    from analysis.rows.current import current_rows
    from analysis.rows.load import (
        ConflictingResultsError,
        DamagedResultsError,
        NewerResultsError,
        load_curves,
        load_trials,
    )
    from analysis.rows.notes import notes_of
    from analysis.tables.importances import hyperparameter_importances, importance_table
    from analysis.tables.overall import overall_significance, smallest_reachable_p
    from analysis.tables.power import power_notes
    from analysis.tables.ranking import ranking_table
    from analysis.tables.sensitivity import sensitivity_table
    from analysis.tables.timing import timing_table

_HOMES: dict[str, str] = {
    "ConflictingResultsError": "analysis.rows.load",
    "DamagedResultsError": "analysis.rows.load",
    "NewerResultsError": "analysis.rows.load",
    "claims_table": "analysis.papers.claims_table",
    "compare_with_papers": "analysis.papers.comparison",
    "current_rows": "analysis.rows.current",
    "hyperparameter_importances": "analysis.tables.importances",
    "importance_table": "analysis.tables.importances",
    "interactive_learning_curves": "analysis.figures.learning_curves",
    "load_curves": "analysis.rows.load",
    "load_trials": "analysis.rows.load",
    "notes_of": "analysis.rows.notes",
    "overall_significance": "analysis.tables.overall",
    "plot_learning_curves": "analysis.figures.learning_curves",
    "plot_localdrop": "analysis.papers.localdrop.figures",
    "plot_overhead": "analysis.figures.ranking",
    "plot_paper_figures": "analysis.papers.figures",
    "plot_ranking": "analysis.figures.ranking",
    "plot_sensitivity": "analysis.figures.sensitivity",
    "plot_theory": "analysis.papers.theory_figures",
    "ranking_table": "analysis.tables.ranking",
    "power_notes": "analysis.tables.power",
    "sensitivity_table": "analysis.tables.sensitivity",
    "smallest_reachable_p": "analysis.tables.overall",
    "timing_table": "analysis.tables.timing",
    "write_report": "analysis.page.report",
}

__all__ = [
    "ConflictingResultsError",
    "DamagedResultsError",
    "NewerResultsError",
    "claims_table",
    "compare_with_papers",
    "current_rows",
    "hyperparameter_importances",
    "importance_table",
    "interactive_learning_curves",
    "load_curves",
    "load_trials",
    "notes_of",
    "overall_significance",
    "plot_learning_curves",
    "plot_localdrop",
    "plot_overhead",
    "plot_paper_figures",
    "plot_ranking",
    "plot_sensitivity",
    "plot_theory",
    "power_notes",
    "ranking_table",
    "sensitivity_table",
    "smallest_reachable_p",
    "timing_table",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
