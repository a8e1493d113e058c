"""Protocols: how a network is trained, taken from a paper with the section cited, and how a scale shortens it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tasks.regularizers.base import OptimizerName, OptimizerSettings
from tasks.runtime.switches import Switches

Augmentation = Literal["crop", "flip", "rotation", "resized_crop"]
Preprocessing = Literal["standard", "unit", "gcn_zca", "mean_zca"]
Schedule = Literal["steps", "cyclic", "cosine"]
Fields = Mapping[str, float | tuple[float, ...]]  # of a protocol, by name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Epochs, batches, optimizer, schedule and augmentation of one training.

    `learning_rate` is a default: it is tuned for every regularizer. With the schedule `steps` it is multiplied by
    `decay` at each milestone; with `cosine` it falls to 0 along half a cosine (Loshchilov and Hutter 2017, eq. 5,
    without restarts); with `cyclic` it rises linearly from 0 to `learning_rate` in the first half of the training and
    falls back to 0 in the second.

    Raises:
        ValueError: for a schedule that does not exist.
    """

    source: str  # paper and section
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: Schedule = "steps"
    milestones: tuple[float, ...] = ()  # fractions of the training after which the learning rate is multiplied
    decay: float = 0.5  # the factor at each milestone
    preprocessing: Preprocessing = "standard"  # from raw images to the inputs of the network
    augmentation: tuple[Augmentation, ...] = ()
    validation_fraction: float | None = None  # of the official training set, in [0, 1); None: the data set's own
    split: int = 0  # which samples are held out: 0 is the usual split, each other number draws another
    steps_per_epoch: int | None = None  # None: one pass over the training data
    evaluate_every_epochs: int = 1
    evaluate_at_epochs: tuple[int, ...] = ()  # if given: evaluate after these and the last, not every few epochs
    evaluate_train: bool = False  # read the training images' accuracy with each evaluation (never in tuning)
    max_train_samples: int | None = None  # use the first n of the (fixed, shuffled) training split
    max_evaluation_samples: int | None = None  # use the first n of each evaluated split
    switches: Switches = field(default_factory=Switches)  # how steps are executed, unless the campaign says otherwise
    scales: Mapping[str, Fields] = field(default_factory=dict)  # fields that differ at other scales
    full_epochs: int | None = None  # epochs at scale `paper`, set by `at` for the other scales; None: `epochs`

    def __post_init__(self) -> None:
        """Check the schedule's name."""
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be one of {', '.join(get_args(Schedule))}, got {self.schedule!r}.")

    def at(self, scale: str, switches: Switches | None = None) -> Protocol:
        """This protocol at `scale`: `paper` is the protocol itself, the others replace some of its fields.

        `switches`, if given, replace the protocol's own.

        Raises:
            ValueError: for a scale that the protocol does not define.
        """
        if switches is not None:
            return replace(self.at(scale), switches=switches)
        if scale == "paper":
            return self
        if scale not in self.scales:
            raise ValueError(f"Scale must be one of paper, {', '.join(self.scales)}, got {scale!r}.")
        values = {"full_epochs": self.full_epochs or self.epochs, **self.scales[scale]}
        return replace(self, **values)  # type: ignore[arg-type]  # each is of the type of the field named

    def split_of(self, dataset: str) -> str:
        """The name of the random stream from which `held_out` draws the validation samples.

        >>> Protocol(source="", epochs=1, batch_size=1, learning_rate=1.0, split=2).split_of("digits")
        'digits/2'
        """
        return f"{dataset}/{self.split}" if self.split else dataset

    def evaluated_epochs(self) -> list[int]:
        """The epochs after which the network is evaluated, the last one among them; from 1.

        >>> Protocol(source="", epochs=5, batch_size=1, learning_rate=1.0, evaluate_every_epochs=2).evaluated_epochs()
        [2, 4, 5]
        """
        chosen = self.evaluate_at_epochs or range(self.evaluate_every_epochs, self.epochs, self.evaluate_every_epochs)
        return sorted({epoch for epoch in chosen if 0 < epoch < self.epochs} | {self.epochs})

    def optimizer_settings(self, learning_rate: float) -> OptimizerSettings:
        """Settings of the optimizer at a given initial learning rate."""
        return OptimizerSettings(
            optimizer=self.optimizer,
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def learning_rate_factor(self, progress: float) -> float:
        """The factor on the initial learning rate when the fraction `progress` (in [0, 1]) of the training is done."""
        if self.schedule == "cyclic":
            return 1 - abs(2 * progress - 1)
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        return math.pow(self.decay, sum(progress >= milestone for milestone in self.milestones))
