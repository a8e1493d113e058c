"""Protocols of the small tasks."""

from __future__ import annotations

from tasks.protocols import Protocol

DIGITS = Protocol(
    source="regarena; Zhai and Wang 2018, section 4 for the optimizer (SGD, Nesterov momentum)",
    epochs=100,
    batch_size=64,
    learning_rate=0.05,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 30, "evaluate_every_epochs": 3},
        "smoke": {"epochs": 15, "evaluate_every_epochs": 3},
    },
)


LENET = Protocol(
    source="Mianjy and Arora 2020, section 6 (batch 64, 25 epochs, constant learning rate 0.01); momentum added",
    epochs=25,
    batch_size=64,
    learning_rate=0.01,
    momentum=0.9,
    scales={
        "short": {"epochs": 3, "max_train_samples": 20_000},
        "smoke": {"epochs": 2, "max_train_samples": 2_000},
    },
)
