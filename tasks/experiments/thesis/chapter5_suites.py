"""Chapter 5 of Mianjy's thesis, and the paper on the convergence of dropout (Mianjy and Arora 2020), as suites."""

from __future__ import annotations

from tasks.suites import Group, Suite

_MIANJY = "Mianjy's thesis"
_SUBNETWORKS = tuple(f"thesis-fig5-2-width-{width}" for width in (100, 1_000, 10_000))
_WIDE = tuple(f"thesis-fig5-2-width-{width}" for width in (100_000, 250_000))
_SEEDS = {"smoke": 3, "short": 5, "paper": 50}

THESIS_FIG5_1 = Suite(
    groups=(Group(tasks=("thesis-fig5-1",), regularizers=("none",)),),
    scale="short",
    tune_trials=0,
    seeds=1,
    source=f"{_MIANJY}, figure 5-1",
)
"""The logistic loss under its linear bound: a calculation."""

THESIS_FIG5_2 = Suite(
    groups=(Group(tasks=_SUBNETWORKS, regularizers=("dropout",), grid={"drop_rate": (0.1, 0.5, 0.8)}),),
    scale="short",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, figures 5-2 and 5-3; Mianjy and Arora 2020, figures 1 and 2",
)
"""LeNet on MNIST and its sub-networks, sampled by dropout or fixed, by width and drop rate; needs --data."""

THESIS_FIG5_2_WIDE = Suite(
    groups=(Group(tasks=(*_SUBNETWORKS, *_WIDE), regularizers=("dropout",), grid={"drop_rate": (0.1, 0.5, 0.7, 0.8)}),),
    scale="paper",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, figures 5-2 and 5-3; Mianjy and Arora 2020, figures 1 and 2",
)
"""LeNet on MNIST and its sub-networks, with all widths and drop rates of the figures: for a GPU; needs --data."""

THESIS_FIG5_LAZY = Suite(
    groups=(
        Group(
            tasks=tuple(f"thesis-fig5-lazy-width-{width}" for width in (100, 1_000, 10_000)),
            regularizers=("lazy_dropout+max_norm",),
            grid={"drop_rate": (0.0, 0.5)},
        ),
    ),
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 3, "short": 5, "paper": 10},
    source=f"{_MIANJY}, chapter 5, algorithm 4 and Theorems 14 and 15; Mianjy and Arora 2020, algorithm 1",
)
"""Dropout in wide networks on separable points: movement of the weights by width, and the theorems' bounds."""

CHAPTER_5 = (THESIS_FIG5_1, THESIS_FIG5_2, THESIS_FIG5_LAZY)
