"""One section per contestant: what it is, where it wins and loses, its best settings, and their sensitivity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from analysis.figures.canvas import BASELINE
from analysis.page.charts import numbers
from analysis.page.files import Files
from analysis.page.sections.leaderboard import with_costs
from analysis.page.source import Source
from analysis.page.tables import table_of, with_scale
from analysis.rows.current import current_rows, succeeded
from analysis.rows.notes import listed
from analysis.shown import tables as shown
from analysis.shown.formulas import typeset
from analysis.tables import campaign
from analysis.tables.statistics import spans_decades
from analysis.tables.verdicts import leaders_by_task
from harness.records import HYPERPARAMETER_PREFIX

MOST_POINTS = 20_000  # of all charts of settings together; each has at least 20
_CELL = ["scale", "task", "regularizer"]


def contestants(source: Source, files: Files) -> dict[str, Any]:
    """The contestants, the best first."""
    frozen = campaign.frozen_winners(source.trials)[[*_CELL, "hyperparameters"]]
    rows = with_costs(source).merge(frozen, on=_CELL, how="left")
    of_name = {str(name): table for name, table in rows.groupby("regularizer", sort=False)}
    settings = _settings_by_name(source.trials)
    leaders, titles = leaders_by_task(source.ranking), _titles(source)
    columns = with_scale(shown.CONTESTANT_TASKS, source.of_tasks["scale"])
    rivals = _rivals(source)
    curved = {str(name) for points in source.curve_means.values() for name in points["regularizer"]}
    return {
        "contestants": [
            {
                "name": name,
                "anchor": source.anchors[name],
                "facts": source.facts[name],
                "formula": _typeset(source.facts[name].get("formula", "")),
                "sentences": [*_record(name, of_name[name], leaders, titles), *rivals.get(name, [])],
                "table": table_of(of_name[name], columns, without_empty=True, known_notes=source.notes),
                "settings": settings.get(name),
                "has_curves": name in curved,
                "initial": list(dict.fromkeys([name, BASELINE])),
            }
            for name in source.best_first
        ]
    }


def _typeset(formula: str) -> Element | None:
    """The formula as an element of the page; None if it is none that could be typeset."""
    try:
        return typeset(formula)
    except ValueError:
        return None


_Key = tuple[str, str]  # scale and task


def _titles(source: Source) -> dict[_Key, str]:
    """How sentences call each task: with its scale if the page has several."""
    keys = [
        (str(scale), str(task)) for scale, task in zip(source.of_tasks["scale"], source.of_tasks["task"], strict=True)
    ]
    several = len({scale for scale, _ in keys}) > 1
    return {(scale, task): f"{task} ({scale})" if several else task for scale, task in keys}


def _record(
    name: str, rows: pd.DataFrame, leaders: Mapping[_Key, list[str]], titles: Mapping[_Key, str]
) -> Iterator[str]:
    """Where it wins and loses against the baseline, and where it is best."""
    for said, is_shared in (("Best on", False), ("Shares the best mean on", True)):
        best = [titles[key] for key, names in leaders.items() if name in names and (len(names) > 1) == is_shared]
        if best:
            yield f"{said} {listed(best)}."
    if name == BASELINE:
        return
    words = {"win": "Significantly better than", "loss": "Significantly worse than", "equivalent": "Equivalent to"}
    for outcome, said in words.items():
        here = rows[rows["outcome"].eq(outcome)]
        tasks = [titles[str(scale), str(task)] for scale, task in zip(here["scale"], here["task"], strict=True)]
        if tasks:
            yield f"{said} {BASELINE} on {listed(tasks)}."
    tested = rows["outcome"].isin(["win", "loss", "tie", "equivalent"]).sum()
    if tested and not rows["outcome"].isin(list(words)).any():
        yield f"On no task is the difference to {BASELINE} significant."


def _rivals(source: Source) -> dict[str, list[str]]:
    """For each contestant: against which others its runs are usually better, and against which worse, at each scale."""
    pairs = source.statistics["pairs"]  # ordered by scale
    several = len(set(pairs["scale"])) > 1
    sentences: dict[str, list[str]] = {}
    for (scale, name), unordered in pairs.groupby(["scale", "regularizer"], sort=False):
        rows = unordered.sort_values("win_rate", kind="stable")
        its = f"At scale {scale}, its" if several else "Its"
        ahead = [str(each) for each in rows.loc[rows["win_rate"] > 0.5, "rival"]][::-1]
        behind = [str(each) for each in rows.loc[rows["win_rate"] < 0.5, "rival"]]
        said = [f"{its} runs are more often better than those of {listed(ahead)}."] if ahead else []
        if behind:
            said.append(f"{'They' if ahead else f'{its} runs'} are more often worse than those of {listed(behind)}.")
        sentences.setdefault(str(name), []).extend(said)
    return sentences


def _settings_by_name(trials: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each contestant the chart of its tune trials: validation values over each hyperparameter that varies."""
    current = current_rows(trials)
    tuned = succeeded(current[current["role"] == "tune"])
    tuned = tuned[np.isfinite(tuned["validation_value"].astype(float))]
    names = [name for name in tuned.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    cells = list(tuned.groupby(_CELL, sort=True))
    most = max(20, MOST_POINTS // max(1, len(cells)))
    panels: dict[str, list[dict[str, Any]]] = {}
    for (scale, task, regularizer), rows in cells:
        if len(rows) > most:
            rows = rows.iloc[np.linspace(0, len(rows) - 1, most).round().astype(int)]
        known = rows[names].notna().to_numpy().any(axis=0)
        for name in np.array(names, dtype=object)[known]:
            panel = _settings(rows, str(name))
            if panel is not None:
                title = f"{task} ({scale}): {str(name).removeprefix(HYPERPARAMETER_PREFIX)}"
                panels.setdefault(str(regularizer), []).append({"name": title, **panel})
    return {
        name: {"kind": "settings", "label": "", "across": "", "step": False, "initial": [], "panels": each}
        for name, each in panels.items()
    }


def _settings(rows: pd.DataFrame, name: str) -> dict[str, Any] | None:
    values = rows[name]
    if values.nunique() < 2:
        return None
    parsed = pd.to_numeric(values, errors="coerce")
    is_number = bool(parsed.notna().all()) and not any(isinstance(value, bool) for value in values)
    across = numbers(parsed) if is_number else [str(value) for value in values]
    return {
        "label": f"validation {str(rows['metric'].iloc[0]).replace('_', ' ')}",
        "across": name.removeprefix(HYPERPARAMETER_PREFIX),
        "log": is_number and spans_decades(float(parsed.min()), float(parsed.max()), 1.5),
        "rows": {"across": across, "value": numbers(rows["validation_value"])},
    }
