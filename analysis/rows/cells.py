"""Cells: the trials of one regularizer on one task at one scale, summarized over their seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis.rows.comparable import RANKED_ROLES
from analysis.rows.current import BEST_EPOCH, CELL, selection_rules, succeeded, winners
from analysis.rows.numbering import proposal_numbers, setting_numbers
from analysis.rows.rounding import is_rounding
from harness.records import INTENDED, SUCCESSES

RankedRole = Literal["confirm", "default"]
Value = Literal["test_value", "test_value_at_best_validation"]


class Trial(NamedTuple):
    """What the summary of a cell needs of one trial; a named tuple, because there may be 100,000 of them."""

    role: str
    seed: int
    proposal: int  # equal for the same place in the same search
    tune_epochs: float  # budget in epochs of its search; NaN for one in trials
    status: str
    reason: str | None
    error_message: str | None
    epochs_planned: int | None
    train_seconds: float  # NaN if unknown
    selection: str
    setting: int  # equal for equal hyperparameters
    value: float
    is_finite: bool


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one role of a cell: their values by seed, how many failed, and the status of the cell.

    A failed seed is scored as the worst value of the metric (`worst_value`): a contestant that fails on hard seeds must
    not be judged by the easy ones alone. `scores` includes these values, `by_seed` has the finite values only.
    """

    regularizer: str
    role: RankedRole | None  # None if no trial of the wanted role ran
    by_seed: Mapping[int, float]  # finite values only
    scores: Mapping[int, float]  # all finished seeds, failed ones as the worst value; empty if no seed has a value
    num_failed: int  # trials of this role that ended without a value
    default_mean: float  # mean score with the default hyperparameters; NaN if they were not run
    status: str  # "completed" if there is a value; else "skipped", "missing", or the commonest status of its trials
    reason: str
    num_settings: int  # different hyperparameter settings among these trials; more than 1 in a sweep
    budget: Budget
    selection: str = ""  # the rule that selected the winner; "" if none was selected

    @property
    def skipped(self) -> bool:
        """Whether the regularizer cannot run on this task, so that the campaign left the cell out."""
        return self.status == "skipped"

    @property
    def absent(self) -> bool:
        """Whether no trial ran that could be ranked: the campaign did not plan it, or has not come to it yet."""
        return self.status == "missing" and self.role is None

    @property
    def missing(self) -> bool:
        """Whether trials ran that should have a value and have none."""
        return not (self.by_seed or self.skipped or self.absent)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What was spent on tuning a cell, and on each of its ranked trials.

    Two budgets are equal if they have the same number of tune trials and of epochs, or the same number of epochs of
    tuning, if that was the budget of the search: then the numbers of trials may differ. Each proposal of a search is a
    tune trial: none is proposed twice, because every search space holds the learning rate, a real number. Seconds are
    reported, but not compared, because they depend on the machine.
    """

    num_tune_trials: int | None  # None if it was tuned, but its tune rows were not loaded
    epochs: int | None  # planned epochs of a ranked trial; None if no row has them
    tune_seconds: float  # training time, total of the tune trials whose time is known
    seconds: float  # training time, mean of the ranked trials whose time is known; NaN if there is none
    tune_epochs: int | None = None  # of all tune trials together, where the budget of the search was in epochs

    @property
    def key(self) -> tuple[int, int, int]:
        """(epochs of tuning, or 0; else tune trials; epochs), equal for equal budgets; -1 if unknown."""
        num_tune_trials = 0 if self.tune_epochs else self.num_tune_trials
        unknown = -1
        return (
            self.tune_epochs or 0,
            unknown if num_tune_trials is None else num_tune_trials,
            unknown if self.epochs is None else self.epochs,
        )

    @property
    def words(self) -> str:
        """The budget as a table shows it.

        >>> Budget(num_tune_trials=9, epochs=3, tune_seconds=0.0, seconds=0.0).words
        '9 tune trials, 3 epochs'
        >>> Budget(num_tune_trials=9, tune_epochs=30, epochs=3, tune_seconds=0.0, seconds=0.0).words
        '30 tune epochs, 3 epochs'
        """
        tuned = "tuned, trials unknown" if self.num_tune_trials is None else f"{self.num_tune_trials} tune trials"
        tuned = f"{self.tune_epochs} tune epochs" if self.tune_epochs else tuned
        return tuned if self.epochs is None else f"{tuned}, {self.epochs} epochs"


def trials_by_cell(rows: pd.DataFrame, value: str) -> dict[tuple[str, str, str], list[Trial]]:
    """The trials of each cell (scale, task, regularizer), with the columns that `summarize_cell` needs.

    Trials are plain tuples: a leaderboard has hundreds of cells with a few trials each, and selecting them one cell at
    a time in pandas takes a hundred times longer.
    """
    ranked = rows["role"].isin(RANKED_ROLES)  # tune trials are the most, and their settings are not needed
    setting = pd.Series(0, index=rows.index)
    setting[ranked] = setting_numbers(rows[ranked])
    numbers = _values(rows, value)
    found = {
        "proposal": proposal_numbers(rows),
        "tune_epochs": rows["tune_epochs"].astype(float) if "tune_epochs" in rows else pd.Series(np.nan, rows.index),
        "train_seconds": rows["train_seconds"].astype(float),
        "selection": selection_rules(rows),
        "setting": setting,
        "value": numbers,
        "is_finite": np.isfinite(numbers),
    }
    columns = [(found[name] if name in found else rows[name]).tolist() for name in Trial._fields]
    keys = (rows[name].tolist() for name in ("scale", "task", "regularizer"))
    cells: dict[tuple[str, str, str], list[Trial]] = {}
    for cell, trial in zip(zip(*keys, strict=True), map(Trial, *columns), strict=True):
        cells.setdefault(cell, []).append(trial)
    return cells


def _values(rows: pd.DataFrame, value: str) -> pd.Series:
    """The value of each row; for winners selected by their best epoch, the value at that epoch."""
    numbers = rows[value].astype(float)
    if value != "test_value" or "test_value_at_best_validation" not in rows:
        return numbers
    by_epoch = rows["role"].eq("confirm") & selection_rules(rows).eq(BEST_EPOCH)
    return numbers.where(~by_epoch, rows["test_value_at_best_validation"].astype(float))


def summarize_cell(trials: Sequence[Trial], regularizer: str, role: RankedRole | None, worst: float) -> Cell:
    """Summarize the current trials of one cell.

    Args:
        trials: of one cell, from `trials_by_cell`.
        regularizer: its name.
        role: the trials to summarize; None takes the confirm trials if there are any, else the default ones.
        worst: the value of a failed seed (`worst_value`).
    """
    ran = [trial for trial in trials if trial.status != "skipped"]
    wanted = role or ("confirm" if any(trial.role == "confirm" for trial in ran) else "default")
    chosen = [trial for trial in ran if trial.role == wanted]
    by_seed = _by_seed(filter(_has_value, chosen), worst)
    untuned = _by_seed([trial for trial in ran if trial.role == "default"], worst)
    status, reason = _standing(trials, ran, chosen, bool(by_seed))
    return Cell(
        regularizer=regularizer,
        role=wanted if chosen else None,
        by_seed=by_seed,
        scores=_by_seed(chosen, worst) if by_seed else {},
        num_failed=sum(not _has_value(trial) for trial in chosen),
        default_mean=fmean(untuned.values()) if untuned else math.nan,
        status=status,
        reason=reason,
        num_settings=len({trial.setting for trial in chosen}),
        budget=_budget(ran, chosen),
        selection=chosen[0].selection if chosen and wanted == "confirm" else "",
    )


def selection_optimism(rows: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """For each cell (task, regularizer, scale): the validation value of the winner less its mean on fresh seeds.

    The sign is such that positive is optimistic, for metrics of either direction. The mean is over the seeds with a
    finite value; failed seeds would make it infinite for an unbounded metric.
    """
    confirmed = succeeded(rows[rows["role"] == "confirm"])
    confirmed = confirmed[np.isfinite(confirmed["validation_value"].astype(float))]
    again = confirmed.groupby(CELL)["validation_value"].mean()
    best = winners(rows).set_index(CELL)
    sign = best["higher_is_better"].astype(float) * 2 - 1
    gap = (best["validation_value"] - again) * sign
    size = best["validation_value"].abs() + again.abs()
    gap = gap.mask(is_rounding(gap.to_numpy(), size.to_numpy()), 0.0)
    return {key: float(value) for key, value in gap.dropna().items()}  # type: ignore[misc]  # the index holds tuples


def _has_value(trial: Trial) -> bool:
    return trial.status in SUCCESSES and bool(trial.is_finite)


def _by_seed(trials: Iterable[Trial], worst: float) -> dict[int, float]:
    """The value of each seed, `worst` if it failed; the mean if a seed has several trials."""
    values: dict[int, list[float]] = {}
    for trial in trials:
        values.setdefault(int(trial.seed), []).append(trial.value if _has_value(trial) else worst)
    return {seed: fmean(values[seed]) for seed in sorted(values)}


def _budget(ran: Sequence[Trial], chosen: Sequence[Trial]) -> Budget:
    tune = [trial for trial in ran if trial.role == "tune"]
    is_tuned = not chosen or chosen[0].role == "confirm"
    proposals = {trial.proposal for trial in tune}
    tune_epochs = max((trial.tune_epochs for trial in tune if not math.isnan(trial.tune_epochs)), default=0.0)
    planned = [int(trial.epochs_planned) for trial in chosen or tune if not pd.isna(trial.epochs_planned)]
    return Budget(
        num_tune_trials=(len(proposals) or (None if chosen else 0)) if is_tuned else 0,
        tune_epochs=(int(tune_epochs) or None) if is_tuned else None,
        epochs=max(planned, default=None),
        tune_seconds=sum(_seconds(tune)) if is_tuned else 0.0,
        seconds=fmean(_seconds(chosen)) if _seconds(chosen) else math.nan,
    )


def _seconds(trials: Sequence[Trial]) -> list[float]:
    """The training times that are known; a crashed trial has none."""
    return [trial.train_seconds for trial in trials if not math.isnan(trial.train_seconds)]


def _standing(
    trials: Sequence[Trial], ran: Sequence[Trial], chosen: Sequence[Trial], has_values: bool
) -> tuple[str, str]:
    if has_values:
        return "completed", ""
    if not trials:
        return "missing", "no trial ran"
    if not ran:
        return "skipped", _first(trials, "reason")
    examined = chosen or ran  # without a trial of the wanted role, the tune trials show the reason
    failed = [trial for trial in examined if trial.status not in INTENDED]
    if len(failed) < len(examined):
        return "missing", "its trials report no finite value" if chosen else "no trial ran that could be ranked"
    statuses = Counter(trial.status for trial in failed)
    return min(statuses, key=lambda status: (-statuses[status], status)), _first(failed, "error_message")


def _first(trials: Sequence[Trial], name: str) -> str:
    texts = (getattr(trial, name) for trial in trials)
    return min((text for text in texts if isinstance(text, str)), default="")
