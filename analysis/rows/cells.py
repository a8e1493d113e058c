"""A cell (one regularizer on one task at one scale) and what its trials say together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import pandas as pd

from analysis.rows.current import CELL, succeeded, winners
from harness.records import HYPERPARAMETER_PREFIX, SUCCESSES

RankedRole = Literal["confirm", "default"]
Value = Literal["test_value", "test_value_at_best_validation"]
Trial = Mapping[str, Any]

_KEPT = ("scale", "task", "regularizer", "role", "seed", "status", "reason", "error_message")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one role of a cell: their values by seed, how many failed, and how the cell stands."""

    regularizer: str
    role: RankedRole | None  # None where no trial of the wanted role ran
    by_seed: Mapping[int, float]  # finite values only
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
        return not self.by_seed and not self.skipped


def trials_by_cell(rows: pd.DataFrame, value: str) -> dict[tuple[str, str, str], list[Trial]]:
    """(scale, task, regularizer): its trials, each with the few columns that count here.

    They are plain dictionaries, because a leaderboard has hundreds of cells of a handful of trials each, and selecting
    those in pandas cell by cell takes a hundred times longer.
    """
    names = [name for name in rows.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    setting = rows.groupby(names, dropna=False).ngroup() if names else 0
    cells: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in rows[list(_KEPT)].assign(setting=setting, value=rows[value].astype(float)).to_dict("records"):
        key = (trial["scale"], trial["task"], trial["regularizer"])
        cells.setdefault(key, []).append({str(name): each for name, each in trial.items()})
    return cells


def summarize_cell(trials: Sequence[Trial], regularizer: str, role: RankedRole | None) -> Cell:
    """One cell from its current trials; `role=None` takes the confirm trials if there are any, else the default."""
    ran = [trial for trial in trials if trial["status"] != "skipped"]
    wanted = role or ("confirm" if any(trial["role"] == "confirm" for trial in ran) else "default")
    chosen = [trial for trial in ran if trial["role"] == wanted]
    by_seed = _by_seed(chosen)
    untuned = _by_seed([trial for trial in ran if trial["role"] == "default"])
    status, reason = _standing(trials, ran, chosen, bool(by_seed))
    return Cell(
        regularizer=regularizer,
        role=wanted if chosen else None,
        by_seed=by_seed,
        num_failed=sum(not _has_value(trial) for trial in chosen),
        default_mean=fmean(untuned.values()) if untuned else math.nan,
        status=status,
        reason=reason,
        num_settings=len({trial["setting"] for trial in chosen}),
    )


def selection_optimism(rows: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """(task, regularizer, scale): by how much the tuned validation value promised more than its mean on fresh seeds.

    Positive is optimistic, whichever way the metric counts.
    """
    again = succeeded(rows[rows["role"] == "confirm"]).groupby(CELL)["validation_value"].mean()
    best = winners(rows).set_index(CELL)
    sign = best["higher_is_better"].astype(float) * 2 - 1
    gap = (best["validation_value"] - again) * sign
    return {key: float(value) for key, value in gap.dropna().items()}  # type: ignore[misc]  # the index holds tuples


def _has_value(trial: Trial) -> bool:
    return trial["status"] in SUCCESSES and math.isfinite(trial["value"])


def _by_seed(trials: Sequence[Trial]) -> dict[int, float]:
    """The value of each seed; the mean, should a seed have several."""
    values: dict[int, list[float]] = {}
    for trial in filter(_has_value, trials):
        values.setdefault(int(trial["seed"]), []).append(trial["value"])
    return {seed: fmean(values[seed]) for seed in sorted(values)}


def _standing(
    trials: Sequence[Trial], ran: Sequence[Trial], chosen: Sequence[Trial], has_values: bool
) -> tuple[str, str]:
    if has_values:
        return "completed", ""
    if not trials:
        return "missing", "no trial ran"
    if not ran:
        return "skipped", _first(trials, "reason")
    asked = chosen or ran  # without a trial of the wanted role, the search tells why
    failed = [trial for trial in asked if trial["status"] not in SUCCESSES]
    if len(failed) < len(asked):
        return "missing", "its trials report no finite value" if chosen else "no trial ran that could be ranked"
    statuses = Counter(trial["status"] for trial in failed)
    return min(statuses, key=lambda status: (-statuses[status], status)), _first(failed, "error_message")


def _first(trials: Sequence[Trial], name: str) -> str:
    return min((trial[name] for trial in trials if isinstance(trial[name], str)), default="")
