"""What a task is: data set, architecture, protocol and metric, or a theory experiment, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import nn

from tasks.input_space import InputSpace
from tasks.regularizers.base import Regularizer, Scalar
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.training import Training
from tasks.workload import Workload

Regularizers = Sequence[tuple[str, Regularizer]]

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How one trial runs a task."""

    seed: int
    scale: str
    learning_rate: float
    device: torch.device = CPU
    data_dir: Path | None = None
    num_workers: int = 0  # processes that load streamed data; they do not change results
    switches: Switches | None = None  # how steps are executed; None: as the protocol says
    with_test: bool = True  # False while tuning: the test split is then not evaluated


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A training on random data that measures the time of its parts; its metrics have no meaning."""

    training: Training
    num_evaluated: int  # samples of one call of the training's `evaluate`, counted as in `Workload`


class Task(ABC):
    """A training problem and the metric by which regularizers are compared on it.

    Class attributes (instances may set them):
        dataset, architecture: names, for the rows; architecture is "" if the task has a model of its own.
        metric: name of the value that is ranked, one of those that evaluation reports for every split.
        higher_is_better: whether larger values of `metric` are better.
        defaults: default hyperparameters that differ from those of the regularizer's own paper, because the paper of
            the task's protocol uses others; by field ("where"), or for one regularizer only ("dropout.drop_rate").
        pins: hyperparameters that the task fixes, for every regularizer with a field of that name.
        has_classes: whether targets are classes; regularizers that smooth or mix classes skip a regression.
    """

    dataset: str
    architecture: str
    metric: str
    higher_is_better: bool
    defaults: Mapping[str, Scalar] = MappingProxyType({})
    pins: Mapping[str, Scalar] = MappingProxyType({})
    has_classes: ClassVar[bool] = True

    @property
    def own_code(self) -> tuple[str, ...]:
        """Definitions ("module:name") that training uses but no table lists; part of the hash of the task's code."""
        return ()

    @property
    def own_packages(self) -> tuple[str, ...]:
        """Modules and packages whose code is part of that hash where the definitions of `own_code` use it."""
        return ()

    @property
    def libraries(self) -> tuple[str, ...]:
        """Modules that every training imports slowly; a process may import them once for many trainings."""
        return ()

    @property
    def needs_data(self) -> bool:
        """Whether files below `--data` are read."""
        return False

    @property
    def streams_data(self) -> bool:
        """Whether data files are read and decoded during training, by worker processes if there are any."""
        return False

    @property
    def label_noise(self) -> float | None:
        """Share of the training samples with a wrong label, in [0, 1]; None where there are no labels."""
        return None

    @property
    def input_space(self) -> InputSpace | None:
        """The units of the inputs; None where they are unknown."""
        return None

    @abstractmethod
    def default_learning_rate(self, scale: str) -> float:
        """The protocol's learning rate at `scale`, the default of the tuned setting."""

    @abstractmethod
    def epochs(self, scale: str) -> int:
        """Epochs planned at `scale`."""

    def validation_fraction(self, scale: str) -> float | None:
        """Fraction of the official training set that is held out at `scale`, in [0, 1); None where there is none."""
        return None

    def switches(self, scale: str) -> Switches:
        """How steps are executed at `scale` unless the setting says otherwise; by default all switches are off."""
        return Switches()

    @abstractmethod
    def example_network(self) -> nn.Module:
        """The untrained network with its sites measured, which `skip_reason` and the plan inspect."""

    def on_split(self, split: int) -> Task:
        """The same task with other validation samples, drawn independently for each number; 0 is the task itself.

        Only called for tasks whose `validation_fraction` is above 0.

        Raises:
            ValueError: if the task knows one split only.
        """
        if split:
            raise ValueError(f"{type(self).__name__} knows one way of holding out validation data, got split {split}.")
        return self

    @abstractmethod
    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """Data, network and regularizers, ready to train.

        Raises:
            DataError: when the data is not there or damaged.
        """

    def seeds_together(self, regularizers: Regularizers, switches: Switches) -> int:
        """The best number of trainings for one `train_together` call; 1 if each should run alone."""
        return 1

    def train_together(self, trainings: Sequence[Training]) -> list[Trained]:
        """Run trainings that differ only in their seeds together; each gives the result it has alone, up to rounding.

        Only called for tasks whose `seeds_together` is more than 1.

        Returns:
            The result of each, in order; its seconds are an equal share of the total.

        Raises:
            Diverged: when one of them diverges.
        """
        return [training.run() for training in trainings]

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload | None:
        """The amount of work of one training, without reading the data; None if it is unknown.

        Files in `data_dir` are counted if the size of the data set depends on them.
        """
        return None

    def rehearse(
        self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None
    ) -> Rehearsal | None:
        """The training of `prepare` on random data, with batches of at most `max_batch_size`; None if unsupported.

        No file is read.
        """
        return None

    def check_data(self, data_dir: Path | None, download: bool = False) -> None:  # noqa: B027  # most need no files
        """Check that the files that `prepare` reads exist, without reading them whole; `download` fetches missing ones.

        Raises:
            DataError: when files are missing or damaged.
        """

    def data_notice(self, data_dir: Path | None) -> str | None:
        """One sentence for the user on how the data at hand differs from the official release, or None."""
        return None

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of the data's content, stored in the rows to identify the copy they were measured on."""
        return ""

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Why this cell makes no sense, or None."""
        if regularizer.needs_class_targets and not self.has_classes:
            return f"{type(regularizer).__name__} needs class targets; this task is a regression."
        network = self.example_network()
        return (
            regularizer.skip_reason(network)
            or regularizer.reason_against_inputs(self.input_space)
            or regularizer.reason_against_tokens(network)
        )
