"""The displayed columns of every table: headings, formats and meanings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis.shown.column import ALWAYS, Column, Row, interval, is_blank, number, spaced, text
from analysis.shown.drawing import Drawing
from analysis.shown.formats import (
    count,
    digits,
    in_unit,
    is_missing,
    milliseconds,
    place,
    setting,
    signed,
    spread,
    with_p,
)


def _starred(row: Row) -> str:
    return f"{row['regularizer']} *" if row["imputed"] else str(row["regularizer"])


def _against(row: Row) -> str:
    return "–" if is_missing(row["outcome"]) else with_p(row["outcome"], row["p_holm"])


def _survivors(row: Row) -> str:
    return f"{digits(row['survivors_mean'])} ({signed(row['failure_effect'])})" if row["num_failed"] else "–"


def _remark(row: Row) -> str:
    if row["status"] == "completed":  # which rule selected the winners is said in a note below the tables
        return "" if row["role"] == "confirm" else "default hyperparameters"
    status = str(row["status"]).replace("_", " ")
    return f"{status}: {row['reason']}" if row["reason"] else status


def _in_unit(name: str, *, sign: str = "", legend: str, weight: int) -> Column:
    """A column of values in the units of the papers' tables."""
    return Column(
        name=name,
        heading=name,
        make=lambda row: in_unit(row[name], row["unit"], sign),
        legend=legend,
        weight=weight,
        numeric=True,
    )


def _named(columns: Sequence[Column], *names: str) -> tuple[Column, ...]:
    """The columns of these names, in this order."""
    of_name = {column.name: column for column in columns}
    return tuple(of_name[name] for name in names)


def _rank(row: Row) -> str:
    rank = place(row["rank"])
    return rank if is_blank(rank) or row["is_main_budget"] else f"({rank})"


CONTESTANT = Column(name="regularizer", heading="regularizer", make=_starred, weight=ALWAYS)
SEEDS = Column(
    name="num_seeds",
    heading="seeds/failed",
    make=lambda row: f"{row['num_seeds']} / {row['num_failed']}",
    legend="Number of trials with a value, and of trials that ended without one.",
    weight=60,
    numeric=True,
)

RANKING = (  # one task of a `ranking_table`
    CONTESTANT,
    Column(
        name="rank",
        heading="rank",
        make=_rank,
        legend="1 is best; ties have their mean rank. * marks a cell whose trials have no value, which is ranked last. "
        "In brackets: among those with another budget than most.",
        weight=ALWAYS,
        numeric=True,
    ),
    number("mean", legend="Over the seeds; a failed seed counts as the worst value of the metric.", weight=ALWAYS),
    interval("interval_low", "interval_high", "95 % interval", legend="Student's t interval of the mean.", weight=80),
    number("std", show=spread, legend="Standard deviation over the same seeds.", weight=20),
    SEEDS,
    Column(
        name="outcome",
        heading="against none (p)",
        make=_against,
        legend="Win or loss where the paired t-test over common seeds is significant at 5 % after Holm's correction "
        "over this table, tie otherwise; with the corrected p. Untested without two common seeds or with another "
        "budget.",
        weight=70,
    ),
    number("default_mean", "untuned", legend="Mean with the default hyperparameters, on other seeds.", weight=40),
    number(
        "selection_optimism",
        "optimism",
        signed,
        legend="Validation value of the winner less its mean on fresh seeds; positive is optimistic.",
        weight=30,
    ),
    text("budget", legend="Tune trials and epochs; only contestants of equal budgets are ranked together.", weight=35),
    Column(
        name="survivors_mean",
        heading="survivors (effect)",
        make=_survivors,
        legend="If seeds failed: the mean over the other seeds, and how much the failed ones changed the mean.",
        weight=29,
        numeric=True,
    ),
    Column(name="status", heading="remark", make=_remark, weight=10, wide=True),
    text("left_out", legend="Trials that are not comparable: other data, code or switches.", weight=5, wide=True),
)

