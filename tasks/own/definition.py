"""What a campaign's file says of a task, as one text that is sent to every process that builds the task.

The text is JSON with sorted keys. It is part of a trial's identity, so it holds what the trial's values depend on: the
images by their fingerprint, not the folder in which they are on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tasks.own.foreign_networks import Option
from tasks.protocols import Augmentation, Fields, Protocol, Schedule
from tasks.regularizers.base import OptimizerName

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SMOKE_SAMPLES = 64
_SMOKE_BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class ImagesOfATask:
    """A folder of images, as it was when the task was defined.

    Attributes:
        name: for the rows.
        num_classes, num_train, num_test: numbers of classes, and of images; without test images `num_test` is 0.
        fingerprint: of the files.
        size: height and width to which images are brought.
        mean, std: of each colour, in grey levels from 0 to 1, for normalisation.
        test_fraction: of the images that become the test set, if there are no test images.
        validation_fraction: of the remaining images, held out for selection.
    """

    name: str
    num_classes: int
    num_train: int
    num_test: int
    fingerprint: str
    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    test_fraction: float = 0.2
    validation_fraction: float = 0.15


@dataclass(frozen=True, kw_only=True)
class ProtocolOfATask:
    """The training, at full length; see `tasks.protocols.Protocol` for each field."""

    epochs: int
    optimizer: OptimizerName = "sgd"
    learning_rate: float = 0.05
    batch_size: int = 32
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = ()
    decay: float = 0.1
    augmentation: tuple[Augmentation, ...] = ()
    evaluate_every_epochs: int | None = None  # None: about ten times in a training

    def protocol(self) -> Protocol:
        """The protocol with its shorter scales: `short` has a tenth of the epochs, `smoke` one epoch on 64 images."""
        short = max(1, round(self.epochs / 10))
        every = self.evaluate_every_epochs or max(1, self.epochs // 10)
        smoke: dict[str, Any] = {
            "epochs": 1,
            "batch_size": min(self.batch_size, _SMOKE_BATCH_SIZE),
            "max_train_samples": _SMOKE_SAMPLES,
            "max_evaluation_samples": _SMOKE_SAMPLES,
            "evaluate_every_epochs": 1,
        }
        scales: Mapping[str, Fields] = {
            "short": {"epochs": short, "evaluate_every_epochs": max(1, short // 10)},
            "smoke": smoke,
        }
        return Protocol(**{**asdict(self), "evaluate_every_epochs": every}, source="the campaign's file", scales=scales)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A task of a campaign's file.

    Attributes:
        architecture: a name of ARCHITECTURES, or of `tasks.own.foreign_networks`.
        options: further arguments of the architecture.
        sites: places and patterns, see `tasks.own.site_finder.chosen`; empty for all.
        data: a name of DATASETS, or the images.
        protocol: how the network is trained.
    """

    architecture: str
    data: str | ImagesOfATask
    protocol: ProtocolOfATask
    options: Mapping[str, Option] = field(default_factory=dict)
    sites: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The definition as text; equal definitions have equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """The definition that has this text."""
        content = _with_tuples(json.loads(text))
        data = content["data"]
        return cls(
            **{
                **content,
                "data": data if isinstance(data, str) else ImagesOfATask(**data),
                "protocol": ProtocolOfATask(**content["protocol"]),
            }
        )


def _with_tuples(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _with_tuples(value) for key, value in thing.items()}
    return tuple(map(_with_tuples, thing)) if isinstance(thing, list) else thing
