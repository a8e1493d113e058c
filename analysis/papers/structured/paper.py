"""Pal et al. 2020: claims, and figures 1 to 4."""

from __future__ import annotations

from analysis.papers.paper import Paper, TheoryFigure
from analysis.papers.structured.claims import CLAIMS
from analysis.papers.structured.claims import PAPER as NAME
from analysis.papers.structured.figures import draw_convergence, draw_deep_bound, draw_dropconnect, draw_overlaps

PAPER = Paper(
    name=NAME,
    claims=CLAIMS,
    is_theory=True,
    theory_figures=(
        TheoryFigure(
            name="structured-fig1",
            title="Pal et al. 2020, figure 1: DropBlock minimises its deterministic equivalent",
            tasks=("structured-fig1",),
            contestants=("dropblock_sample",),
            reads=("objective", "stochastic_objective", "minimum"),
            draw=draw_convergence,
        ),
        TheoryFigure(
            name="structured-fig2",
            title="Pal et al. 2020, figure 2: DropConnect and dropout",
            tasks=("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated"),
            contestants=("dropconnect", "dropout"),
            reads=("stochastic_objective", "dropconnect_objective", "dropout_objective"),
            draw=draw_dropconnect,
        ),
        TheoryFigure(
            name="structured-fig3-mnist",
            title="Pal et al. 2020, figure 3: a deep network and the lower bound, on MNIST",
            tasks=("structured-fig3-mnist",),
            contestants=("dropblock_sample",),
            reads=("objective", "minimum", "singular_value", "bound_singular_value"),
            draw=draw_deep_bound,
        ),
        TheoryFigure(
            name="structured-fig3-cifar10",
            title="Pal et al. 2020, figure 3: a deep network and the lower bound, on CIFAR-10",
            tasks=("structured-fig3-cifar10",),
            contestants=("dropblock_sample",),
            reads=("objective", "minimum", "singular_value", "bound_singular_value"),
            draw=draw_deep_bound,
        ),
        TheoryFigure(
            name="structured-fig4",
            title="Pal et al. 2020, figure 4: blocks with overlaps and without",
            tasks=("structured-fig4",),
            contestants=("dropblock", "dropblock_sample"),
            reads=("stochastic_objective", "kept_fraction", "minimum"),
            draw=draw_overlaps,
        ),
    ),
)
