"""Protocols of the arena: long enough that a network without a regularizer fits all, or nearly all, training images."""

from __future__ import annotations

from dataclasses import replace

from tasks.protocols import Protocol

FEW_DIGITS = Protocol(
    source="regarena; SGD with Nesterov momentum and a rate in steps, as in the papers' protocols",
    epochs=60,
    batch_size=32,
    learning_rate=0.05,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=10,
    scales={"short": {}, "smoke": {}},  # the full protocol takes a second
)


FEW_IMAGES = Protocol(
    source="regarena; SGD with Nesterov momentum and a rate in steps, as in the papers' protocols",
    epochs=60,
    batch_size=64,
    learning_rate=0.02,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=20,  # the 10,000 test images take as long as four epochs
    scales={
        "short": {"epochs": 20},
        "smoke": {"epochs": 2, "max_evaluation_samples": 500, "evaluate_every_epochs": 1},
    },
)

FEW_IMAGES_BRIEFLY = replace(
    FEW_IMAGES,
    epochs=36,  # at most half a minute for each training
    evaluate_every_epochs=18,
    scales={**FEW_IMAGES.scales, "short": {"epochs": 12}},
)

FEW_IMAGES_WITH_BATCH_NORM = replace(
    FEW_IMAGES_BRIEFLY,
    epochs=28,  # a step takes longer than elsewhere; nine of ten training images are fitted
    learning_rate=0.1,  # at 0.02 a third is not fitted
    evaluate_every_epochs=28,
    scales={**FEW_IMAGES.scales, "short": {"epochs": 10}},
)
