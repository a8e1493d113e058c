"""Recommendation: what a contestant is expected to gain on tasks like a given one, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Any

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows, current_rows_remembered
from analysis.rows.notes import listed, notes_of, with_notes
from analysis.rows.rounding import is_rounding
from analysis.rows.task_cells import TaskCells, tasks_of
from analysis.shown.column import ALWAYS, interval, number, text
from analysis.shown.formats import ratio, signed
from analysis.tables.statistics import LEVEL, holm, mean_of_differences
from analysis.tables.timing import timing_table
from harness.records import NETWORK_KINDS, SCALES

RECOMMENDATION_COLUMNS = (
    "regularizer", "verdict", "gain", "gain_low", "gain_high", "p_holm", "smallest_gain", "largest_gain", "overhead",
    "num_tasks", "num_seeds", "tasks",
)  # fmt: skip
METRIC = "accuracy"
LIKE_IN_SIZE = 10**0.5  # numbers of images whose ratio is at most this one are alike
LIKE_IN_NOISE = 0.1  # label noise that differs by at most this share is alike
_ORDER = ("better", "unclear", "worse")


@current_rows_remembered()
def recommend(
    trials: pd.DataFrame,
    kind: str | None = None,
    num_images: int | None = None,
    label_noise: float | None = None,
    max_overhead: float | None = None,
    baseline: str = "none",
) -> pd.DataFrame:
    """What to expect of each contestant on tasks like the one described: one row each, the largest gain first.

    Gains over different tasks are not comparable: within each verdict, contestants with evidence on fewer tasks than
    others come last, with a note.

    A task is like it if its network is of the same kind, its number of training images is the same up to a factor of
    sqrt(10), its share of wrong labels differs by at most 0.1, and its metric is accuracy. An argument that is None
    does not matter; where tasks with and without wrong labels count together, a note names the former. Only tasks at
    one scale count, the longest at which some contestant has evidence: the same task at two scales is not two tasks,
    and a gain in a shortened training says little about that of a whole one.

    On task k, d_k is the mean over common seeds of the test accuracy of the contestant less that of the baseline, both
    tuned with the same budget and confirmed on fresh seeds; a failed seed counts as accuracy 0. The expected gain is
    the mean of d_k over the K tasks that are alike. Its 95 % interval is Student's for the seeds' means over these
    tasks, since a seed draws the same initial weights, masks and images on several of them (`mean_of_differences`). It
    covers other seeds of these very tasks and, where a task draws its training images by seed, other training images.
    It does not cover other test images, other tasks (`smallest_gain` and `largest_gain` show how much these differ), or
    that another search would have chosen other hyperparameters.

    The columns:

    - `regularizer`
    - `verdict`: "better" or "worse" than the baseline if the gain is significant at 5 %, after Holm's correction over
      all contestants with evidence, also those that are too expensive, else "unclear"
    - `gain`, `gain_low`, `gain_high`: expected gain of test accuracy, and its interval
    - `p_holm`: corrected p of the hypothesis that the gain is 0
    - `smallest_gain`, `largest_gain`: over the tasks
    - `overhead`: time of a training step relative to that of the baseline, the geometric mean over the timed tasks
      that are alike, at any scale, or else over all timed tasks with the same kind of network; NaN if it is not known
    - `num_tasks`, `num_seeds`: size of the evidence: tasks, and pairs of trainings
    - `tasks`: their names

    Contestants whose overhead exceeds `max_overhead`, or is not known where it is limited, are left out, with a note.
    An empty table means that there is no evidence; its note says what the rows have instead.

    Args:
        trials: from `load_trials`.
        kind: of the network: "attention", "residual", "conv" or "dense".
        num_images: number of training images, at least 1.
        label_noise: share of training images with a wrong label, in [0, 1].
        max_overhead: largest time of a training step relative to the baseline's, above 0.
        baseline: the contestant against which gains are measured.

    Raises:
        ValueError: for an argument outside its range.
    """
    _check(kind, num_images, label_noise, max_overhead)
    current = current_rows(trials)
    facts = _facts(current)
    wanted = _Wanted(kind=kind, num_images=num_images, label_noise=label_noise)
    cells = [each for each in tasks_of(current, "confirm", "test_value") if each.metric == METRIC]
    alike = [each for each in cells if wanted.fits(facts[each.scale, each.task])]
    found = [(task, by_name) for task in alike if (by_name := _gains(task, baseline))]
    longest = min((task.scale for task, _ in found), key=SCALES.index, default="")
    gains: dict[str, dict[str, _Gain]] = {}
    for task, by_name in found:
        for name, gain in by_name.items() if task.scale == longest else ():
            gains.setdefault(name, {})[_title(task)] = gain
    overheads = _overheads(current, facts, [(task.scale, task.task) for task in alike], kind)
    expensive = {
        name: overheads.get(name, math.nan)
        for name in gains
        if max_overhead is not None and not overheads.get(name, math.nan) <= max_overhead
    }
    rows = [_row(name, by_task, overheads) for name, by_task in gains.items()]
    for row, p_value in zip(rows, holm([row["p_holm"] for row in rows]), strict=True):
        row |= {"p_holm": p_value, "verdict": _verdict(row["gain"], p_value)}
    rows = [row for row in rows if row["regularizer"] not in expensive]
    most = max((row["num_tasks"] for row in rows), default=0)
    few = {row["regularizer"] for row in rows if row["num_tasks"] < most}
    rows.sort(
        key=lambda row: (_ORDER.index(row["verdict"]), row["regularizer"] in few, -row["gain"], row["regularizer"])
    )
    briefer = {_title(task): by_name for task, by_name in found if task.scale != longest}
    notes = [_scale_note(longest, briefer, gains)] if briefer else []
    counted = [task for task, _ in found if task.scale == longest]
    noise = {_title(task): facts[task.scale, task.task].label_noise or 0.0 for task in counted}
    notes += [_noise_note(noise)] if any(noise.values()) and not all(noise.values()) else []
    notes += [_cost_note(expensive, max_overhead, nobody_left=not rows)] if expensive else []
    notes += [_few_note([row["regularizer"] for row in rows if row["regularizer"] in few], most)] if few else []
    if not gains:
        notes = [_no_evidence(wanted, [facts[each.scale, each.task] for each in cells if _gains(each, baseline)])]
    table = pd.DataFrame(rows, columns=list(RECOMMENDATION_COLUMNS))
    return with_notes(table, notes, notes_of(current))


@dataclass(frozen=True, kw_only=True)
class _Gain:
    """The differences to the baseline on one task, by seed."""

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        mean, size = fmean(self.by_seed.values()), fmean(map(abs, self.by_seed.values()))
        return 0.0 if bool(is_rounding(np.array(mean), size)) else mean


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What the rows of a task tell about it; None where they do not."""

    kind: str | None
    num_images: float | None
    label_noise: float | None


