"""Analysis of results folders: load their rows as pandas frames, make tables and figures of them, write a report.

Each public name is imported from its module on first use, so `import analysis` itself is fast.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.exports.export import export
    from analysis.exports.exported import ExportError, MissingPackageError
    from analysis.figures.critical_difference import plot_critical_difference
    from analysis.figures.learning_curves import interactive_learning_curves, plot_learning_curves
    from analysis.figures.ranking import plot_overhead, plot_ranking
    from analysis.figures.sensitivity import plot_sensitivity
    from analysis.figures.training_costs import plot_score_against_cost, plot_time_to_target
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
    from analysis.tables.aggregates import interquartile_means, performance_profiles, rank_intervals
    from analysis.tables.bayes import signed_rank_probabilities
    from analysis.tables.importances import hyperparameter_importances, importance_table
    from analysis.tables.interactions import interaction_table
    from analysis.tables.looks import looks_at_test_data
    from analysis.tables.overall import overall_significance, smallest_reachable_p
    from analysis.tables.pairs import strengths, win_rates
    from analysis.tables.power import power_notes
    from analysis.tables.ranking import ranking_table
    from analysis.tables.recommendation import recommend
    from analysis.tables.score_cost import score_against_cost
    from analysis.tables.sensitivity import sensitivity_table
    from analysis.tables.time_to_target import time_to_target
    from analysis.tables.timing import timing_table
    from analysis.tables.tuning import best_so_far, tuning_costs
    from analysis.tables.variance import variance_table

_HOMES: dict[str, str] = {
    "ConflictingResultsError": "analysis.rows.load",
    "DamagedResultsError": "analysis.rows.load",
    "ExportError": "analysis.exports.exported",
    "MissingPackageError": "analysis.exports.exported",
    "NewerResultsError": "analysis.rows.load",
    "best_so_far": "analysis.tables.tuning",
    "interquartile_means": "analysis.tables.aggregates",
    "performance_profiles": "analysis.tables.aggregates",
    "plot_critical_difference": "analysis.figures.critical_difference",
    "rank_intervals": "analysis.tables.aggregates",
    "strengths": "analysis.tables.pairs",
    "tuning_costs": "analysis.tables.tuning",
    "win_rates": "analysis.tables.pairs",
    "claims_table": "analysis.papers.claims_table",
    "compare_with_papers": "analysis.papers.comparison",
    "current_rows": "analysis.rows.current",
    "export": "analysis.exports.export",
    "hyperparameter_importances": "analysis.tables.importances",
    "importance_table": "analysis.tables.importances",
    "interactive_learning_curves": "analysis.figures.learning_curves",
    "interaction_table": "analysis.tables.interactions",
    "load_curves": "analysis.rows.load",
    "load_trials": "analysis.rows.load",
    "looks_at_test_data": "analysis.tables.looks",
    "notes_of": "analysis.rows.notes",
    "overall_significance": "analysis.tables.overall",
    "plot_learning_curves": "analysis.figures.learning_curves",
    "plot_localdrop": "analysis.papers.localdrop.figures",
    "plot_overhead": "analysis.figures.ranking",
    "plot_paper_figures": "analysis.papers.figures",
    "plot_ranking": "analysis.figures.ranking",
    "plot_score_against_cost": "analysis.figures.training_costs",
    "plot_sensitivity": "analysis.figures.sensitivity",
    "plot_theory": "analysis.papers.theory_figures",
    "plot_time_to_target": "analysis.figures.training_costs",
    "ranking_table": "analysis.tables.ranking",
    "recommend": "analysis.tables.recommendation",
    "power_notes": "analysis.tables.power",
    "score_against_cost": "analysis.tables.score_cost",
    "sensitivity_table": "analysis.tables.sensitivity",
    "signed_rank_probabilities": "analysis.tables.bayes",
    "smallest_reachable_p": "analysis.tables.overall",
    "time_to_target": "analysis.tables.time_to_target",
    "timing_table": "analysis.tables.timing",
    "variance_table": "analysis.tables.variance",
    "write_report": "analysis.page.report",
}

__all__ = [
    "ConflictingResultsError",
    "DamagedResultsError",
    "ExportError",
    "MissingPackageError",
    "NewerResultsError",
    "best_so_far",
    "claims_table",
    "compare_with_papers",
    "current_rows",
    "export",
    "hyperparameter_importances",
    "importance_table",
    "interaction_table",
    "interactive_learning_curves",
    "interquartile_means",
    "load_curves",
    "load_trials",
    "looks_at_test_data",
    "notes_of",
    "overall_significance",
    "performance_profiles",
    "plot_critical_difference",
    "plot_learning_curves",
    "plot_localdrop",
    "plot_overhead",
    "plot_paper_figures",
    "plot_ranking",
    "plot_score_against_cost",
    "plot_sensitivity",
    "plot_theory",
    "plot_time_to_target",
    "power_notes",
    "rank_intervals",
    "ranking_table",
    "recommend",
    "score_against_cost",
    "sensitivity_table",
    "signed_rank_probabilities",
    "smallest_reachable_p",
    "strengths",
    "time_to_target",
    "timing_table",
    "tuning_costs",
    "variance_table",
    "win_rates",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; it has {', '.join(__all__)}.")
    _check_harness()
    return getattr(import_module(_HOMES[name]), name)


def _check_harness() -> None:
    """Check that `import harness` finds regarena's own package.

    Raises:
        ImportError: if it finds none, or another file or folder of that name, which the message names.
    """
    spec = find_spec("harness")
    found = Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None
    if found is None:
        raise ImportError("regarena's package 'harness', which the analysis needs, is missing; install regarena again.")
    if found.parent.parent != Path(__file__).resolve().parent.parent:
        raise ImportError(
            f"Python finds {found} in place of regarena's own package 'harness', which the analysis needs; rename it, "
            "or start Python in another folder."
        )


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
