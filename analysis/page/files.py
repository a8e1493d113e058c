"""The files of a report: tables as CSV, figures as PNG."""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.canvas import Styles
from analysis.page.file_names import FileNames
from analysis.page.pictures import small_png
from analysis.shown.drawing import Drawing
from analysis.shown.spreadsheet import csv_of_frame
from harness.records.folders import Folder

MOST_DRAWN = 8  # tasks; a file takes a third of a second, and the charts of the page have all tasks


@dataclass
class Files:
    """Writes the files of a report into its folder, each under a unique name.

    Attributes:
        folder: of the report.
        looks: colours and markers by regularizer.
        notes: which figures were not drawn.
    """

    folder: Folder
    looks: Styles
    names: FileNames = field(default_factory=FileNames)
    notes: list[str] = field(default_factory=list)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Write a frame as CSV."""
        self.folder.write(f"tables/{name}.csv", csv_of_frame(frame).encode())

    def figure(self, figure: Figure, *name: Hashable) -> str:
        """Write a figure under a name made of these parts, and return it as a data URI for an <img>."""
        content = small_png(figure)
        self.folder.write(f"figures/{self.names.of(*map(str, name))}.png", content)
        return f"data:image/png;base64,{base64.b64encode(content).decode()}"

    def drawn(self, name: str, table: pd.DataFrame, drawing: Drawing | None) -> None:
        """Write the figures of the first `MOST_DRAWN` tasks of a table, if its drawing names a function for them."""
        if drawing is None or not drawing.figure:
            return
        module, _, function = drawing.figure.partition(":")
        plot: Callable[..., Figure] = getattr(import_module(module), function)
        self.first(name, function, drawing.rows_of(table).groupby(drawing.group, sort=False), plot)

    def first(self, name: str, function: str, panels: Any, plot: Callable[..., Figure]) -> None:
        """Write the figures of the first `MOST_DRAWN` panels, and note how many are not drawn.

        Args:
            name: the first part of the files' names.
            function: the name of the function of `analysis` that draws any of them.
            panels: pairs of (scale, task) and what `plot` draws.
            plot: draws a panel, given `looks`.
        """
        listed = list(panels)
        for (scale, task), what in listed[:MOST_DRAWN]:
            self.figure(plot(what, looks=self.looks), name, task, scale)
        more = len(listed) - MOST_DRAWN
        if more > 0:
            self.notes.append(
                f"figures/{name}-*.png are of the first {MOST_DRAWN} tasks; analysis.{function} draws the other {more}."
            )