@dataclass(frozen=True, kw_only=True)
class _Wanted(_Facts):
    def fits(self, task: _Facts) -> bool:
        """Whether a task is like the one that is described; what is not known does not fit."""
        if self.kind is not None and task.kind != self.kind:
            return False
        if self.num_images is not None:
            if not task.num_images:
                return False
            ratio = task.num_images / self.num_images
            if not 1 / LIKE_IN_SIZE <= ratio <= LIKE_IN_SIZE:
                return False
        if self.label_noise is None:
            return True
        return task.label_noise is not None and abs(task.label_noise - self.label_noise) <= LIKE_IN_NOISE + 1e-9

    @property
    def words(self) -> str:
        """What is wanted, for a sentence."""
        images = None
        if self.num_images is not None:
            images = f"{self.num_images / LIKE_IN_SIZE:,.0f} to {self.num_images * LIKE_IN_SIZE:,.0f} training images"
        noise = None if self.label_noise is None else f"{100 * self.label_noise:.3g} % of wrong labels"
        network = f"{self.kind} networks" if self.kind else "networks"
        described = " and ".join(filter(None, [images, noise]))
        return f"{network} with {described}" if described else network


def _check(kind: str | None, num_images: int | None, label_noise: float | None, max_overhead: float | None) -> None:
    if kind is not None and kind not in NETWORK_KINDS:
        raise ValueError(f"kind must be one of {', '.join(NETWORK_KINDS)}, got {kind!r}.")
    if num_images is not None and not num_images >= 1:
        raise ValueError(f"num_images must be at least 1, got {num_images}.")
    if label_noise is not None and not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise must lie in [0, 1], such as 0.2 for 20 %, got {label_noise}.")
    if max_overhead is not None and not max_overhead > 0:
        raise ValueError(f"max_overhead must be above 0, such as 1.2 for a fifth more time, got {max_overhead}.")