RANKING_DRAWING = Drawing(
    kind="intervals",
    value="mean",
    low="interval_low",
    high="interval_high",
    is_per_task=True,
    figure="analysis.figures.ranking:plot_ranking",
)

COST = number(
    "cost", "cost, times none", legend="Time of a training divided by that of none, on the same machine.", weight=65
)

LEADERBOARD = (  # all tasks of a `ranking_table`, with the kinds of the contestants and their costs, on the page
    CONTESTANT,
    text("task", weight=ALWAYS),
    text("kind", legend="What it acts on: the kinds of sites in the network, or none of them.", weight=30),
    *_named(RANKING, "rank", "mean", "interval_low", "std", "num_seeds", "outcome"),
    COST,
    *_named(RANKING, "default_mean", "selection_optimism", "budget", "survivors_mean", "status", "left_out"),
)

OVERALL = (  # the overall rows of a `ranking_table`
    CONTESTANT,
    number("rank", show=place, weight=ALWAYS),
    number(
        "mean_rank",
        show=place,
        legend="Over the tasks that the contestants have in common; * marks contestants without a value on some task, "
        "where they are ranked last.",
        weight=80,
    ),
    number("num_tasks", "tasks", weight=40),
    Column(
        name="wins",
        heading="wins/ties/losses",
        make=lambda row: f"{row['wins']} / {row['ties']} / {row['losses']}",
        legend="Number of tasks with this outcome against none.",
        weight=70,
        numeric=True,
    ),
    SEEDS,
)

TIMING_DRAWING = Drawing(
    kind="intervals",
    value="ratio",
    low="ratio_low",
    high="ratio_high",
    label="time of a step, times the unregularized twin",
    reference=1.0,
    is_per_task=True,
    figure="analysis.figures.ranking:plot_overhead",
)

TIMING = (  # a `timing_table`
    text("regularizer", weight=ALWAYS),
    text("task", weight=ALWAYS),
    number(
        "ratio",
        "times the twin",
        legend="Time per training step relative to the unregularized twin, timed in turns with it; median of the "
        "trials.",
        weight=ALWAYS,
    ),
    interval("ratio_low", "ratio_high", "range", legend="Smallest and largest ratio of the trials.", weight=80),
    number("seconds_per_step", "ms/step", milliseconds, legend="Milliseconds per training step.", weight=60),
    number("twin_seconds_per_step", "twin's ms/step", milliseconds, legend="The same of the twin.", weight=30),
    number(
        "minutes_per_100_epochs",
        "min/100 epochs",
        legend="Minutes of all training steps of 100 epochs, without evaluation.",
        weight=50,
    ),
    number("n", "trials", weight=70),
    text("hardware_key", "hardware", weight=10),
)

IMPORTANCES = (  # one cell of an `importance_table`
    text("hyperparameter", weight=ALWAYS),
    number(
        "importance",
        show="{:.2f}".format,
        legend="Main effect on the validation value (fANOVA), as a share of the sum over the hyperparameters.",
        weight=ALWAYS,
    ),
    number("num_values", "values", legend="Number of distinct values tried.", weight=60),
    number("num_trials", "trials", weight=70),
)

