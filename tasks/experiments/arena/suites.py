"""The arena: every contestant and some combinations, with equal tuning budgets."""

from __future__ import annotations

from tasks.experiments.arena import TASKS
from tasks.experiments.demos.suites import EVERYONE
from tasks.suites import Group, Suite

COMBINATIONS = (
    "dropout+weight_decay",
    "dropout+label_smoothing",
    "dropout+cutout",
    "dropout+mixup",
    "dropblock+weight_decay",
    "dropblock+label_smoothing",
    "dropblock+cutout",
    "localdrop+weight_decay",
    "feature_map_distortion+weight_decay",
    "cutout+label_smoothing",
    "cutout+weight_decay",
    "label_smoothing+weight_decay",
)

ARENA = Suite(
    groups=(
        Group(tasks=tuple(TASKS), regularizers=EVERYONE),
        Group(tasks=("digits-200-convnet", "fashion-1k-lenet", "fashion-1k-noisy-lenet"), regularizers=COMBINATIONS),
    ),
    scale="paper",
    tune_trials=18,
    tune_trials_at={"smoke": 0},
    tune_width=9,
    halving=True,
    seeds=10,
    seeds_at={"smoke": 1},
    default_seeds=5,
    timing_tasks=(  # one for each network and size of images
        "digits-200-convnet",
        "digits-200-mlp",
        "mnist-1k-lenet",
        "cifar10-1k-convnet",
        "cifar10-1k-resnet8",
    ),
    timing_repeats=3,
    timing_repeats_at={"smoke": 1},
)
"""Every contestant and a dozen combinations on few images, at full length; needs --data, and hours on two cores."""
