"""Print what the page of a published folder says in sentences, from its rows; `--figure FILE` draws mean ranks as well.

For example: `python gallery/describe.py gallery/arena --figure gallery/arena/critical-difference.png`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import analysis
from analysis.page.pictures import small_png
from analysis.rows.rounding import is_rounding
from analysis.tables.overall import friedman_by_scale
from harness.records import OVERALL

BASELINE = "none"
CHEAP = 1.2  # at most this many times the time of a step without a regularizer


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
    on_tasks = ranking[ranking["task"] != OVERALL]
    on_tasks = on_tasks[on_tasks["mean"].notna() & on_tasks["is_main_budget"].fillna(False).astype(bool)]
    for task, cells in on_tasks.groupby("task"):
        rivals = cells[cells["regularizer"] != BASELINE]
        wins, losses = (rivals.loc[rivals["outcome"] == outcome, "regularizer"] for outcome in ("win", "loss"))
        sign = 1 if bool(cells["higher_is_better"].iloc[0]) else -1
        ahead = (cells["default_mean"] - cells["mean"]).to_numpy(dtype=float) * sign
        is_better = (ahead > 0) & ~is_rounding(ahead, cells["mean"].abs().to_numpy(dtype=float))
        known = cells["default_mean"].notna().sum()
        yield (
            f"`{task}`: {len(wins)} of {len(rivals)} contestants are significantly better than the tuned baseline; "
            f"significantly worse: {_listed(losses)}. The default setting was better than the tuned one for "
            f"{np.count_nonzero(is_better)} of {known}."
        )
    num_tasks = on_tasks["task"].nunique()
    counts = on_tasks.groupby("regularizer")["outcome"].agg(lambda outcomes: (outcomes == "win").sum())
    everywhere = on_tasks.groupby("regularizer")["task"].nunique().loc[lambda number: number == num_tasks].index
    everywhere = everywhere.drop(BASELINE, errors="ignore")
    on_all, on_none = (everywhere[counts[everywhere] == number] for number in (num_tasks, 0))
    yield f"Significantly better on all {num_tasks} tasks: {_listed(on_all)}. On no task: {_listed(on_none)}."
    costs = analysis.timing_table(trials).groupby("regularizer")["ratio"].median()
    cheap = [name for name in on_all if costs.get(name, float("inf")) <= CHEAP]
    most = f"at most {CHEAP} times the baseline's time for a step (median)"
    yield f"Of those better on all tasks, these take {most}: {_listed(cheap)}."


def _listed(names: Sequence[str] | pd.Series | pd.Index) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nobody"


if __name__ == "__main__":
    main()
