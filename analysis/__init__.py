"""Rows in, frames out, figures from frames, one page: what a campaign's Parquet files say.

Everything is loaded when it is first used, so `import analysis` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.claims.table import claims_table
    from analysis.current import current_rows
    from analysis.figures import plot_overhead, plot_ranking
    from analysis.importances import hyperparameter_importances, importance_table
    from analysis.learning_curves import interactive_learning_curves, plot_learning_curves
    from analysis.load import DamagedResultsError, load_curves, load_trials
    from analysis.localdrop_figures import plot_localdrop
    from analysis.notes import notes_of
    from analysis.overall import overall_significance, smallest_reachable_p
    from analysis.paper_figures import plot_paper_figures
    from analysis.papers import compare_with_papers
    from analysis.ranking import ranking_table
    from analysis.reach import reach_of
    from analysis.report import write_report
    from analysis.sensitivity import plot_sensitivity, sensitivity_table
    from analysis.theory_figures import plot_theory
    from analysis.timing import timing_table

_HOMES: dict[str, str] = {
    "DamagedResultsError": "analysis.load",
    "claims_table": "analysis.claims.table",
    "compare_with_papers": "analysis.papers",
    "current_rows": "analysis.current",
    "hyperparameter_importances": "analysis.importances",
    "importance_table": "analysis.importances",
    "interactive_learning_curves": "analysis.learning_curves",
    "load_curves": "analysis.load",
    "load_trials": "analysis.load",
    "notes_of": "analysis.notes",
    "overall_significance": "analysis.overall",
    "plot_learning_curves": "analysis.learning_curves",
    "plot_localdrop": "analysis.localdrop_figures",
    "plot_overhead": "analysis.figures",
    "plot_paper_figures": "analysis.paper_figures",
    "plot_ranking": "analysis.figures",
    "plot_sensitivity": "analysis.sensitivity",
    "plot_theory": "analysis.theory_figures",
    "ranking_table": "analysis.ranking",
    "reach_of": "analysis.reach",
    "sensitivity_table": "analysis.sensitivity",
    "smallest_reachable_p": "analysis.overall",
    "timing_table": "analysis.timing",
    "write_report": "analysis.report",
}

__all__ = [
    "DamagedResultsError",
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
    "ranking_table",
    "reach_of",
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
