"""Heatmaps of the sweeps in tables 3, 4 and 6 of the LocalDrop paper: reported errors and ours side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.canvas import new_figure
from analysis.figures.heatmaps import draw_map
from analysis.papers.tasks import AUGMENTED
from analysis.rows.symbols import parts_of


@dataclass(frozen=True, kw_only=True)
class SweepTable:
    """A table of errors by setting: which symbols of the paper are its rows and columns."""

    experiment: str
    title: str
    rows: tuple[str, ...]  # symbols, or "dataset"
    columns: str
    colours: Literal["of each row", "of all"] = "of all"


SWEEP_TABLES = (
    SweepTable(
        experiment="table3", title="Lu et al. 2021, table 3: LocalDrop's lambda", rows=("h", "m"), columns="lambda"
    ),
    SweepTable(experiment="table4", title="Lu et al. 2021, table 4: LocalDrop's h and m", rows=("m",), columns="h"),
    SweepTable(
        experiment="table6",
        title="Lu et al. 2021, table 6: LocalDrop's block size",
        rows=("dataset",),
        columns="block",
        colours="of each row",
    ),
)


def plot_paper_sweeps(comparison: pd.DataFrame) -> list[tuple[str, str, Figure]]:
    """A tuple (file name, title, figure) for each table of which some setting was run, from a `compare_with_papers`.

    The first heatmap has the reported errors, the second ours; the lowest error of each row is framed. Each heatmap has
    its own colour scale, since a shortened training has other errors.
    """
    drawn = []
    for spec in SWEEP_TABLES:
        chosen = (comparison["paper"] == "localdrop") & (comparison["experiment"] == spec.experiment)
        points = comparison[chosen & ~comparison["task"].fillna("").str.endswith(AUGMENTED)]
        measured = points[points["ours"].notna()]
        if len(measured):
            scales = ", ".join(sorted(set(measured["scale"])))
            name = f"localdrop-{spec.experiment}"
            drawn.append((name, f"{spec.title} (scale {scales})", _draw(spec, points)))
    return drawn


def _draw(spec: SweepTable, points: pd.DataFrame) -> Figure:
    settings = points["setting"].map(parts_of)
    row = [
        ", ".join(dataset if name == "dataset" else f"{name}={parts[name]}" for name in spec.rows)
        for dataset, parts in zip(points["dataset"], settings, strict=True)
    ]
    laid = points.assign(row=row, column=[float(parts[spec.columns]) for parts in settings])
    order = list(dict.fromkeys(row))
    tables = [
        laid.pivot_table(index="row", columns="column", values=name).reindex(order) for name in ("reported", "ours")
    ]
    columns = tables[0].columns
    figure, axes = new_figure(
        2, width=2.2 + 0.58 * len(columns), height=1.5 + 0.42 * len(order), num_columns=1 if len(columns) > 7 else 2
    )
    for axis, table, title in zip(axes, tables, ("reported", "ours"), strict=True):
        draw_map(
            axis,
            table.reindex(columns=columns),
            "test error, %",
            higher_is_better=False,
            best="of each row",
            colours=spec.colours,
        )
        axis.set_title(title, loc="left")
        axis.set_xlabel(spec.columns)
    return figure
