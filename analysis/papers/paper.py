"""What is drawn and judged of one paper."""

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
    """One figure of a paper, the tasks whose rows it needs, and the metrics it reads from their curves."""

    name: str
    title: str
    tasks: tuple[str, ...]
    contestants: tuple[str, ...] = ("dropout",)
    reads: tuple[str, ...]
    draw: Callable[[Evidence], Figure]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One paper's side of the analysis.

    Args:
        name: as in the column `paper` of its claims and reported values.
        claims: what it says, each with the way to judge it.
        figures: makers of its figures from rows, curves and styles.
        sweeps: makers of figures that put its reported values beside ours, from a comparison.
        theory_figures: figures of what it proves.
        is_theory: whether its claims are about what it proves, and not about which method is better.
    """

    name: str
    claims: tuple[Claim, ...] = ()
    figures: tuple[Callable[[pd.DataFrame, pd.DataFrame, Styles], list[Named]], ...] = ()
    sweeps: tuple[Callable[[pd.DataFrame], list[Named]], ...] = ()
    theory_figures: tuple[TheoryFigure, ...] = ()
    is_theory: bool = False
