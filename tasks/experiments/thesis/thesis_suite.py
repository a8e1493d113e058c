"""The suites of the thesis's chapters 4 to 6 as one, without table 6-II, which needs a GPU."""

from __future__ import annotations

from tasks.experiments.thesis.adversarial_suites import CHAPTER_6
from tasks.experiments.thesis.chapter5_suites import CHAPTER_5
from tasks.experiments.thesis.completion_suites import CHAPTER_4
from tasks.suites import Suite

CHAPTERS = (CHAPTER_4, CHAPTER_5, CHAPTER_6)  # one tuple of suites for each chapter

THESIS = Suite(
    groups=tuple(group for chapter in CHAPTERS for suite in chapter for group in suite.groups),
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 3, "short": 5, "paper": 10},
    source="Mianjy's thesis, chapters 4 to 6",
)
"""The experiments of the thesis's chapters 4 to 6, without table 6-II; needs --data."""
