"""The papers that report numbers, in the order of their tables; a new one is one more entry."""

from __future__ import annotations

from analysis.papers.distortion.source import SOURCE as DISTORTION
from analysis.papers.localdrop.source import SOURCE as LOCALDROP
from analysis.papers.source import Source
from analysis.papers.thesis.source import SOURCE as THESIS

SOURCES: tuple[Source, ...] = (LOCALDROP, DISTORTION, THESIS)
