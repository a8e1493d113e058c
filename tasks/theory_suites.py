"""The figures of the theory as suites: each a sweep of drop rates on tasks whose optimum is known; nothing is tuned."""

from __future__ import annotations

from tasks.suites import Group, Suite

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RUNS = {"smoke": 1, "short": 2, "paper": 50}  # the thesis averages 50 runs
FEW_RUNS = {"smoke": 1, "short": 2, "paper": 5}  # Pal et al. show one

_PAL = "Pal et al. 2020, section 5"
_MIANJY = "Mianjy's thesis"


def drop_rate_of(lam: float) -> float:
    """The drop rate at which dropout's regularizer has the strength lambda = (1 - keep) / keep.

    >>> drop_rate_of(1.0), drop_rate_of(0.0)
    (0.5, 0.0)
    """
    return lam / (1 + lam)


def overlapping_drop_rate(drop_rate: float, block_size: int, width: int) -> float:
    """Setting of DropBlock with overlapping blocks at which it drops, on average over the units, this share of them.

    DropBlock's own setting counts overlaps twice, so that it drops fewer than it says. Solved by bisection from
    mean_i (1 - gamma)^n(i) = 1 - drop_rate, n(i) the number of blocks on the layer that cover unit i, and
    gamma = setting * width / (block_size (width - block_size + 1)).

    >>> round(overlapping_drop_rate(0.5, 1, 50), 6), overlapping_drop_rate(0.5, 5, 50) > 0.5
    (0.5, True)
    """
    num_blocks = width - block_size + 1
    counts = [min(unit, num_blocks - 1) - max(0, unit - block_size + 1) + 1 for unit in range(width)]
    low, high = 0.0, 1.0
    for _ in range(60):
        gamma = (low + high) / 2
        dropped = 1 - sum((1 - gamma) ** count for count in counts) / width
        low, high = (low, gamma) if dropped > drop_rate else (gamma, high)
    return gamma * block_size * num_blocks / width


_FIG1 = (Group(tasks=("structured-fig1",), regularizers=("dropblock_sample",), grid={"drop_rate": RATES}),)
_FIG2 = (
    Group(
        tasks=("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated"),
        regularizers=("dropout", "dropconnect"),
        grid={"drop_rate": (0.5,)},
    ),
)
_FIG3 = (
    Group(
        tasks=("structured-fig3-mnist", "structured-fig3-cifar10"),
        regularizers=("dropblock_sample",),
        grid={"drop_rate": (0.5,)},
    ),
)
_FIG4 = (
    Group(tasks=("structured-fig4",), regularizers=("dropblock_sample",), grid={"drop_rate": (0.5,)}),
    Group(
        tasks=("structured-fig4",),
        regularizers=("dropblock",),
        grid={"drop_rate": (0.5, round(overlapping_drop_rate(0.5, block_size=5, width=50), 6))},
    ),
)
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

STRUCTURED_FIG1 = Suite(
    groups=_FIG1,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 1",
)
"""DropBlock on a linear pair: stochastic and deterministic objective, and the closed-form minimum."""

STRUCTURED_FIG2 = Suite(
    groups=_FIG2,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 2",
)
"""DropConnect beside dropout on a linear pair: where they are equal, and where not."""

STRUCTURED_FIG3 = Suite(
    groups=_FIG3,
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 1, "short": 2, "paper": 3},
    source=f"{_PAL}, figure 3",
)
"""DropBlock behind a convolutional trunk on images, against the closed-form bound; needs --data."""

STRUCTURED_FIG4 = Suite(
    groups=_FIG4,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 4",
)
"""DropBlock with overlapping blocks beside blocks of a fixed grid, at equal rates."""

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
"""Dropout on its way to the optima of a scalar autoencoder, from two starts."""

THESIS_FIG2_3 = Suite(
    groups=_FIG2_3,
    scale="short",
    tune_trials=0,
    seeds_at=RUNS,
    source=f"{_MIANJY}, figure 2-3",
)
"""Dropout on shallow linear nets: its objective against the optimum, and how units become equal."""

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

THEORY = Suite(
    groups=(*_FIG1, *_FIG2, *_FIG4, *_FIG2_1, *_FIG2_2, *_FIG2_3, *_FIG3_2, *_FIG3_3),
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 2, "short": 2, "paper": 5},
    source=f"{_PAL}; {_MIANJY}, chapters 2 and 3",
)
"""All figures of the theory that need no data files: what the papers prove, measured on the modules that compete."""
