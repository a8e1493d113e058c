"""The tables of the page: what of each frame is shown, and in words what each heading means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.page.html import (
    Column,
    Table,
    interval,
    number,
    place,
    probability,
    setting,
    signed,
    spread,
    table_of,
    text,
)

MOST_ROWS = 100  # of failures on the page; the file has them all

RANKING_LEGEND = {
    "rank": "1 is best; equals share their mean rank. * marks a cell without a value: it takes the worst rank.",
    "mean, 95 % interval, std": "over the seeds that succeeded; Student's interval of the mean.",
    "seeds / failed": "trials with a value, and trials that ended without one.",
    "against none (p)": "win or loss where the paired t-test over common seeds is significant at 5 % after Holm's "
    "correction over this table, tie otherwise; with the corrected p.",
    "untuned": "mean with the default hyperparameters, before any tuning.",
    "optimism": "by how much the tuned validation value promised more than its mean on fresh seeds.",
}
OVERALL_LEGEND = {
    "mean rank": "over the tasks where it was not skipped; * has the worst rank filled in for a missing cell.",
    "wins / ties / losses": "against none, counted over the tasks.",
}
TIMING_LEGEND = {
    "ratio": "seconds per training step over those of the unregularized twin run in turns with it; median trial.",
    "range": "smallest and largest trial.",
}


def ranking(rows: pd.DataFrame) -> Table:
    """One task of a `ranking_table`."""
    return table_of(
        rows,
        (
            Column(heading="regularizer", make=_starred),
            number("rank", None, place),
            number("mean"),
            interval("interval_low", "interval_high", "95 % interval"),
            number("std", None, spread),
            Column(
                heading="seeds / failed", make=lambda row: f"{row['num_seeds']} / {row['num_failed']}", numeric=True
            ),
            Column(heading="against none (p)", make=_against),
            number("default_mean", "untuned"),
            number("selection_optimism", "optimism", signed),
            Column(heading="remark", make=_remark, wide=True),
        ),
    )


def overall(rows: pd.DataFrame) -> Table:
    """The overall rows of a `ranking_table`."""
    return table_of(
        rows,
        (
            Column(heading="regularizer", make=_starred),
            number("rank", None, place),
            number("mean_rank", None, place),
            number("num_tasks", "tasks"),
            Column(
                heading="wins / ties / losses",
                make=lambda row: f"{row['wins']} / {row['ties']} / {row['losses']}",
                numeric=True,
            ),
            Column(
                heading="seeds / failed", make=lambda row: f"{row['num_seeds']} / {row['num_failed']}", numeric=True
            ),
        ),
    )


def timing(rows: pd.DataFrame) -> Table:
    """A `timing_table`."""
    return table_of(
        rows,
        (
            text("regularizer"),
            text("task"),
            number("ratio"),
            interval("ratio_low", "ratio_high", "range"),
            number("seconds_per_step"),
            number("twin_seconds_per_step", "twin's"),
            number("minutes_per_100_epochs", "minutes per 100 epochs"),
            number("n", "trials"),
            text("hardware_key", "hardware"),
        ),
    )


def optimism(table: pd.DataFrame) -> Table:
    """Selection optimism, one row per regularizer and one column per task."""
    pivot = table.pivot_table(index="regularizer", columns="task", values="selection_optimism").reset_index()
    tasks = [str(name) for name in pivot.columns[1:]]
    return table_of(pivot, (text("regularizer"), *(number(task, task, signed) for task in tasks)))


def counts(rows: pd.DataFrame) -> Table:
    """Trials by role and status."""
    return table_of(rows, (text("role"), *(number(str(name)) for name in rows.columns[1:])))


def frozen(rows: pd.DataFrame) -> Table:
    """Hyperparameters of the winners."""
    numbers = (number("validation_value"), number("num_tune_trials", "tune trials"))
    return table_of(rows, (text("regularizer"), text("task"), *numbers, text("hyperparameters", wide=True)))


def failed(rows: pd.DataFrame) -> Table:
    """Failed trials with their messages."""
    shown = ("regularizer", "task", "role", "seed", "status", "error_type")
    return table_of(rows.head(MOST_ROWS), (*map(text, shown), text("error_message", wide=True)))


def skipped(rows: pd.DataFrame) -> Table:
    """Cells that make no sense, with the reason."""
    return table_of(rows, (text("regularizer"), text("task"), text("reason", wide=True)))


def origin(rows: pd.DataFrame) -> Table:
    """Versions and machines."""
    spans = (number("trials"), number("train_hours"), text("first"), text("last"))
    texts = [str(name) for name in rows.columns if name not in ("trials", "train_hours", "first", "last")]
    return table_of(rows, (*map(text, texts), *spans))


def comparison(rows: pd.DataFrame) -> Table:
    """A `compare_with_papers`, without what was not run."""
    return table_of(
        rows,
        (
            text("method"),
            text("paper"),
            text("experiment"),
            text("dataset", "data set"),
            text("architecture"),
            text("setting"),
            Column(heading="metric", make=lambda row: f"{row['metric']} ({row['unit']})".replace("_", " ")),
            number("reported"),
            number("ours"),
            interval("interval_low", "interval_high", "95 % interval"),
            number("num_seeds", "seeds"),
            number("difference", None, signed),
            text("verdict"),
            text("note", wide=True),
        ),
    )


def times(rows: pd.DataFrame) -> Table:
    """The times of a `compare_with_papers`: only their ratios to the unregularized network say something."""
    return table_of(
        rows,
        (
            text("method"),
            text("paper"),
            text("experiment"),
            text("dataset", "data set"),
            text("architecture"),
            number("reported", "reported, min per 100 epochs"),
            number("reported_ratio", "reported, times none"),
            number("our_ratio", "ours, times none"),
            number("num_seeds", "trials"),
            text("scale"),
            text("hardware_key", "our hardware"),
        ),
    )


def sweep(rows: pd.DataFrame, names: Sequence[str], higher_is_better: bool) -> Table:
    """The settings of a `Sweep`, the best first."""
    ordered = rows.sort_values("mean", ascending=not higher_is_better)
    settings = [number(name, name.removeprefix("hp."), setting) for name in names]
    return table_of(ordered, (*settings, number("mean"), number("std", None, spread), number("num_seeds", "seeds")))


def claims(rows: pd.DataFrame) -> Table:
    """A `claims_table`, without what was not run."""
    return table_of(
        rows,
        (
            text("claim"),
            text("paper"),
            text("verdict", wide=True),
            text("statement", wide=True),
            text("measured", wide=True),
            number("num_trials", "trials"),
            text("scale"),
        ),
    )


def _starred(row: dict[str, Any]) -> str:
    return f"{row['regularizer']} *" if row["imputed"] else str(row["regularizer"])


def _against(row: dict[str, Any]) -> str:
    if pd.isna(row["outcome"]):
        return "–"
    return str(row["outcome"]) if pd.isna(row["p_holm"]) else f"{row['outcome']} ({probability(row['p_holm'])})"


def _remark(row: dict[str, Any]) -> str:
    if row["status"] == "completed":
        return "" if row["role"] == "confirm" else "default hyperparameters"
    status = str(row["status"]).replace("_", " ")
    return f"{status}: {row['reason']}" if row["reason"] else status
