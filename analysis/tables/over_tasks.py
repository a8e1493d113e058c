"""The statistics over all tasks by name: how each is made, and what people see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.shown import tables as shown
from analysis.shown.column import Column
from analysis.tables.aggregates import interquartile_means, performance_profiles, rank_intervals
from analysis.tables.bayes import signed_rank_probabilities
from analysis.tables.interactions import interaction_table
from analysis.tables.looks import looks_at_test_data
from analysis.tables.pairs import strengths, win_rates
from analysis.tables.scores import scores_table
from analysis.tables.tuning import best_so_far, tuning_costs
from analysis.tables.variance import variance_table

_THRESHOLDS = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic over all tasks.

    Attributes:
        title: what it tells, as a heading.
        source: its definition and where it is from, in a sentence.
        make: the whole table, from trials.
        takes_scores: whether a `scores_table` may stand for the trials, which is made once for all.
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
    takes_scores: bool = True
    absent: str = "No trial can be ranked yet."
    is_long: bool = False

    def views(self, table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """Each scale of the whole table ("" where it has none), with the rows that people see."""
        if "scale" not in table:
            yield "", self.view(table)
            return
        for scale, rows in table.groupby("scale", sort=False):
            yield str(scale), self.view(rows)


def _better_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of each pair the contestant that is better comes first; the clearest pairs first."""
    ahead = pairs["win_rate"].gt(0.5) | (pairs["win_rate"].eq(0.5) & (pairs["regularizer"] < pairs["rival"]))
    return pairs[ahead].sort_values(["win_rate", "regularizer", "rival"], ascending=[False, True, True])


def _likelier_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of each pair the contestant that is likelier better comes first; the clearest pairs first."""
    turned = pairs.rename(
        columns={"regularizer": "rival", "rival": "regularizer", "better": "worse", "worse": "better"}
    )
    ahead = pairs["better"] >= pairs["worse"]
    both = pd.concat([pairs[ahead], turned[~ahead][pairs.columns]])
    return both.sort_values(["better", "regularizer", "rival"], ascending=[False, True, True])


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
    "bayes": Statistic(
        title="how probable it is that one is better, or that it does not matter",
        source="Bayesian signed-rank test, a point of accuracy is practically nothing (Benavoli et al. 2014 and 2017).",
        make=signed_rank_probabilities,
        columns=shown.BAYES,
        view=_likelier_ones,
        absent="No two contestants have met on two tasks that measure a share of right answers.",
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
    "interactions": Statistic(
        title="combinations beside the sum of their parts",
        source="Contrast of a two by two factorial design, paired by seed (Montgomery, chapter 5).",
        make=interaction_table,
        takes_scores=False,
        columns=shown.INTERACTIONS,
        absent="No combination ran beside all its parts and none.",
    ),
    "variance": Statistic(
        title="where the scatter comes from",
        source="Components of variance by moments (Bouthillier et al. 2021); --splits and other --seed add sources.",
        make=variance_table,
        takes_scores=False,
        columns=shown.VARIANCES,
    ),
    "looks": Statistic(
        title="looks at the test data",
        source="Every look makes the best of what was seen a little more a matter of chance (Dwork et al. 2015).",
        make=looks_at_test_data,
        takes_scores=False,
        columns=shown.LOOKS,
        absent="No trial has looked at test data.",
    ),
    "costs": Statistic(
        title="what tuning cost",
        source="Sums over the tune trials of all tasks.",
        make=tuning_costs,
        takes_scores=False,
        columns=shown.TUNING_COSTS,
        absent="Nothing was tuned here.",
    ),
    "so-far": Statistic(
        title="the best validation value so far",
        source="The best among the first 1, 2, 4, ... tune trials in the order of proposals, and among all.",
        make=best_so_far,
        takes_scores=False,
        columns=shown.BEST_SO_FAR,
        view=_at_powers_of_two,
        absent="Nothing was tuned here.",
        is_long=True,
    ),
}
"""The names that `regarena stats --table` takes."""


def statistics_of(trials: pd.DataFrame, names: Iterable[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each of these statistics' whole table; the scores are made once."""
    scores: pd.DataFrame | None = None
    for name in names:
        if not STATISTICS[name].takes_scores:
            yield name, STATISTICS[name].make(trials)
            continue
        scores = scores_table(trials) if scores is None else scores
        yield name, STATISTICS[name].make(scores)
