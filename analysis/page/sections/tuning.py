"""Sweeps, and importances of hyperparameters."""

from __future__ import annotations

from typing import Any

from analysis.figures.importances import plot_importances
from analysis.figures.sweeps import plot_sweep
from analysis.page import tables as page_tables
from analysis.page.files import Files
from analysis.page.source import Source
from analysis.papers.theory_figures import THEORY_TASKS
from analysis.rows.notes import notes_of
from analysis.tables.importances import importance_table
from analysis.tables.sweeps import sweeps_of

MOST_IMPORTANCES = 40  # tuned cells; the importances of each take a quarter of a second


def sweeps(source: Source, files: Files) -> dict[str, Any]:
    """The cells that ran at several settings; those of the theory are drawn as the figures of their papers."""
    found = []
    for sweep in sweeps_of(source.trials):
        if sweep.task in THEORY_TASKS:
            continue
        name = ("sweep", sweep.task, sweep.regularizer, sweep.scale)
        files.table(files.names.of(*name), sweep.table)
        found.append(
            {
                "name": f"{sweep.regularizer} on {sweep.task}, scale {sweep.scale}",
                "table": page_tables.sweep(sweep.table, sweep.names, sweep.higher_is_better),
                "figure": files.figure(plot_sweep(sweep), *name),
                "label": sweep.label,
            }
        )
    return {"sweeps": found}


def importances(source: Source, files: Files) -> dict[str, Any]:
    """The importances of the tuned cells, if they are not too many."""
    tuned = source.trials[source.trials["role"] == "tune"].groupby(["scale", "task", "regularizer"]).ngroups
    if tuned > MOST_IMPORTANCES:
        note = f"{tuned} cells were tuned, too many for this page; `regarena importance` lists their importances."
        return {"importances": [], "importance_notes": [note]}
    table = importance_table(source.trials)
    if len(table):
        files.table("importances", table)
    return {
        "importance_notes": notes_of(table),
        "importances": [
            {
                "name": f"{task}, scale {scale}",
                "figure": files.figure(plot_importances(rows), "importances", task, scale),
            }
            for (scale, task), rows in table.groupby(["scale", "task"], sort=False)
        ],
    }
