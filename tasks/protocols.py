"""Protocols: how a network is trained, taken from a paper with the section cited, and how a scale shortens it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tasks.regularizers.base import OptimizerSettings
from tasks.switches import Switches

Augmentation = Literal["crop", "flip", "rotation", "resized_crop"]
Preprocessing = Literal["standard", "gcn_zca", "mean_zca"]
Schedule = Literal["steps", "cyclic"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Epochs, batches, optimizer, schedule and augmentation of one training.

    `learning_rate` is a default: it is tuned by every contestant alike. With the schedule `steps` it is multiplied by
    `decay` at each milestone; with `cyclic` it rises linearly from 0 to `learning_rate` in the first half of the
    training and falls back to 0 in the second.

    Raises:
        ValueError: for a schedule that does not exist.
    """

    source: str  # paper and section
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: Schedule = "steps"
    milestones: tuple[float, ...] = ()  # fractions of the training after which the learning rate is multiplied
    decay: float = 0.5  # the factor at each milestone
    preprocessing: Preprocessing = "standard"  # how raw images become what the network takes
    augmentation: tuple[Augmentation, ...] = ()
    validation_fraction: float | None = None  # of the official training set, in [0, 1); None: the data set's own
    evaluate_every_epochs: int = 1
    evaluate_train: bool = False  # read the training images' accuracy with each evaluation (never in tuning)
    max_train_samples: int | None = None  # only the first so many of the (fixed, shuffled) training split
    max_evaluation_samples: int | None = None  # only the first so many of each evaluated split
    switches: Switches = field(default_factory=Switches)  # how steps are executed, unless the campaign says otherwise
    scales: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # fields that differ at other scales

    def __post_init__(self) -> None:
        """Check the schedule's name."""
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be one of {', '.join(get_args(Schedule))}, got {self.schedule!r}.")

    def at(self, scale: str, switches: Switches | None = None) -> Protocol:
        """This protocol at `scale`: `paper` is the whole of it, the others replace some of its numbers.

        `switches` take the place of its own.

        Raises:
            ValueError: for a scale that the protocol does not define.
        """
        if switches is not None:
            return replace(self.at(scale), switches=switches)
        if scale == "paper":
            return self
        if scale not in self.scales:
            raise ValueError(f"Scale must be one of paper, {', '.join(self.scales)}, got {scale!r}.")
        return replace(self, **self.scales[scale])  # type: ignore[arg-type]  # the fields named there are numbers

    def optimizer(self, learning_rate: float) -> OptimizerSettings:
        """Settings of the optimizer at a given initial learning rate."""
        return OptimizerSettings(
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def learning_rate_factor(self, progress: float) -> float:
        """What the initial learning rate is multiplied by when `progress` (in [0, 1]) of the training is done."""
        if self.schedule == "cyclic":
            return 1 - abs(2 * progress - 1)
        return math.pow(self.decay, sum(progress >= milestone for milestone in self.milestones))


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
    source="Mianjy and Arora 2020, section 5 (batch 64, 25 epochs, constant learning rate 0.01); momentum added",
    epochs=25,
    batch_size=64,
    learning_rate=0.01,
    momentum=0.9,
    scales={
        "short": {"epochs": 3, "max_train_samples": 20_000},
        "smoke": {"epochs": 2, "max_train_samples": 2_000},
    },
)

_SMALL_STEPS = {"epochs": 2, "batch_size": 32, "max_train_samples": 128, "max_evaluation_samples": 100}
_DEEP_STEPS = {"epochs": 1, "batch_size": 4, "max_train_samples": 8, "max_evaluation_samples": 8}

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
        "smoke": {**_SMALL_STEPS, "evaluate_every_epochs": 1},
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
        "smoke": {**_DEEP_STEPS, "evaluate_every_epochs": 1},
    },
)

LOCALDROP_DEEP_AUGMENTED = replace(
    LOCALDROP_DEEP,
    source=f"{LOCALDROP_DEEP.source}; with crop and flip, which the paper's baselines look like",
    augmentation=("crop", "flip"),
)

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
        "smoke": {**_SMALL_STEPS, "evaluate_every_epochs": 1},
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
    evaluate_train=True,  # for figure 1: 10,000 images more, of which an evaluation stays below 5 % of training
    scales={
        "short": {"epochs": 20, "evaluate_every_epochs": 2},
        "smoke": {**_DEEP_STEPS, "evaluate_every_epochs": 1},
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
        "smoke": {**_SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)

LOCALDROP_CNN_NARROW = replace(
    LOCALDROP_CNN,
    source=f"{LOCALDROP_CNN.source}; short: what two processor cores train in a minute or two",
    scales={
        "short": {
            "epochs": 24,
            "batch_size": 64,
            "learning_rate": 0.01,
            "max_train_samples": 2_500,  # few enough to be learned by heart, which is what regularizers are against
            "evaluate_every_epochs": 12,
        },
        "smoke": {**_SMALL_STEPS, "evaluate_every_epochs": 1},
    },
)

SHALLOW_LINEAR = Protocol(
    source="Pal et al. 2020, section 5.1 (one sample a step, 1e5 steps; the learning rate is not given)",
    epochs=100,
    batch_size=1,
    learning_rate=1e-5,  # with one sample a step, larger ones diverge
    momentum=0.0,
    nesterov=False,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 200, "batch_size": 20, "learning_rate": 5e-5, "evaluate_every_epochs": 10},
        "smoke": {"epochs": 60, "batch_size": 50, "learning_rate": 5e-5, "evaluate_every_epochs": 6},
    },
)
