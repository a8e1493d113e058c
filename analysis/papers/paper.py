"""The analysis of one paper: its claims and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.canvas import Named, Styles
from analysis.papers.claims.claim import Claim
from analysis.papers.claims.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class TheoryFigure:
    """One figure of a paper, the tasks and contestants that it shows, and the metrics that it reads from curves."""

    name: str
    title: str
    tasks: tuple[str, ...]
    contestants: tuple[str, ...] = ("dropout",)
    reads: tuple[str, ...]
    draw: Callable[[Evidence], Figure]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The claims and figures of one paper.

    Args:
        name: as in the column `paper` of its claims and reported values.
        claims: its claims, each with the function that judges it.
        figures: functions that draw its figures from rows, curves and styles.
        sweeps: functions that draw reported values and ours side by side, from a `compare_with_papers`.
        theory_figures: figures of its theorems.
        is_theory: whether its claims are about theorems, not about which method is better.
    """

    name: str
    claims: tuple[Claim, ...] = ()
    figures: tuple[Callable[[pd.DataFrame, pd.DataFrame, Styles], list[Named]], ...] = ()
    sweeps: tuple[Callable[[pd.DataFrame], list[Named]], ...] = ()
    theory_figures: tuple[TheoryFigure, ...] = ()
    is_theory: bool = False
