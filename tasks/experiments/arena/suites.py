"""The arena: every contestant and some combinations, with equal tuning budgets.

The suite is sized to take at most twelve hours on two cores. A cell has 5 trials with the paper's hyperparameters, 18
tune trials, and 10 trials of the winner with fresh seeds. The tune trials are two brackets of halving, which cost as
much as 5.6 whole trainings (with 16 whole tune trials instead, the suite would take half as long again). So a cell
costs about 21 trainings.

A training without a regularizer takes, in CPU time of one thread of an Intel Xeon that also did other work: on digits
0.3 s (dense net) and 1.5 s (conv net), 7 s with LeNet, 10 to 13 s with the conv net on larger images; 25 s with the
ResNet (one thread of an AMD EPYC). The mean over all contestants is 1.0 to 1.2 times that. The whole suite took seven
and a half hours on two cores (`gallery/arena`).

To stay within that time, adversarial training takes one attack step for each batch (`tasks.PINS`), and only five tasks
are timed, one for each network and size of images: timing trials run alone, and time ratios on the other tasks would be
the same. Contestants that act on maps run on all tasks but the dense net, those that drop branches on the four with
branches.
"""

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
        Group(tasks=("digits-200-convnet", "digits-200-noisy-convnet", "fashion-1k-lenet"), regularizers=COMBINATIONS),
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
"""Every contestant and a dozen combinations on few images, at full length: 7.5 hours on two cores; needs --data."""
