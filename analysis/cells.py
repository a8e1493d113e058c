"""A cell (one regularizer on one task at one scale) and what its trials say together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from harness.records import HYPERPARAMETER_PREFIX, SUCCESSES

RankedRole = Literal["confirm", "default"]
Value = Literal["test_value", "test_value_at_best_validation"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one role of a cell: their values by seed, how many failed, and how the cell stands."""

    regularizer: str
    role: RankedRole | None  # None where no trial of the wanted role ran
    by_seed: pd.Series  # index seed; finite values only
    num_failed: int  # trials of this role that ended without a value
    default_mean: float  # mean with the paper's hyperparameters
    status: str  # "completed" where there is a value; else "skipped", "missing", or how its trials failed
    reason: str
    num_settings: int  # hyperparameter settings among these trials; more than 1 in a sweep

    @property
    def skipped(self) -> bool:
        """Whether the cell makes no sense and was never meant to run."""
        return self.status == "skipped"

    @property
    def missing(self) -> bool:
        """Whether it was meant to run and has no value."""
        return self.by_seed.empty and not self.skipped


def summarize_cell(rows: pd.DataFrame, regularizer: str, role: RankedRole | None, value: Value) -> Cell:
    """One cell from its current rows; `role=None` takes the confirm trials if there are any, else the default ones."""
    ran = rows[rows["status"] != "skipped"]
    chosen = role or ("confirm" if (ran["role"] == "confirm").any() else "default")
    trials = ran[ran["role"] == chosen]
    by_seed = _by_seed(trials, value)
    status, reason = _standing(rows, ran, trials, by_seed)
    return Cell(
        regularizer=regularizer,
        role=None if trials.empty else chosen,
        by_seed=by_seed,
        num_failed=len(trials) - len(_with_value(trials, value)),
        default_mean=_mean(_by_seed(ran[ran["role"] == "default"], value)),
        status=status,
        reason=reason,
        num_settings=_num_settings(trials),
    )


def selection_optimism(winner: pd.DataFrame, confirmed: pd.DataFrame, higher_is_better: bool) -> float:
    """By how much the tuned validation value promised more than its mean on fresh seeds; positive is optimistic."""
    again = confirmed.loc[confirmed["status"].isin(SUCCESSES), "validation_value"]
    gap = _mean(winner["validation_value"]) - _mean(again)
    return gap if higher_is_better else -gap


def _with_value(trials: pd.DataFrame, value: str) -> pd.DataFrame:
    return trials[trials["status"].isin(SUCCESSES) & np.isfinite(trials[value].astype(float))]


def _by_seed(trials: pd.DataFrame, value: str) -> pd.Series:
    return _with_value(trials, value).groupby("seed")[value].mean().sort_index()


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if len(values) else math.nan


def _standing(rows: pd.DataFrame, ran: pd.DataFrame, trials: pd.DataFrame, by_seed: pd.Series) -> tuple[str, str]:
    if len(by_seed):
        return "completed", ""
    if rows.empty:
        return "missing", "no trial ran"
    if ran.empty:
        return "skipped", _first(rows["reason"])
    asked = ran if trials.empty else trials  # without a trial of the wanted role, the search tells why
    failed = asked[~asked["status"].isin(SUCCESSES)]
    if len(failed) < len(asked):
        return "missing", "no trial ran that could be ranked" if trials.empty else "its trials report no finite value"
    return str(failed["status"].value_counts().sort_index().idxmax()), _first(failed["error_message"])


def _first(texts: pd.Series) -> str:
    present = texts.dropna()
    return str(present.iloc[0]) if len(present) else ""


def _num_settings(trials: pd.DataFrame) -> int:
    names = [name for name in trials.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    return max(1, len(trials[names].drop_duplicates())) if names else 1
