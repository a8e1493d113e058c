"""What the sections of the page are made from: trials, curves, and the tables that several sections need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.figures.learning_curves import curve_means
from analysis.rows.comparable import RANKED_ROLES
from analysis.rows.notes import notes_of
from analysis.tables.over_tasks import STATISTICS, statistics_of
from analysis.tables.ranking import ranking_table
from analysis.tables.scores import scores_table
from analysis.tables.verdicts import verdicts
from harness.records import OVERALL

Facts = Mapping[str, str]
Describe = Callable[[str], Facts | None]


@dataclass(frozen=True)
class Source:
    """The rows of a report, and tables that are computed once for all sections.

    Attributes:
        trials: from `load_trials`.
        curves: from `load_curves`.
        describe: returns what is known of a contestant by its name ("formula", "source", "kind", ...), or None.
    """

    trials: pd.DataFrame
    curves: pd.DataFrame
    describe: Describe = lambda name: None

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """The `ranking_table`."""
        return ranking_table(self.trials)

    @cached_property
    def of_tasks(self) -> pd.DataFrame:
        """The rows of the ranking that are of single tasks."""
        return self.ranking[self.ranking["task"] != OVERALL]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The `scores_table`."""
        return scores_table(self.trials)

    @property
    def notes(self) -> list[str]:
        """The notes of the ranking, which the page shows once, below the leaderboard."""
        return notes_of(self.ranking)

    @cached_property
    def statistics(self) -> Mapping[str, pd.DataFrame]:
        """The whole table of each statistic."""
        return dict(statistics_of(self.trials, STATISTICS, self.curves, self.scores))

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """The verdict on each task."""
        return verdicts(self.ranking, self.scores, self.statistics["score-cost"])

    @cached_property
    def best_first(self) -> list[str]:
        """All ranked contestants, ordered by their overall rank, those without one by their mean rank on tasks."""
        overall = self.ranking[self.ranking["task"] == OVERALL].sort_values("rank")["regularizer"]
        alone = self.of_tasks.groupby("regularizer")["rank"].mean().sort_values(kind="stable").index
        return list(dict.fromkeys([*map(str, overall), *map(str, alone)]))

    @cached_property
    def anchors(self) -> Mapping[str, str]:
        """The id of the section of each contestant."""
        return {name: f"contestant-{place}" for place, name in enumerate(self.best_first, 1)}

    @cached_property
    def facts(self) -> Mapping[str, Facts]:
        """What is known of each contestant."""
        return {name: self.describe(name) or {} for name in self.best_first}

    @cached_property
    def curve_means(self) -> Mapping[tuple[str, str], pd.DataFrame]:
        """The `curve_means` of each (task, scale) that has any."""
        ranked = self.trials["role"].isin(RANKED_ROLES)
        subject = self.trials.loc[ranked, ["trial_id", "scale", "task"]].drop_duplicates()
        columns = list(self.curves.columns)
        means = {
            (str(task), str(scale)): curve_means(self.trials, points[columns], str(task), str(scale))
            for (scale, task), points in self.curves.merge(subject, on="trial_id").groupby(["scale", "task"], sort=True)
        }
        return {key: points for key, points in means.items() if len(points)}
