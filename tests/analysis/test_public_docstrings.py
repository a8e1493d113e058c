"""The docstrings of the tables name all of their columns, and the reference lists all public names of the analysis."""

from importlib import import_module
from pathlib import Path

import pytest

import analysis
from analysis.papers.claims_table import CLAIM_COLUMNS
from analysis.papers.comparison import COMPARISON_COLUMNS
from analysis.tables.aggregates import IQM_COLUMNS, PROFILE_COLUMNS, RANK_INTERVAL_COLUMNS
from analysis.tables.bayes import BAYES_COLUMNS
from analysis.tables.importances import IMPORTANCE_COLUMNS
from analysis.tables.interactions import INTERACTION_COLUMNS
from analysis.tables.looks import LOOK_COLUMNS
from analysis.tables.overall import SIGNIFICANCE_COLUMNS
from analysis.tables.pairs import PAIR_COLUMNS, STRENGTH_COLUMNS
from analysis.tables.ranking import RANKING_COLUMNS
from analysis.tables.timing import TIMING_COLUMNS
from analysis.tables.tuning import COST_COLUMNS, SO_FAR_COLUMNS
from analysis.tables.variance import VARIANCE_COLUMNS

REFERENCE = Path(analysis.__file__).parent.parent / "docs" / "reference" / "analysis.md"
COLUMNS = {
    "best_so_far": SO_FAR_COLUMNS,
    "claims_table": CLAIM_COLUMNS,
    "compare_with_papers": COMPARISON_COLUMNS,
    "hyperparameter_importances": IMPORTANCE_COLUMNS,
    "interaction_table": INTERACTION_COLUMNS,
    "interquartile_means": IQM_COLUMNS,
    "looks_at_test_data": LOOK_COLUMNS,
    "overall_significance": SIGNIFICANCE_COLUMNS,
    "performance_profiles": PROFILE_COLUMNS,
    "rank_intervals": RANK_INTERVAL_COLUMNS,
    "ranking_table": RANKING_COLUMNS,
    "signed_rank_probabilities": BAYES_COLUMNS,
    "strengths": STRENGTH_COLUMNS,
    "timing_table": TIMING_COLUMNS,
    "tuning_costs": COST_COLUMNS,
    "variance_table": VARIANCE_COLUMNS,
    "win_rates": PAIR_COLUMNS,
}


@pytest.mark.parametrize("table", COLUMNS)
def test_the_docstring_of_a_table_names_each_of_its_columns(table):
    text = getattr(analysis, table).__doc__
    assert [column for column in COLUMNS[table] if f"`{column}`" not in text] == []


def test_the_reference_lists_every_public_name():
    listed = [line.removeprefix("::: ") for line in REFERENCE.read_text().splitlines() if line.startswith("::: ")]
    documented = {}
    for path in listed:
        module, _, name = path.rpartition(".")
        documented[name] = getattr(import_module(module), name)
    assert set(documented) == set(analysis.__all__)
    assert all(documented[name] is getattr(analysis, name) for name in documented)
