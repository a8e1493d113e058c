"""The figures of Pal et al. 2020 as suites: sweeps of drop rates on tasks with known optimum, without tuning."""

from __future__ import annotations

from tasks.suites import Group, Suite

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FEW_RUNS = {"smoke": 1, "short": 2, "paper": 5}  # Pal et al. show one

_PAL = "Pal et al. 2020, section 5"


def overlapping_drop_rate(drop_rate: float, block_size: int, width: int) -> float:
    """The hyperparameter `drop_rate` of overlapping DropBlock for which it really drops this fraction of units.

    DropBlock's hyperparameter counts overlaps repeatedly, so that the fraction dropped is smaller. Solved by bisection:
    mean_i (1 - gamma)^n(i) = 1 - drop_rate, n(i) the number of blocks on the layer that cover unit i, and the result is
    gamma block_size (width - block_size + 1) / width.

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

STRUCTURED_FIG1 = Suite(
    groups=_FIG1,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 1",
)
"""DropBlock on two linear layers: stochastic and deterministic objective, and the closed-form minimum."""

STRUCTURED_FIG2 = Suite(
    groups=_FIG2,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 2",
)
"""DropConnect and dropout on two linear layers: data for which their objectives are equal, and for which not."""

STRUCTURED_FIG3 = Suite(
    groups=_FIG3,
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 1, "short": 2, "paper": 3},
    source=f"{_PAL}, figure 3",
)
"""DropBlock before the last layer of a conv net on images, against the closed-form bound; needs --data."""

STRUCTURED_FIG4 = Suite(
    groups=_FIG4,
    scale="short",
    tune_trials=0,
    seeds_at=FEW_RUNS,
    source=f"{_PAL}, figure 4",
)
"""DropBlock with overlapping blocks and with blocks of a fixed grid, at equal drop rates."""