def _facts(current: pd.DataFrame) -> dict[tuple[str, str], _Facts]:
    """Of each (scale, task), from the first row that tells it."""
    columns = ["network_kind", "num_train_samples", "label_noise"]
    known = current.reindex(columns=["scale", "task", *columns]).groupby(["scale", "task"])[columns].first()
    return {
        key: _Facts(  # type: ignore[misc]  # the index holds pairs of texts
            kind=None if pd.isna(row["network_kind"]) else str(row["network_kind"]),
            num_images=None if pd.isna(row["num_train_samples"]) else float(row["num_train_samples"]),
            label_noise=None if pd.isna(row["label_noise"]) else float(row["label_noise"]),
        )
        for key, row in known.iterrows()
    }


def _gains(task: TaskCells, baseline: str) -> dict[str, _Gain]:
    """The gains of the tuned contestants on one task that have the baseline's budget and two common seeds or more."""
    reference = next((cell for cell in task.cells if cell.regularizer == baseline and cell.by_seed), None)
    if reference is None:
        return {}
    sign = 1.0 if task.higher_is_better else -1.0
    base = {seed: sign * score for seed, score in reference.scores.items()}
    gains = {}
    for cell in task.cells:
        if cell is reference or not cell.by_seed or cell.budget.key != reference.budget.key:
            continue
        by_seed = {seed: _gain(sign * score, base[seed]) for seed, score in cell.scores.items() if seed in base}
        if len(by_seed) >= 2:
            gains[cell.regularizer] = _Gain(by_seed=by_seed)
    return gains


def _gain(score: float, base: float) -> float:
    is_equal = bool(is_rounding(np.array(score - base), np.array(max(abs(score), abs(base)))))
    return 0.0 if is_equal else score - base


def _title(task: TaskCells) -> str:
    return task.task if task.scale == "paper" else f"{task.task} ({task.scale})"


def _row(name: str, by_task: Mapping[str, _Gain], overheads: Mapping[str, float]) -> dict[str, Any]:
    parts = list(by_task.values())
    whole = mean_of_differences([part.by_seed for part in parts])
    return {
        "regularizer": name,
        "gain": whole.mean,
        "gain_low": whole.low,
        "gain_high": whole.high,
        "p_holm": whole.p_value,
        "smallest_gain": min(part.mean for part in parts),
        "largest_gain": max(part.mean for part in parts),
        "overhead": overheads.get(name, math.nan),
        "num_tasks": len(parts),
        "num_seeds": sum(len(part.by_seed) for part in parts),
        "tasks": ", ".join(by_task),
    }


def _verdict(gain: float, p_value: float) -> str:
    if not p_value < LEVEL:
        return "unclear"
    return "better" if gain > 0 else "worse"


def _overheads(
    current: pd.DataFrame,
    facts: Mapping[tuple[str, str], _Facts],
    alike: Sequence[tuple[str, str]],
    kind: str | None,
) -> dict[str, float]:
    """The overhead of each contestant that was timed on the tasks that are alike, or else on those of the same kind."""
    of_kind = [key for key, each in facts.items() if kind is None or each.kind == kind]
    timing = timing_table(current)
    found: dict[str, float] = {}
    for places in (of_kind, alike):  # the latter take precedence
        is_here = [key in set(places) for key in zip(timing["scale"], timing["task"], strict=True)]
        here = timing[pd.Series(is_here, index=timing.index, dtype=bool)]
        for name, rows in here.groupby("regularizer"):
            per_task = [fmean(ratios) for _, ratios in rows.groupby(["scale", "task"])["ratio"]]
            found[str(name)] = geometric_mean(per_task)
    return found


