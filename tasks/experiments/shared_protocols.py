"""Protocols that several papers share."""

from __future__ import annotations

from tasks.protocols import Protocol

SMALL_STEPS = {"epochs": 2, "batch_size": 32, "max_train_samples": 128, "max_evaluation_samples": 100}
DEEP_STEPS = {"epochs": 1, "batch_size": 4, "max_train_samples": 8, "max_evaluation_samples": 8}

IMAGENET_270 = Protocol(
    source=(
        "Ghiasi et al. 2018, section 4.1, whom Tang et al. 2020 follow (270 epochs, steps at 125, 200 and 250 by 10, "
        "batch 1024, rate 0.4, crops and flips); of Lu et al. 2021 only the 270 epochs are known"
    ),
    epochs=270,
    batch_size=1024,
    learning_rate=0.4,
    weight_decay=1e-4,
    milestones=(125 / 270, 200 / 270, 250 / 270),
    decay=0.1,
    augmentation=("resized_crop", "flip"),
    validation_fraction=0.01,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 27, "evaluate_every_epochs": 3},
        "smoke": {
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 0.01,
            "max_train_samples": 8,
            "max_evaluation_samples": 4,
            "evaluate_every_epochs": 1,
        },
    },
)


CIFAR_PLAIN = Protocol(
    source="regarena; as Tang et al. 2020 on ResNet-56, with a rate for networks without batch norm",
    epochs=200,
    batch_size=128,
    learning_rate=0.01,
    milestones=(0.3, 0.6, 0.8),
    decay=0.2,
    augmentation=("crop", "flip"),
    validation_fraction=0.1,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 20, "evaluate_every_epochs": 2},
        "smoke": {**SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)
