"""Print what the page of a published folder says in sentences, from its rows; `--figure FILE` draws mean ranks as well.

For example: `python gallery/describe.py gallery/arena --figure gallery/arena/critical-difference.png`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

import analysis
from analysis.page.pictures import small_png
from analysis.rows.current import current_rows
from analysis.shown.formats import signed
from analysis.tables.overall import friedman_by_scale
from harness.records import HYPERPARAMETER_PREFIX, OVERALL

BASELINE = "none"


def main() -> None:
    """Describe the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--figure", type=Path, help="where to draw the diagram of mean ranks")
    asked = parser.parse_args()
    try:
        trials = analysis.load_trials(asked.folder)
        for sentence in sentences(trials):
            print(f"- {sentence}")
        if asked.figure:
            (result,) = friedman_by_scale(analysis.ranking_table(trials)).values()
            asked.figure.write_bytes(small_png(analysis.plot_critical_difference(result)))
    except (OSError, ValueError) as error:  # no trials, several scales, or too few tasks for a figure
        parser.error(str(error))


def sentences(trials: pd.DataFrame) -> Iterator[str]:
    """What the rows say, one sentence each.

    Raises:
        ValueError: if the trials are of several scales.
    """
    ran = trials[trials["status"] != "skipped"]
    if len(set(ran["scale"])) > 1:
        raise ValueError("The trials are of several scales; describe those of one.")
    seconds = ran["train_seconds"].sum() + ran["evaluation_seconds"].sum() + ran["setup_seconds"].sum()
    commits = ran.groupby("git_commit")["started_at"].min().sort_values().index.str[:7]
    yield f"{len(ran):,} trials, {seconds / 3600:.1f} hours of training and evaluation, commits {', '.join(commits)}."
    ranking = analysis.ranking_table(trials)
    kept_defaults = _kept_defaults(trials)
    on_tasks = ranking[ranking["task"] != OVERALL]
    on_tasks = on_tasks[on_tasks["mean"].notna() & on_tasks["is_main_budget"].fillna(False).astype(bool)]
    for task, cells in on_tasks.groupby("task"):
        rivals = cells[cells["regularizer"] != BASELINE]
        wins, losses = (rivals.loc[rivals["outcome"] == outcome, "regularizer"] for outcome in ("win", "loss"))
        kept = kept_defaults[task].reindex(cells["regularizer"]).dropna()
        yield (
            f"`{task}`: {len(wins)} of {len(rivals)} contestants are significantly better than the tuned baseline; "
            f"significantly worse: {_listed(losses)}. The search chose the default setting for {int(kept.sum())} of "
            f"{len(kept)}."
        )
    num_tasks = on_tasks["task"].nunique()
    counts = on_tasks.groupby("regularizer")["outcome"].agg(lambda outcomes: (outcomes == "win").sum())
    everywhere = on_tasks.groupby("regularizer")["task"].nunique().loc[lambda number: number == num_tasks].index
    everywhere = everywhere.drop(BASELINE, errors="ignore")
    on_all, on_most, on_none = (everywhere[counts[everywhere] == number] for number in (num_tasks, num_tasks - 1, 0))
    yield (
        f"Of {len(everywhere)} contestants that ran on all {num_tasks} tasks, significantly better on all: "
        f"{_listed(on_all)}; on all but one: {_listed(on_most)}; on none: {_listed(on_none)}."
    )
    best = [*on_all, *on_most]
    if not best:
        return
    means = on_tasks.pivot_table(index="task", columns="regularizer", values="mean")
    gains = means.sub(means[BASELINE], axis="index").agg(["min", "max", "mean"])
    said = [f"`{name}` {' to '.join(map(signed, gains[name][:2]))} ({signed(gains[name]['mean'])})" for name in best]
    yield f"Test value of these less that of the baseline, over the tasks (and the mean): {', '.join(said)}."
    costs = analysis.timing_table(trials).groupby("regularizer")["ratio"].agg(["min", "max"])
    ranges = [f"`{name}` {costs['min'][name]:.2f} to {costs['max'][name]:.2f}" for name in best if name in costs.index]
    yield f"Time of a step of these, divided by that of the baseline, over the timed tasks: {', '.join(ranges)}."
    chosen = [f"`{name}` {_chosen(trials[trials['regularizer'] == name])}" for name in best]
    yield f"The searches chose for these, over the tasks: {'; '.join(chosen)}."


def _kept_defaults(trials: pd.DataFrame) -> pd.Series:
    """Whether the search chose the default hyperparameters, by task and contestant, where both were trained."""
    names = [name for name in trials.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    current = current_rows(trials)
    by_role = [
        current[current["role"] == role].groupby(["task", "regularizer"])[names].first()
        for role in ("default", "confirm")
    ]
    default, tuned = by_role[0].align(by_role[1], join="inner", axis=0)
    return ((default == tuned) | (default.isna() & tuned.isna())).all(axis=1)


def _chosen(trials: pd.DataFrame) -> str:
    """The hyperparameters that were searched, each with the range of those that were confirmed."""
    current = current_rows(trials)
    names = [name for name in trials.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    tried = current[current["role"] == "tune"]
    searched = [name for name in names if len(tried[name].dropna().unique()) > 1]
    confirmed = current[current["role"] == "confirm"]
    return ", ".join(
        f"{name.removeprefix(HYPERPARAMETER_PREFIX)} {_range(confirmed[name].dropna())}" for name in searched
    )


def _range(values: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(values):
        return f"{values.min():.2g} to {values.max():.2g}"
    return " or ".join(sorted(set(values.astype(str))))


def _listed(names: Sequence[str] | pd.Series | pd.Index) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nobody"


if __name__ == "__main__":
    main()
