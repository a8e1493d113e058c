"""All figures of the theory as one suite."""

from __future__ import annotations

from tasks.experiments.structured.suites import STRUCTURED_FIG1, STRUCTURED_FIG2, STRUCTURED_FIG4
from tasks.experiments.thesis.suites import (
    THESIS_FIG2_1,
    THESIS_FIG2_2,
    THESIS_FIG2_3,
    THESIS_FIG3_2,
    THESIS_FIG3_3,
    THESIS_THEOREM_7,
)
from tasks.suites import Suite

_FIGURES = (
    STRUCTURED_FIG1,
    STRUCTURED_FIG2,
    STRUCTURED_FIG4,
    THESIS_FIG2_1,
    THESIS_FIG2_2,
    THESIS_FIG2_3,
    THESIS_FIG3_2,
    THESIS_FIG3_3,
    THESIS_THEOREM_7,
)

THEORY = Suite(
    groups=tuple(group for figure in _FIGURES for group in figure.groups),
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 2, "short": 2, "paper": 5},
    source="Pal et al. 2020, section 5; Mianjy's thesis, chapters 2 and 3",
)
"""All figures of the theory that need no data files: the papers' theorems, tested with the regularizers themselves."""
