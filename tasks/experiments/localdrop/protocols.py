"""Protocols of the LocalDrop paper."""

from __future__ import annotations

from dataclasses import replace

from tasks.experiments.shared_protocols import DEEP_STEPS, SMALL_STEPS
from tasks.protocols import Protocol

LOCALDROP_CNN = Protocol(
    source=(
        "Lu et al. 2021, sections 5.1 and 5.2 (GCN and ZCA, 800 epochs, rate 0.005 halved every 200); no augmentation "
        "and momentum as Zhai and Wang 2018, section 4, since they are not given; nor is the batch: 128 is regarena's "
        "choice (Zhai and Wang have 100); 5,000 images are held out, which they do not say"
    ),
    epochs=800,
    batch_size=128,
    learning_rate=0.005,
    momentum=0.95,
    milestones=(0.25, 0.5, 0.75),
    decay=0.5,
    preprocessing="gcn_zca",
    validation_fraction=0.1,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 80, "evaluate_every_epochs": 4},
        "smoke": {**SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)


LOCALDROP_DEEP = Protocol(
    source=(
        "Lu et al. 2021, sections 5.1 and 5.2 (no augmentation; 270 epochs, said of ResNet-50); all else is not given: "
        "optimizer, batch and weight decay as Tang et al. 2020 on ResNet-56, steps at the same fractions"
    ),
    epochs=270,
    batch_size=128,
    learning_rate=0.1,
    weight_decay=5e-4,
    milestones=(0.3, 0.6, 0.8),
    decay=0.2,
    validation_fraction=0.1,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 27, "evaluate_every_epochs": 3},
        "smoke": {**DEEP_STEPS, "evaluate_every_epochs": 1},
    },
)


LOCALDROP_DEEP_AUGMENTED = replace(
    LOCALDROP_DEEP,
    source=f"{LOCALDROP_DEEP.source}; with crop and flip, which the paper's baselines look like",
    augmentation=("crop", "flip"),
)


LOCALDROP_CNN_NARROW = replace(
    LOCALDROP_CNN,
    source=f"{LOCALDROP_CNN.source}; short: what two processor cores train in a minute or two",
    scales={
        "short": {
            "epochs": 24,
            "batch_size": 64,
            "learning_rate": 0.01,
            "max_train_samples": 2_500,  # few enough that the network memorises them without a regularizer
            "evaluate_every_epochs": 12,
        },
        "smoke": {**SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)
