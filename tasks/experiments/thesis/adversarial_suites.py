"""Chapter 6 of Mianjy's thesis as suites: figures 6-1 and 6-2, tables 6-I and 6-II, and a ranking under attack."""

from __future__ import annotations

from tasks.suites import Grid, Group, Suite

_MIANJY = "Mianjy's thesis"
_ADVERSARIAL = ("adversarial_training", "reflected_adversarial_training")
_PGD_2: Grid = {"attack": ("pgd_l2",), "radius": (2.0,), "gradient": ("batch_mean",), "box": ("unit",)}

THESIS_FIG6_1 = Suite(
    groups=(Group(tasks=("thesis-fig6-1",), regularizers=("none",)),),
    scale="short",
    tune_trials=0,
    seeds=1,
    source=f"{_MIANJY}, figure 6-1",
)
"""The logistic loss and its reflection about the origin: a calculation."""

THESIS_FIG6_2 = Suite(
    groups=(Group(tasks=("thesis-fig6-2",), regularizers=("none",)),),
    scale="short",
    tune_trials=0,
    seeds=1,
    source=f"{_MIANJY}, figure 6-2",
)
"""Success of attacks that maximise a loss or its reflection, on a grid of all perturbations: a calculation."""

THESIS_COROLLARY_4 = Suite(
    groups=(Group(tasks=("thesis-corollary4",), regularizers=("none",)),),
    scale="short",
    tune_trials=0,
    seeds=1,
    source=f"{_MIANJY}, section 6.3, Corollary 4",
)
"""Adversarial training of halfspaces for the number of steps in Corollary 4: a calculation."""

THESIS_TABLE6_1 = Suite(
    groups=(
        Group(tasks=("thesis-table6-1",), regularizers=("none", *_ADVERSARIAL)),
        Group(tasks=("thesis-table6-1",), regularizers=_ADVERSARIAL, grid=_PGD_2),
    ),
    scale="short",
    tune_trials=0,
    seeds_at={"smoke": 3, "short": 5, "paper": 10},
    source=f"{_MIANJY}, table 6-I",
)
"""Standard and adversarial training of two-layer networks on digits 0 and 1 under eight attacks; needs --data."""

THESIS_TABLE6_2 = Suite(
    groups=tuple(
        Group(
            tasks=("thesis-table6-2",),
            regularizers=_ADVERSARIAL,
            grid={"radius": (levels / 255,), "step_size": (levels / 255 / 4,), "num_steps": (2, 4, 16, 32)},
        )
        for levels in (2, 4, 8, 16)
    ),
    scale="paper",
    tune_trials=0,
    seeds=5,
    seeds_at={"smoke": 1, "short": 1},
    source=f"{_MIANJY}, table 6-II",
)
"""Adversarial training of PreActResNet-18 on CIFAR-10 with 4 radii x 4 numbers of steps: for a GPU; needs --data.

The scales smoke and short only test that it runs.
"""

ADVERSARIAL = Suite(
    groups=(
        Group(
            tasks=("mnist-0v1", "mnist-0v1-robust", "cifar10-convnet_small", "cifar10-convnet_small-robust"),
            regularizers=(
                "none",
                "weight_decay",
                "label_smoothing",
                "mixup",
                "dropout",
                "max_norm",
                "sam",
                *_ADVERSARIAL,
            ),
        ),
    ),
    scale="short",
    tune_trials=8,
    tune_trials_at={"smoke": 1},
    seeds=5,
    seeds_at={"smoke": 2, "short": 3},
    source="regarena",
)
"""Nine contestants ranked by the error without and with an attack, on digits 0 and 1 and on CIFAR-10; needs --data."""

CHAPTER_6 = (THESIS_FIG6_1, THESIS_FIG6_2, THESIS_COROLLARY_4, THESIS_TABLE6_1)
