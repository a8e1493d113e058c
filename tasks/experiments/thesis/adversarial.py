"""Tables 6-I and 6-II of Mianjy's thesis, and tasks that rank regularizers by errors with and without an attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tasks.attacks.attack import AttackSettings
from tasks.attacks.presets import TABLE_6_I
from tasks.classification import Classification
from tasks.experiments.data_defaults import defaults_for
from tasks.experiments.shared_protocols import CIFAR_PLAIN
from tasks.protocols import Fields, Protocol
from tasks.regularizers.base import Scalar

BINARY_METRICS = ("clean_error", "accuracy", "cross_entropy")
GREY_LEVEL = 1 / 255


def of_both(**values: Scalar) -> Mapping[str, Scalar]:
    """Defaults for adversarial training, both with the plain and the reflected loss."""
    names = ("adversarial_training", "reflected_adversarial_training")
    return {f"{name}.{field}": value for name in names for field, value in values.items()}


# Five epochs at the full rate, as in the thesis: with fewer epochs the margins of the standard model stay small, and
# its errors under attack are half as large.
_EIGHT_EPOCHS: Fields = {"epochs": 8, "milestones": (5 / 8, 6 / 8, 7 / 8), "evaluate_every_epochs": 4}

TABLE_6_I_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 6.5.2 (20 epochs of batches of 64, learning rate 1, times 0.2 every 5 epochs); "
    "not given: initial weights (torch's), the loss's form (one output), the number of attack steps (20 here in "
    "training, 40 in evaluation; more change nothing), and whether steps are raw, their scale and the box (read so "
    "that the row of the standard model comes out: see tasks.attacks.presets)",
    epochs=20,
    batch_size=64,
    learning_rate=1.0,
    momentum=0.0,
    nesterov=False,
    milestones=(0.25, 0.5, 0.75),
    decay=0.2,
    validation_fraction=0.0,
    evaluate_every_epochs=5,
    max_evaluation_samples=2_200,  # all 2,115 test images; for validation, as many training images
    scales={
        "short": _EIGHT_EPOCHS,
        "smoke": _EIGHT_EPOCHS,
    },
)

THESIS_TABLE6_1 = Classification(
    dataset="mnist_0v1",
    architecture="two_layer_relu",
    protocol=TABLE_6_I_PROTOCOL,
    defaults=of_both(num_steps=20),
    metrics=BINARY_METRICS,
    metric="clean_error",
    higher_is_better=False,
    num_outputs=1,
    attacks=TABLE_6_I,
)
"""100 ReLU units and one output on MNIST's digits 0 and 1, under the eight attacks of table 6-I."""

_MNIST_PAIR = replace(THESIS_TABLE6_1, protocol=replace(TABLE_6_I_PROTOCOL, validation_fraction=1 / 6))
_STRONGEST = "reflected_pgd"

MNIST_0V1 = replace(_MNIST_PAIR, attacks={})
"""100 ReLU units and one output on MNIST's digits 0 and 1, ranked by the error without an attack."""

MNIST_0V1_ROBUST = replace(
    _MNIST_PAIR,
    metric=f"robust_error/{_STRONGEST}",
    selected_by="clean_error",
    attacks={name: TABLE_6_I[name] for name in (_STRONGEST, "reflected_pgd_l2")},
)
"""100 ReLU units and one output on MNIST's digits 0 and 1, ranked by the error under reflected PGD of radius 0.1."""

_PGD_10 = AttackSettings(
    radius=8 * GREY_LEVEL, step_size=2 * GREY_LEVEL, num_steps=10, box=(0.0, 1.0), random_start=True
)

CIFAR10_CONVNET_ROBUST = Classification(
    dataset="cifar10",
    architecture="convnet_small",
    protocol=CIFAR_PLAIN,
    defaults=defaults_for("cifar10"),
    metrics=BINARY_METRICS,
    metric="robust_error/pgd",
    higher_is_better=False,
    selected_by="clean_error",
    attacks={"pgd": _PGD_10},
)
"""The small conv net on CIFAR-10, ranked by the error under ten steps of PGD with radius 8/255."""

TABLE_6_II_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 6.5.3 (batches of 128, 20 epochs, rate from 0 to 0.2 and back, momentum 0.9, "
    "weight decay 5e-4; 50 steps of PGD with 10 restarts); not given: the length of steps (a quarter of the radius in "
    "training, 2 of 255 grey levels in evaluation), augmentation (crop and flip), the radius in evaluation (8 of 255), "
    "and the mode in which attacks run (training mode, batch statistics kept)",
    epochs=20,
    batch_size=128,
    learning_rate=0.2,
    momentum=0.9,
    nesterov=False,
    weight_decay=5e-4,
    schedule="cyclic",
    preprocessing="unit",
    augmentation=("crop", "flip"),
    validation_fraction=0.0,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 2, "max_train_samples": 2_000, "max_evaluation_samples": 200},
        "smoke": {
            "epochs": 1,
            "batch_size": 16,
            "learning_rate": 0.01,
            "max_train_samples": 32,
            "max_evaluation_samples": 16,
        },
    },
)

_PGD_50_10 = replace(_PGD_10, num_steps=50, num_restarts=10)

THESIS_TABLE6_2 = Classification(
    dataset="cifar10",
    architecture="preact_resnet18_normalised",
    protocol=TABLE_6_II_PROTOCOL,
    defaults=defaults_for("cifar10"),
    metrics=("accuracy", "clean_error", "cross_entropy"),
    attacks={"pgd": _PGD_50_10},
    attacks_at={
        "short": {"pgd": replace(_PGD_50_10, num_steps=10, num_restarts=1)},
        "smoke": {"pgd": replace(_PGD_50_10, num_steps=4, num_restarts=1)},
    },
)
"""PreActResNet-18 on CIFAR-10 under 50 steps of PGD, 10 restarts: for a GPU; smaller scales are only for testing."""
