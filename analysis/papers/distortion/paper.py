"""Tang et al. 2020: claims, figures 1 and 2."""

from __future__ import annotations

from analysis.papers.distortion.claims import CLAIMS
from analysis.papers.distortion.claims import PAPER as NAME
from analysis.papers.distortion.figures import overfitting_figures, strength_figures
from analysis.papers.paper import Paper

PAPER = Paper(name=NAME, claims=CLAIMS, figures=(overfitting_figures, strength_figures))
