"""The papers, in the order in which claims and figures are shown; add a new paper here."""

from __future__ import annotations

from analysis.papers.distortion.paper import PAPER as DISTORTION
from analysis.papers.localdrop.paper import PAPER as LOCALDROP
from analysis.papers.paper import Paper
from analysis.papers.structured.paper import PAPER as STRUCTURED
from analysis.papers.thesis.paper import PAPER as THESIS

PAPERS: tuple[Paper, ...] = (STRUCTURED, THESIS, LOCALDROP, DISTORTION)
