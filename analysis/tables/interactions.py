"""Interactions: whether the effect of a combination of regularizers differs from the sum of its parts' effects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.rows.cells import Cell
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.rounding import is_rounding
from analysis.rows.task_cells import TaskCells, tasks_of
from analysis.shown.column import ALWAYS, Column, interval, number, text
from analysis.shown.formats import signed, with_p
from analysis.tables.statistic import Statistic
from analysis.tables.statistics import holm, mean_interval, paired_p_value

INTERACTION_COLUMNS = (
    "scale", "task", "regularizer", "effect", "sum_of_effects", "interaction", "interval_low", "interval_high",
    "p_value", "p_holm", "outcome", "num_seeds",
)  # fmt: skip


def interaction_table(trials: pd.DataFrame, baseline: str = "none", confidence: float = 0.95) -> pd.DataFrame:
    """Interactions: one row per combination and task on which all its parts and the baseline ran as well.

    With the scores y of one seed, `effect = y(A+B) - y(none)`, `sum_of_effects = y(A) + y(B) - 2 y(none)` and
    `interaction = effect - sum_of_effects = y(A+B) - y(A) - y(B) + y(none)`, the interaction contrast of a two by two
    factorial design (Montgomery, "Design and Analysis of Experiments", chapter 5); likewise for more parts. Effects are
    added in the unit of the metric. If the parts alone come near the bound of the metric, their sum may exceed it, and
    the interaction is then negative for that reason.

    The columns:

    - `scale`, `task`, `regularizer`: the combination
    - `effect`, `sum_of_effects`, `interaction`: means over the seeds that the combination, its parts and the baseline
      have in common; positive is better, whichever direction the metric has
    - `interval_low`, `interval_high`: t confidence interval of the interaction
    - `p_value`: of the two-sided paired t-test that the interaction is 0
    - `p_holm`: the same after Holm's correction over all rows of the scale
    - `outcome`: "more" or "less" than the sum if significant, "additive" if tested and not significant, "untested" if
      there are fewer than two common seeds, unequal budgets or infinite values
    - `num_seeds`: number of common seeds

    Args:
        trials: from `load_trials`.
        baseline: the name of the unregularized contestant.
        confidence: of the interval; the test is at the level 1 - confidence.
    """
    current = current_rows(trials)
    has_combinations = any("+" in name for name in current["regularizer"].unique())
    rows = [
        {"scale": task.scale, "task": task.task, "regularizer": name, **_contrast(task, name, baseline, confidence)}
        for task in (tasks_of(current, None, "test_value") if has_combinations else ())
        for name in _combinations(task, baseline)
    ]
    table = pd.DataFrame(rows).reindex(columns=list(INTERACTION_COLUMNS))
    numbers = ("effect", "sum_of_effects", "interaction", "interval_low", "interval_high", "p_value", "p_holm")
    table = table.astype(dict.fromkeys(numbers, float))
    for places in table.groupby("scale").groups.values():
        table.loc[places, "p_holm"] = holm(table.loc[places, "p_value"].to_numpy())
    table["outcome"] = [
        _outcome(p, gain, 1 - confidence) for p, gain in zip(table["p_holm"], table["interaction"], strict=True)
    ]
    return with_notes(table, notes_of(current))


def _combinations(task: TaskCells, baseline: str) -> list[str]:
    """The combinations whose parts all have scores on the task; none if the baseline has no scores."""
    here = {cell.regularizer for cell in task.cells if cell.scores}
    return sorted(name for name in here if "+" in name and {*name.split("+"), baseline} <= here)


def _contrast(task: TaskCells, name: str, baseline: str, confidence: float) -> Mapping[str, float]:
    by_name = {cell.regularizer: cell for cell in task.cells}
    parts = [by_name[part] for part in name.split("+")]
    whole, none = by_name[name], by_name[baseline]
    if len({cell.budget.key for cell in (whole, none, *parts)}) > 1:
        return {"num_seeds": 0}
    seeds = sorted(set(whole.scores).intersection(none.scores, *(part.scores for part in parts)))
    effects = _effects([whole, *parts], none, seeds, 1.0 if task.higher_is_better else -1.0)
    combined, added = effects[0], effects[1:].sum(axis=0)
    if not len(seeds) or not np.isfinite(effects).all():
        return {"num_seeds": len(seeds)}
    sizes = np.abs([[cell.scores[seed] for seed in seeds] for cell in (whole, none, *parts)]).max(axis=0)
    difference = combined - added
    contrast = np.where(is_rounding(difference, sizes), 0.0, difference)  # effects are small beside the scores
    low, high = mean_interval(contrast, confidence)
    return {
        "effect": float(combined.mean()),
        "sum_of_effects": float(added.mean()),
        "interaction": float(contrast.mean()),
        "interval_low": low,
        "interval_high": high,
        "p_value": paired_p_value(contrast, np.zeros_like(contrast)),
        "num_seeds": len(seeds),
    }


def _effects(cells: Sequence[Cell], none: Cell, seeds: Sequence[int], sign: float) -> np.ndarray:
    """How much better each cell is than the baseline, shape (cell, seed)."""
    scores = np.array([[cell.scores[seed] for seed in seeds] for cell in (none, *cells)], dtype=float)
    with np.errstate(invalid="ignore"):  # the difference of two infinite scores is NaN: not tested
        effects: np.ndarray = sign * (scores[1:] - scores[0])
    return effects


def _outcome(p_holm: float, interaction: float, level: float) -> str:
    if math.isnan(p_holm):
        return "untested"
    if p_holm >= level:
        return "additive"
    return "more" if interaction > 0 else "less"


INTERACTIONS = Statistic(
    title="interactions in combinations",
    source="Effect of a combination less the sum of the effects of its parts: the interaction contrast of a two by "
    "two factorial design, paired by seed (Montgomery, chapter 5).",
    make=interaction_table,
    takes_scores=False,
    columns=(
        text("task", weight=ALWAYS),
        text("regularizer", "combination", weight=ALWAYS),
        number("effect", show=signed, legend="How much the combination is better than none.", weight=70),
        number("sum_of_effects", "sum of parts", signed, legend="Sum of the effects of its parts alone.", weight=70),
        number("interaction", show=signed, legend="Effect less the sum of the parts.", weight=ALWAYS),
        interval(
            "interval_low",
            "interval_high",
            "95 % interval",
            signed,
            legend="Student's t interval of the interaction.",
            weight=60,
        ),
        Column(
            name="outcome",
            heading="outcome (p)",
            make=lambda row: with_p(row["outcome"], row["p_holm"]),
            legend="More or less than the sum if significant after Holm's correction, additive otherwise.",
            weight=80,
        ),
        number("num_seeds", "seeds", weight=40),
    ),
    absent="No combination ran on a task together with all its parts and none.",
)
