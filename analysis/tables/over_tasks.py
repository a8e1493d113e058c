"""The statistics over all tasks, by the names of `regarena stats --table`; each is defined beside its computation.

To add one, write a function and its `Statistic` in a module of this folder, and add a line to `STATISTICS`. Importing
this module does not import pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analysis.tables.statistic import Statistic


class _Statistics(Mapping[str, "Statistic"]):
    """Statistics by their names, each imported on first use."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = homes

    def __getitem__(self, name: str) -> Statistic:
        module, _, constant = self._homes[name].partition(":")
        found: Statistic = getattr(import_module(module), constant)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


STATISTICS: Mapping[str, Statistic] = _Statistics(
    {
        "ranks": "analysis.tables.aggregates:RANKS",
        "strengths": "analysis.tables.pairs:STRENGTHS",
        "pairs": "analysis.tables.pairs:PAIRS",
        "bayes": "analysis.tables.bayes:BAYES",
        "iqm": "analysis.tables.aggregates:INTERQUARTILE_MEANS",
        "profiles": "analysis.tables.aggregates:PROFILES",
        "interactions": "analysis.tables.interactions:INTERACTIONS",
        "variance": "analysis.tables.variance:VARIANCES",
        "looks": "analysis.tables.looks:LOOKS",
        "costs": "analysis.tables.tuning:COSTS",
        "so-far": "analysis.tables.tuning:SO_FAR",
        "time-to-target": "analysis.tables.time_to_target:TIME_TO_TARGET",
        "score-cost": "analysis.tables.score_cost:SCORE_COST",
    }
)
"""The names that `regarena stats --table` takes."""


def statistics_of(
    trials: pd.DataFrame,
    names: Iterable[str],
    curves: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name and the whole table of each of these statistics; the scores are computed once for all of them.

    Args:
        trials: from `load_trials`.
        names: keys of `STATISTICS`.
        curves: from `load_curves`, for the statistics that take them.
        scores: the `scores_table` of the trials, if it is known.
    """
    import pandas as pd

    from analysis.tables.scores import scores_table
    from harness.records import CURVE_COLUMNS

    curves = pd.DataFrame(columns=CURVE_COLUMNS) if curves is None else curves
    for name in names:
        statistic = STATISTICS[name]
        if statistic.takes_scores and scores is None:
            scores = scores_table(trials)
        if statistic.takes_curves:
            yield name, statistic.make(trials, curves)
        else:
            yield name, statistic.make(scores if statistic.takes_scores else trials)