COMPARISON = (  # a `compare_with_papers`, without what was not run
    text("method", weight=ALWAYS),
    text("paper", weight=10),
    text("experiment", weight=20),
    text("task", weight=90),
    text("setting", weight=95),
    Column(
        name="metric", heading="metric", make=lambda row: spaced(f"{row['metric']} ({row['unit']})"), weight=15
    ),
    _in_unit("reported", legend="Value in the paper.", weight=ALWAYS),
    _in_unit("ours", legend="Mean of our seeds, in the paper's unit.", weight=ALWAYS),
    Column(
        name="interval_low",
        heading="95 % interval",
        make=lambda row: "–"
        if is_missing(row["interval_low"])
        else " … ".join(in_unit(row[end], row["unit"]) for end in ("interval_low", "interval_high")),
        legend="Student's t interval of our mean.",
        weight=85,
        numeric=True,
    ),
    number("num_seeds", "seeds", weight=50),
    _in_unit("difference", sign="+", legend="Ours minus the reported value.", weight=60),
    Column(
        name="verdict",
        heading="verdict",
        make=lambda row: str(row["verdict"]).partition(": ")[0],  # its reason is the column `why`
        legend="Agrees if the reported value is in the 95 % prediction interval of one further run of ours, else "
        "differs; only trials of scale paper are compared.",
        weight=ALWAYS,
    ),
    Column(name="verdict", heading="why", make=lambda row: str(row["verdict"]).partition(": ")[2] or "–", wide=True),
    text("note", weight=5, wide=True),
)  # fmt: skip

TIMES = (  # the times of a `compare_with_papers`: only their ratios to the unregularized network are comparable
    text("method", weight=ALWAYS),
    text("paper", weight=10),
    text("experiment", weight=20),
    text("task", weight=90),
    number("reported", "reported, min/100 epochs", weight=40),
    number("reported_ratio", "reported, times none", legend="Time relative to none in the paper.", weight=ALWAYS),
    number("our_ratio", "ours, times none", legend="Time relative to none, measured by us.", weight=ALWAYS),
    number("num_seeds", "trials", weight=70),
    text("scale", weight=50),
    text("hardware_key", "our hardware", weight=30),
)

CLAIMS = (  # a `claims_table`, without what was not run
    text("claim", weight=ALWAYS),
    text("paper", weight=10),
    text("verdict", weight=ALWAYS, wide=True),
    text("statement", weight=ALWAYS, wide=True),
    text("measured", weight=ALWAYS, wide=True),
    number("num_trials", "trials", weight=50),
    text("scale", weight=50),
)

CONTESTANT_TASKS = (  # the tasks of one contestant, on the page
    text("task", weight=ALWAYS),
    *_named(RANKING, "rank", "mean", "interval_low", "num_seeds", "outcome", "default_mean", "selection_optimism"),
    COST,
    text("hyperparameters", "best settings", legend="Of the winner of the search.", wide=True),
    *_named(RANKING, "status"),
)

FROZEN = (  # the winners' hyperparameters
    text("regularizer", weight=ALWAYS),
    text("task", weight=ALWAYS),
    number("validation_value", legend="Of the winner; tuning does not use the test split."),
    number("num_tune_trials", "tune trials"),
    text("hyperparameters", wide=True),
)

FAILED = (
    text("regularizer", weight=ALWAYS),
    text("task", weight=ALWAYS),
    *map(text, ("role", "seed")),
    text("tune_index", "tune trial", legend="Which proposal of the search, from 0."),
    *map(text, ("status", "error_type")),
    text("reason", legend="Where it failed, if that is known.", weight=30, wide=True),
    text("error_message", wide=True),
)

SKIPPED = (text("regularizer", weight=ALWAYS), text("task", weight=ALWAYS), text("reason", wide=True))


def counts(statuses: Iterable[str]) -> tuple[Column, ...]:
    """Number of trials by role and status."""
    return (text("role", weight=ALWAYS), *(number(status, show=count) for status in statuses))


def origin(names: Iterable[str]) -> tuple[Column, ...]:
    """Versions and machines: the columns of a `provenance` table."""
    spans = ("trials", "train_hours", "first", "last")
    texts = [text(name) for name in names if name not in spans]
    return (*texts, number("trials", show=count), number("train_hours"), text("first"), text("last"))


def sweep(names: Sequence[str]) -> tuple[Column, ...]:
    """The settings of a `Sweep` with the hyperparameters `names`."""
    settings = [number(name, name.removeprefix("hp."), setting, weight=ALWAYS) for name in names]
    return (*settings, number("mean", weight=ALWAYS), number("std", show=spread), number("num_seeds", "seeds"))
