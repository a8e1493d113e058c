"""Table 4-I and figures 4-1 and 4-2 of Mianjy's thesis as suites, and a ranking in matrix completion."""

from __future__ import annotations

from tasks.suites import Grid, Group, Suite

_MIANJY = "Mianjy's thesis"
_WIDTHS = (30, 70, 110, 150, 190)
_RATES: Grid = {"drop_rate": (0.1, 0.2, 0.3, 0.4)}
_SEEDS = {"smoke": 3, "short": 5, "paper": 50}


def _against_plain_descent(*tasks: str) -> tuple[Group, ...]:
    """Groups of these tasks without a regularizer, and with dropout at the rates of the thesis."""
    return Group(tasks=tasks, regularizers=("none",)), Group(tasks=tasks, regularizers=("dropout",), grid=_RATES)


THESIS_TABLE4_1 = Suite(
    groups=_against_plain_descent(*(f"thesis-table4-1-width-{width}" for width in _WIDTHS)),
    scale="short",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, table 4-I",
)
"""Dropout against SGD and its best iterate at five widths, on MovieLens-100K; needs --data."""

THESIS_TABLE4_1_10M = Suite(
    groups=_against_plain_descent(*(f"thesis-table4-1-10m-width-{width}" for width in _WIDTHS)),
    scale="paper",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, table 4-I",
)
"""Dropout against SGD and its best iterate at five widths, on the thesis's MovieLens-10M; needs --data."""

THESIS_FIG4_1 = Suite(
    groups=_against_plain_descent("thesis-table4-1-width-70"),
    scale="short",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, figure 4-1",
)
"""Training error, test error and gap over the epochs at width 70, on MovieLens-100K; needs --data."""

_FIG4_2_TASKS = tuple(f"thesis-fig4-2{kind}-width-{width}" for kind in ("", "-symmetrised") for width in (16, 64, 256))

THESIS_FIG4_2 = Suite(
    groups=(
        Group(tasks=_FIG4_2_TASKS, regularizers=("none",)),
        Group(tasks=_FIG4_2_TASKS, regularizers=("dropout",), grid={"drop_rate": (0.25, 0.5, 0.75)}),
    ),
    scale="short",
    tune_trials=0,
    seeds_at=_SEEDS,
    source=f"{_MIANJY}, figure 4-2",
)
"""Co-adaptation, generalization gap and total flow of ReLU networks on digits 4 and 7; needs --data."""

COMPLETION = Suite(
    groups=(
        Group(
            tasks=("ml-100k-factors-70",),
            regularizers=(
                "none",
                "early_stopping",
                "weight_decay",
                "dropout",
                "gaussian_dropout",
                "curriculum_dropout",
                "dropblock",
                "weighted_trace_norm",
            ),
        ),
    ),
    scale="short",
    tune_trials=8,
    tune_trials_at={"smoke": 2},
    seeds=5,
    seeds_at={"smoke": 2},
    source="regarena",
)
"""Eight contestants ranked by the error of factors of width 70 on MovieLens-100K; needs --data."""

CHAPTER_4 = (THESIS_TABLE4_1, THESIS_FIG4_1, THESIS_FIG4_2)
