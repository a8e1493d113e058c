"""Small suites: the quickstart, and every contestant on small data."""

from __future__ import annotations

from tasks.regularizers import ONLY_MEASURE, REGULARIZERS
from tasks.suites import Group, Suite

CIFAR_DEMO = Suite(
    groups=(
        Group(
            tasks=("cifar10-zhai-narrow",),
            regularizers=("none", "dropout", "dropblock", "localdrop", "feature_map_distortion"),
        ),
    ),
    scale="short",
    tune_trials=6,
    tune_trials_at={"smoke": 1},
    seeds=3,
    seeds_at={"smoke": 1},
    source="regarena",
)
"""Five contestants on a narrow version of LocalDrop's first model, CIFAR-10: an hour on two cores; needs --data."""


CLASSIC = (
    "none",
    "weight_decay",
    "label_smoothing",
    "cutout",
    "dropout",
    "dropblock",
    "dropblock_sample",
    "localdrop",
)


QUICKSTART = Suite(
    groups=(
        Group(
            tasks=("digits-200-convnet",),
            regularizers=("none", "label_smoothing", "cutout", "dropout", "dropblock_sample", "localdrop"),
        ),
        Group(tasks=("digits-200-mlp",), regularizers=("none", "label_smoothing", "dropout", "dropblock_sample")),
        Group(tasks=("shallow-linear-dropblock",), regularizers=("none", "dropout", "dropblock_sample")),
    ),
    scale="smoke",
    tune_trials=4,
    seeds=10,  # with five, gains of two points were significant on some processors only
    default_seeds=0,
    timing_tasks=("digits-200-convnet",),
    timing_repeats=1,
)
"""Five contestants on two nets for 200 digits, and DropBlock's theory: two to three minutes on two cores."""


MNIST_DEMO = Suite(
    groups=(Group(tasks=("mnist-lenet",), regularizers=(*CLASSIC, "max_norm", "early_stopping")),),
    scale="short",
    tune_trials=8,
    seeds=5,
)
"""LeNet on MNIST with ten contestants; needs --data."""


EVERYONE = tuple(name for name in REGULARIZERS if name not in ONLY_MEASURE)


ZOO = Suite(
    groups=(
        Group(
            tasks=("digits-convnet", "digits-mlp", "shallow-linear-dropblock", "synthetic-ratings-factors"),
            regularizers=EVERYONE,
        ),
    ),
    scale="smoke",
    tune_trials=4,
    seeds=3,
    timing_tasks=("digits-convnet", "shallow-linear-dropblock", "synthetic-ratings-factors"),
)
"""Every contestant on two nets for digits, one theory task and one matrix completion, with small budgets."""


ZOO_MNIST = Suite(
    groups=(Group(tasks=("mnist-lenet",), regularizers=EVERYONE),),
    scale="short",
    tune_trials=4,
    seeds=3,
)
"""Every contestant on LeNet and MNIST; needs --data."""
