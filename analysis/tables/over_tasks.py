"""The statistics over all tasks, by the names of `regarena stats --table`: how each is computed and displayed."""

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
from analysis.tables.score_cost import score_against_cost
from analysis.tables.scores import scores_table
from analysis.tables.time_to_target import time_to_target
from analysis.tables.tuning import best_so_far, tuning_costs
from analysis.tables.variance import variance_table
from harness.records import CURVE_COLUMNS

_THRESHOLDS = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic over all tasks.

    Attributes:
        title: its heading.
        source: its definition and reference, in a sentence.
        make: computes the whole table from trials, or from trials and curves.
        takes_scores: whether `make` also accepts a `scores_table`, which is then computed once for all statistics.
        takes_curves: whether `make` needs the curves, too.
        columns: the displayed columns.
        view: selects the displayed rows from the whole table of one scale.
        absent: the sentence displayed for an empty table.
        is_long: whether it has many rows per task, so that it is displayed on request only.
    """

    title: str
    source: str
    make: Callable[..., pd.DataFrame]
    columns: tuple[Column, ...]
    view: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    takes_scores: bool = True
    takes_curves: bool = False
    absent: str = "No trial can be ranked yet."
    is_long: bool = False

    def views(self, table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """Each scale of the whole table ("" if it has no scales), with the displayed rows."""
        if "scale" not in table:
            yield "", self.view(table)
            return
        for scale, rows in table.groupby("scale", sort=False):
            yield str(scale), self.view(rows)


def _better_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per pair, with the better contestant first; sorted by win rate, the largest first."""
    ahead = pairs["win_rate"].gt(0.5) | (pairs["win_rate"].eq(0.5) & (pairs["regularizer"] < pairs["rival"]))
    return pairs[ahead].sort_values(["win_rate", "regularizer", "rival"], ascending=[False, True, True])


def _likelier_ones(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per pair, with the contestant first that is more probably better; sorted by that probability."""
    turned = pairs.rename(
        columns={"regularizer": "rival", "rival": "regularizer", "better": "worse", "worse": "better"}
    )
    ahead = pairs["better"] >= pairs["worse"]
    both = pd.concat([pairs[ahead], turned[~ahead][pairs.columns]])
    return both.sort_values(["better", "regularizer", "rival"], ascending=[False, True, True])


def _side_by_side(profiles: pd.DataFrame) -> pd.DataFrame:
    """One row per contestant and one column for each of `_THRESHOLDS`, sorted by the share above the second one."""
    named = profiles.assign(threshold=profiles["threshold"].map(str))
    wide = named.pivot_table(index="regularizer", columns="threshold", values="share").reset_index()
    return wide.sort_values([str(_THRESHOLDS[1]), "regularizer"], ascending=[False, True], ignore_index=True)


def _at_powers_of_two(so_far: pd.DataFrame) -> pd.DataFrame:
    """The rows after 1, 2, 4, ... tune trials, and after the last."""
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
        title="Bradley-Terry strengths",
        source="Model of the win rates (Bradley and Terry 1952), fitted by the algorithm of Hunter (2004), in Elo "
        "points with mean 0.",
        make=strengths,
        columns=shown.STRENGTHS,
    ),
    "pairs": Statistic(
        title="win rates of pairs",
        source="Probability of improvement (Agarwal et al. 2021, section 4.3), mean over common tasks.",
        make=win_rates,
        columns=shown.PAIRS,
        view=_better_ones,
    ),
    "bayes": Statistic(
        title="Bayesian signed-rank test",
        source="Posterior probabilities that one is better, or that both are within one point of accuracy (Benavoli et "
        "al. 2014 and 2017).",
        make=signed_rank_probabilities,
        columns=shown.BAYES,
        view=_likelier_ones,
        absent="No two contestants ran together on two tasks that measure accuracy.",
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
        title="interactions in combinations",
        source="Effect of a combination less the sum of the effects of its parts: the interaction contrast of a two by "
        "two factorial design, paired by seed (Montgomery, chapter 5).",
        make=interaction_table,
        takes_scores=False,
        columns=shown.INTERACTIONS,
        absent="No combination ran on a task together with all its parts and none.",
    ),
    "variance": Statistic(
        title="sources of variance",
        source="Variance components by the method of moments (Searle et al. 1992; Bouthillier et al. 2021). --splits "
        "adds the splits, campaigns with other --seed add the tuning.",
        make=variance_table,
        takes_scores=False,
        columns=shown.VARIANCES,
    ),
    "looks": Statistic(
        title="looks at the test data",
        source="The more settings are evaluated on one test set, the more the best of them is ahead by chance (Dwork "
        "et al. 2015).",
        make=looks_at_test_data,
        takes_scores=False,
        columns=shown.LOOKS,
        absent="No trial has looked at test data.",
    ),
    "costs": Statistic(
        title="cost of tuning",
        source="Training time of the tune trials of all tasks.",
        make=tuning_costs,
        takes_scores=False,
        columns=shown.TUNING_COSTS,
        absent="Nothing was tuned here.",
    ),
    "so-far": Statistic(
        title="best validation value so far",
        source="The best among the first 1, 2, 4, ... tune trials in the order of proposals, and among all.",
        make=best_so_far,
        takes_scores=False,
        columns=shown.BEST_SO_FAR,
        view=_at_powers_of_two,
        absent="Nothing was tuned here.",
        is_long=True,
    ),
    "time-to-target": Statistic(
        title="time to a validation score",
        source="Median of the epochs until a trial reaches the score that most trials of none have at the end; a trial "
        "that never does is censored and counts as infinite (Kaplan and Meier 1958; Dahl et al. 2023, section 4).",
        make=time_to_target,
        takes_scores=False,
        takes_curves=True,
        columns=shown.TIME_TO_TARGET,
        absent="No task has validation curves and a trial of the baseline with a value.",
        is_long=True,
    ),
    "score-cost": Statistic(
        title="score against cost",
        source="Mean test value, and time per step times epochs relative to none. The Pareto front has the contestants "
        "than which no other is both as good and as cheap (Branke et al. 2008, section 1.2).",
        make=score_against_cost,
        takes_scores=False,
        columns=shown.SCORE_COST,
        is_long=True,
    ),
}
"""The names that `regarena stats --table` takes."""


def statistics_of(
    trials: pd.DataFrame, names: Iterable[str], curves: pd.DataFrame | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name and the whole table of each of these statistics; the scores are computed once for all of them.

    Args:
        trials: from `load_trials`.
        names: keys of `STATISTICS`.
        curves: from `load_curves`, for the statistics that take them.
    """
    scores: pd.DataFrame | None = None
    for name in names:
        if STATISTICS[name].takes_curves:
            yield name, STATISTICS[name].make(trials, pd.DataFrame(columns=CURVE_COLUMNS) if curves is None else curves)
            continue
        if not STATISTICS[name].takes_scores:
            yield name, STATISTICS[name].make(trials)
            continue
        scores = scores_table(trials) if scores is None else scores
        yield name, STATISTICS[name].make(scores)
