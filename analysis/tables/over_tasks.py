"""The statistics over all tasks by name: how each is made, and what people see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.shown import tables as shown
from analysis.shown.column import Column
from analysis.tables.aggregates import interquartile_means, performance_profiles, rank_intervals
from analysis.tables.pairs import strengths, win_rates
from analysis.tables.tuning import best_so_far, tuning_costs

_THRESHOLDS = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic over all tasks.

    Attributes:
        title: what it tells, as a heading.
        source: its definition and where it is from, in a sentence.
        make: the whole table, from trials.
        columns: those that people see, of a view.
        view: the rows that people see, of the whole table of one scale.
        absent: what there is to say of an empty table.
        is_long: whether it has many rows of each task, so that it is shown by itself only.
    """

    title: str
    source: str
    make: Callable[[pd.DataFrame], pd.DataFrame]
    columns: tuple[Column, ...]
    view: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    absent: str = "No trial can be ranked yet."
    is_long: bool = False

    def views(self, table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """Each scale of the whole table, with the rows that people see."""
        for scale, rows in table.groupby("scale", sort=False):
            yield str(scale), self.view(rows)


def _better_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of each pair the contestant that is better comes first; the clearest pairs first."""
    ahead = pairs["win_rate"].gt(0.5) | (pairs["win_rate"].eq(0.5) & (pairs["regularizer"] < pairs["rival"]))
    return pairs[ahead].sort_values(["win_rate", "regularizer", "rival"], ascending=[False, True, True])


def _side_by_side(profiles: pd.DataFrame) -> pd.DataFrame:
    """One row per contestant and one column for each of a few thresholds; the best at the middle one first."""
    named = profiles.assign(threshold=profiles["threshold"].map(str))
    wide = named.pivot_table(index="regularizer", columns="threshold", values="share").reset_index()
    return wide.sort_values([str(_THRESHOLDS[1]), "regularizer"], ascending=[False, True], ignore_index=True)


def _at_powers_of_two(so_far: pd.DataFrame) -> pd.DataFrame:
    """After 1, 2, 4, ... tune trials, and after the last."""
    number = so_far["num_trials"]
    last = number.eq(number.groupby([so_far["task"], so_far["regularizer"]]).transform("max"))
    return so_far[last | number.map(lambda each: each & (each - 1) == 0).astype(bool)]


STATISTICS: Mapping[str, Statistic] = {
    "ranks": Statistic(
        title="mean ranks",
        source="Percentile bootstrap over tasks and seeds (Efron and Tibshirani 1993, section 13.3).",
        make=rank_intervals,
        columns=shown.RANK_INTERVALS,
    ),
    "strengths": Statistic(
        title="strengths that explain who beats whom",
        source="The model of Bradley and Terry (1952), fitted as by Hunter (2004), in Elo points around 0.",
        make=strengths,
        columns=shown.STRENGTHS,
    ),
    "pairs": Statistic(
        title="who beats whom",
        source="Probability of improvement (Agarwal et al. 2021, section 4.3), mean over common tasks.",
        make=win_rates,
        columns=shown.PAIRS,
        view=_better_ones,
    ),
    "iqm": Statistic(
        title="interquartile means of normalized scores",
        source="Interquartile mean with stratified bootstrap (Agarwal et al. 2021, section 4.3).",
        make=interquartile_means,
        columns=shown.INTERQUARTILE_MEANS,
    ),
    "profiles": Statistic(
        title="performance profiles",
        source="Run-score distributions (Agarwal et al. 2021, section 4.2; Dolan and Moré 2002).",
        make=performance_profiles,
        columns=shown.profiles(map(str, _THRESHOLDS)),
        view=_side_by_side,
    ),
    "costs": Statistic(
        title="what tuning cost",
        source="Sums over the tune trials of all tasks.",
        make=tuning_costs,
        columns=shown.TUNING_COSTS,
        absent="Nothing was tuned here.",
    ),
    "so-far": Statistic(
        title="the best validation value so far",
        source="The best among the first 1, 2, 4, ... tune trials in the order of proposals, and among all.",
        make=best_so_far,
        columns=shown.BEST_SO_FAR,
        view=_at_powers_of_two,
        absent="Nothing was tuned here.",
        is_long=True,
    ),
}
"""The names that `regarena stats --table` takes."""