def _scale_note(longest: str, briefer: Mapping[str, Iterable[str]], gains: Iterable[str]) -> str:
    only_there = sorted({name for names in briefer.values() for name in names} - set(gains))
    more = f" Contestants with evidence only there: {listed(only_there)}." if only_there else ""
    return f"Only tasks at scale {longest} count, the longest with evidence; left out: {listed(list(briefer))}.{more}"


def _noise_note(noise: Mapping[str, float]) -> str:
    """The tasks with wrong labels, beside others without."""
    shares = sorted({share for share in noise.values() if share})
    names = {share: listed([name for name, its in noise.items() if its == share]) for share in shares}
    wrong = "; ".join(f"{100 * share:.3g} % on {named}" for share, named in names.items())
    return (
        f"Wrong training labels: {wrong}. If a label noise is given, only tasks within {LIKE_IN_NOISE:g} of it count."
    )


def _cost_note(expensive: Mapping[str, float], max_overhead: float | None, nobody_left: bool) -> str:
    costs = [f"{name} ({'not timed' if math.isnan(cost) else f'{cost:.3f}'})" for name, cost in expensive.items()]
    timed = {name: cost for name, cost in expensive.items() if not math.isnan(cost)}
    if nobody_left and timed:
        cheapest = min(timed, key=lambda name: (timed[name], name))
        return (
            f"No contestant costs at most {max_overhead:g} times the baseline; the cheapest is {cheapest} "
            f"({timed[cheapest]:.3f})."
        )
    return f"Left out, since they cost more than {max_overhead:g} times the baseline, or were not timed: " + (
        f"{', '.join(sorted(costs))}."
    )


def _few_note(names: Sequence[str], most: int) -> str:
    return f"Listed last of their verdict, because they ran on fewer than {most} tasks: {listed(names)}."


def _no_evidence(wanted: _Wanted, known: Sequence[_Facts]) -> str:
    has = sorted({each.kind or "unknown" for each in known})
    details = []
    for kind in has:
        of_kind = [each for each in known if (each.kind or "unknown") == kind]
        images = sorted({f"{each.num_images:,.0f}" for each in of_kind if each.num_images})
        noise = sorted({f"{100 * each.label_noise:.3g}" for each in of_kind if each.label_noise is not None})
        details.append(
            f"{kind} ({', '.join(images) or 'unknown'} images; {', '.join(noise) or 'unknown'} % wrong labels)"
        )
    there = (
        f"The rows have {', '.join(details)}."
        if details
        else "No task of the rows has a tuned contestant and baseline."
    )
    return f"No evidence: no contestant was tuned and confirmed beside the baseline on {wanted.words}. {there}"


RECOMMENDATION = (
    text("regularizer", weight=ALWAYS),
    text("verdict", legend="Significant at 5 % (Holm's correction over all contestants), or unclear.", weight=ALWAYS),
    number(
        "gain", "expected gain", signed, legend="Test accuracy less that of the tuned baseline, mean over the tasks.",
        weight=ALWAYS,
    ),
    interval(
        "gain_low", "gain_high", "95 % interval", signed,
        legend="For other seeds of the same tasks; it does not cover other tasks.", weight=90,
    ),
    interval("smallest_gain", "largest_gain", "over the tasks", signed, legend="Smallest and largest gain.", weight=60),
    number("overhead", show=ratio, legend="Time of a training step relative to that of the baseline.", weight=80),
    number("num_tasks", "tasks", weight=70),
    number("num_seeds", "pairs", legend="Pairs of trainings with common seeds.", weight=50),
)  # fmt: skip
"""The displayed columns."""
