"""Protocols of the feature map distortion paper."""

from __future__ import annotations

from tasks.experiments.shared_protocols import DEEP_STEPS, SMALL_STEPS
from tasks.protocols import Protocol

DISTORTION_CNN = Protocol(
    source=(
        "Tang et al. 2020, experiments on dense layers (500 epochs, batch 128, rate 0.01 by 10 at 200, 300, 400, 20 % "
        "held out, no augmentation); preprocessing is not given: pixel means and ZCA as Zhai and Wang 2018"
    ),
    epochs=500,
    batch_size=128,
    learning_rate=0.01,
    milestones=(0.4, 0.6, 0.8),
    decay=0.1,
    preprocessing="mean_zca",
    validation_fraction=0.2,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 50, "evaluate_every_epochs": 5},
        "smoke": {**SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)


DISTORTION_RESNET = Protocol(
    source=(
        "Tang et al. 2020, experiments on conv layers (200 epochs, batch 128, rate 0.1 by 5 at 60, 120, 160, weight "
        "decay 5e-4, crop, flip, rotation within 15 degrees); 5,000 images are held out, which they do not say"
    ),
    epochs=200,
    batch_size=128,
    learning_rate=0.1,
    weight_decay=5e-4,
    milestones=(0.3, 0.6, 0.8),
    decay=0.2,
    augmentation=("crop", "flip", "rotation"),
    validation_fraction=0.1,
    evaluate_every_epochs=5,
    evaluate_train=True,  # for figure 1; with 10,000 images, evaluation takes less than 5 % of the training time
    scales={
        "short": {"epochs": 20, "evaluate_every_epochs": 2},
        "smoke": {**DEEP_STEPS, "evaluate_every_epochs": 1},
    },
)
