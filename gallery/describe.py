"""Print what the page of a published folder says in sentences, from its rows; `--figure FILE` draws mean ranks as well.

python gallery/describe.py gallery/arena --figure gallery/arena/critical-difference.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

import analysis
from analysis.page.pictures import small_png
from analysis.tables.overall import friedman_by_scale

BASELINE = "none"
CHEAP = 1.2  # at most this many times the time of a step without a regularizer


def main() -> None:
    """Describe the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--figure", type=Path, help="where to draw the diagram of mean ranks")
    asked = parser.parse_args()
    trials = analysis.load_trials(asked.folder)
    for sentence in sentences(trials):
        print(f"- {sentence}")
    if asked.figure:
        (result,) = friedman_by_scale(analysis.ranking_table(trials)).values()
        asked.figure.write_bytes(small_png(analysis.plot_critical_difference(result)))


def sentences(trials: pd.DataFrame) -> Iterator[str]:
    """What the rows say, one sentence each."""
    ran = trials[trials["status"] != "skipped"]
    seconds = ran["train_seconds"].sum() + ran["evaluation_seconds"].sum() + ran["setup_seconds"].sum()
    commits = ran.groupby("git_commit")["started_at"].min().sort_values().index.str[:7]
    yield f"{len(ran):,} trials, {seconds / 3600:.1f} hours of training and evaluation, commits {', '.join(commits)}."
    ranking = analysis.ranking_table(trials)
    on_tasks = ranking[ranking["task"].notna() & (ranking["task"] != "overall")]
    on_tasks = on_tasks[on_tasks["mean"].notna() & on_tasks["is_main_budget"].fillna(False).astype(bool)]
    for task, cells in on_tasks.groupby("task"):
        rivals = cells[cells["regularizer"] != BASELINE]
        wins, losses = (rivals.loc[rivals["outcome"] == outcome, "regularizer"] for outcome in ("win", "loss"))
        sign = 1 if bool(cells["higher_is_better"].iloc[0]) else -1
        untuned = cells[((cells["default_mean"] - cells["mean"]) * sign) > 0]
        known = cells["default_mean"].notna().sum()
        yield (
            f"`{task}`: {len(wins)} of {len(rivals)} contestants are significantly better than the tuned baseline; "
            f"significantly worse: {_listed(losses)}. The default setting was better than the tuned one for "
            f"{len(untuned)} of {known}."
        )
    num_tasks = on_tasks["task"].nunique()
    counts = on_tasks.groupby("regularizer")["outcome"].agg(lambda outcomes: (outcomes == "win").sum())
    everywhere = on_tasks.groupby("regularizer")["task"].nunique().loc[lambda number: number == num_tasks].index
    everywhere = everywhere.drop(BASELINE, errors="ignore")
    on_all, on_none = (everywhere[counts[everywhere] == number] for number in (num_tasks, 0))
    yield f"Significantly better on all {num_tasks} tasks: {_listed(on_all)}; on none: {_listed(on_none)}."
    costs = analysis.timing_table(trials).groupby("regularizer")["ratio"].median()
    cheap = [name for name in on_all if costs.get(name, float("inf")) <= CHEAP]
    yield f"On all, with a step of at most {CHEAP} times the baseline's: {_listed(cheap)}."


def _listed(names: Sequence[str] | pd.Series | pd.Index) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nobody"


if __name__ == "__main__":
    main()
