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
    tune_trials=16,
    tune_trials_at={"smoke": 0},
    seeds=10,
    seeds_at={"smoke": 1},
    timing_tasks=tuple(TASKS),
    timing_repeats=3,
    timing_repeats_at={"smoke": 1},
)
"""Every contestant and a dozen combinations on few images, at full length; needs --data, and hours on two cores."""
