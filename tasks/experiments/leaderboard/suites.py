"""The leaderboard: every regularizer on every architecture, CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from tasks.experiments.demos.suites import EVERYONE
from tasks.suites import Group, Suite

NETWORKS = (
    "zhai",
    "resnet56",
    "resnet50-augmented",
    "preact_resnet18-augmented",
    "preact_resnet50",
    "densenet121-augmented",
    "densenet_bc_100_12",
    "dpn92-augmented",
    "lenet",
    "convnet_small",
    "mlp",
    "two_layer_mlp",
)

LEADERBOARD = Suite(
    groups=(
        Group(
            tasks=tuple(f"{dataset}-{network}" for dataset in ("cifar10", "cifar100") for network in NETWORKS),
            regularizers=EVERYONE,
        ),
    ),
    scale="paper",
    tune_trials=20,
    tune_width=4,
    tune_trials_at={"smoke": 0},
    seeds=5,
    seeds_at={"smoke": 1},
    timing_tasks=tuple(f"cifar10-{network}" for network in NETWORKS),  # CIFAR-100 differs in the output layer only
    timing_repeats=3,
    timing_repeats_at={"smoke": 1},
)
"""Every contestant on every architecture, CIFAR-10 and CIFAR-100; needs --data and many GPU days."""
