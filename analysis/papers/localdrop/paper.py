"""Lu et al. 2021: claims, figures 1 and 2, and the sweeps of tables 3, 4 and 6."""

from __future__ import annotations

from analysis.papers.localdrop.claims import CLAIMS
from analysis.papers.localdrop.claims import PAPER as NAME
from analysis.papers.localdrop.figures import bound_figures, layer_figures, stability_figures, width_figures
from analysis.papers.localdrop.sweeps import plot_paper_sweeps
from analysis.papers.paper import Paper

PAPER = Paper(
    name=NAME,
    claims=CLAIMS,
    figures=(layer_figures, width_figures, stability_figures, bound_figures),
    sweeps=(plot_paper_sweeps,),
)
