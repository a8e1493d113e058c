"""The figures of the thesis as suites."""

from __future__ import annotations

from tasks.experiments.structured.suites import RATES
from tasks.suites import Group, Suite

RUNS = {"smoke": 1, "short": 2, "paper": 50}  # the thesis averages 50 runs


_MIANJY = "Mianjy's thesis"


def drop_rate_of(lam: float) -> float:
    """The drop rate for which (1 - keep) / keep, the strength of dropout's regularizer, is `lam`.

    >>> drop_rate_of(1.0), drop_rate_of(0.0)
    (0.5, 0.0)
    """
    return lam / (1 + lam)


_FIG2_1 = (
    Group(
        tasks=("thesis-fig2-1",),
        regularizers=("dropout",),
        grid={"drop_rate": tuple(drop_rate_of(lam) for lam in (0.0, 0.6, 2.0))},
    ),
)


_LAMBDAS = {"drop_rate": tuple(drop_rate_of(lam) for lam in (0.1, 0.5, 1.0))}


_FIG2_2 = (Group(tasks=("thesis-fig2-2",), regularizers=("dropout",), grid=_LAMBDAS),)


_FIG2_3 = (Group(tasks=("thesis-fig2-3-width-20", "thesis-fig2-3-width-80"), regularizers=("dropout",), grid=_LAMBDAS),)


_FIG3_2 = (Group(tasks=("thesis-fig3-2",), regularizers=("dropout",), grid={"drop_rate": (0.0, *RATES[:7])}),)


_FIG3_3 = (Group(tasks=("thesis-fig3-3",), regularizers=("dropout",), grid={"drop_rate": (0.3,)}),)


THESIS_FIG2_1 = Suite(
    groups=_FIG2_1,
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 3, "short": 5, "paper": 50},
    source=f"{_MIANJY}, figure 2-1",
)
"""The landscape of dropout's objective for a scalar autoencoder with two hidden units."""


THESIS_FIG2_2 = Suite(
    groups=_FIG2_2,
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 2, "short": 2, "paper": 2},
    source=f"{_MIANJY}, figure 2-2",
)
"""Trajectories of dropout to the optima of a scalar autoencoder, from two starts."""


THESIS_FIG2_3 = Suite(
    groups=_FIG2_3,
    scale="short",
    tune_trials=0,
    seeds_at=RUNS,
    source=f"{_MIANJY}, figure 2-3",
)
"""Dropout on shallow linear nets: its objective against the optimum, and the equalization of units."""


THESIS_THEOREM_7 = Suite(
    groups=(Group(tasks=("thesis-theorem7", "thesis-equalizers"), regularizers=("none",)),),
    scale="short",
    tune_trials=0,
    seeds=1,
    source=f"{_MIANJY}, section 2.3, Theorems 1 and 7",
)
"""No spurious minima of dropout with tied weights, and rotations that equalize hidden units: calculations."""


THESIS_FIG3_2 = Suite(
    groups=_FIG3_2,
    scale="short",
    tune_trials=0,
    seeds_at=RUNS,
    source=f"{_MIANJY}, figure 3-2",
)
"""Dropout on a deep linear net: the spectrum of its map at eight drop rates."""


THESIS_FIG3_3 = Suite(
    groups=_FIG3_3,
    scale="short",
    tune_trials=0,
    seeds_at=RUNS,
    source=f"{_MIANJY}, figure 3-3",
)
"""Dropout on a deep linear net with one output: its equalization gaps."""
