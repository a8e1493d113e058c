"""The papers that report numbers, in the order of the comparison; add a new paper here."""

from __future__ import annotations

from analysis.papers.distortion.source import SOURCE as DISTORTION
from analysis.papers.localdrop.source import SOURCE as LOCALDROP
from analysis.papers.source import Source
from analysis.papers.thesis.source import SOURCE as THESIS

SOURCES: tuple[Source, ...] = (LOCALDROP, DISTORTION, THESIS)
