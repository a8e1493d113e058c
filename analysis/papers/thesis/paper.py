"""Mianjy's thesis: claims and figures."""

from __future__ import annotations

from analysis.papers.paper import Paper, TheoryFigure
from analysis.papers.thesis.adversarial_figures import attack_figures, grid_figures, loss_figures
from analysis.papers.thesis.claims import CLAIMS
from analysis.papers.thesis.claims import PAPER as NAME
from analysis.papers.thesis.co_adaptation_figures import co_adaptation_figures
from analysis.papers.thesis.completion_figures import completion_curves, completion_tables
from analysis.papers.thesis.figures import draw_equalization, draw_gaps, draw_landscape, draw_spectra, draw_trajectories
from analysis.papers.thesis.wide_network_figures import bound_figures, lazy_figures, subnetwork_figures

PAPER = Paper(
    name=NAME,
    claims=CLAIMS,
    is_theory=True,
    figures=(
        completion_tables,
        completion_curves,
        co_adaptation_figures,
        bound_figures,
        subnetwork_figures,
        lazy_figures,
        loss_figures,
        grid_figures,
        attack_figures,
    ),
    theory_figures=(
        TheoryFigure(
            name="thesis-fig2-1",
            title="Mianjy's thesis, figure 2-1: the landscape of dropout",
            tasks=("thesis-fig2-1",),
            reads=("landscape", "weight_1", "weight_2"),
            draw=draw_landscape,
        ),
        TheoryFigure(
            name="thesis-fig2-2",
            title="Mianjy's thesis, figure 2-2: trajectories of dropout",
            tasks=("thesis-fig2-2",),
            reads=("landscape", "weight_1", "weight_2", "optimal_squared_norm"),
            draw=draw_trajectories,
        ),
        TheoryFigure(
            name="thesis-fig2-3",
            title="Mianjy's thesis, figure 2-3: convergence and equalization",
            tasks=("thesis-fig2-3-width-20", "thesis-fig2-3-width-80"),
            reads=("objective", "minimum", "importance_variance"),
            draw=draw_equalization,
        ),
        TheoryFigure(
            name="thesis-fig3-2",
            title="Mianjy's thesis, figure 3-2: spectral shrinkage of a deep linear net",
            tasks=("thesis-fig3-2",),
            reads=("singular_value",),
            draw=draw_spectra,
        ),
        TheoryFigure(
            name="thesis-fig3-3",
            title="Mianjy's thesis, figure 3-3: equalization gaps",
            tasks=("thesis-fig3-3",),
            reads=("equalization_gap",),
            draw=draw_gaps,
        ),
    ),
)
