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
    """How a task is to be run this time."""

    seed: int
    scale: str
    learning_rate: float
    device: torch.device = CPU
    data_dir: Path | None = None
    num_workers: int = 0  # processes that read ahead where the data is streamed; they change no value
    switches: Switches | None = None  # how steps are executed; None: as the protocol says
    with_test: bool = True  # False while tuning: the test split is then not even evaluated


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A training on made-up data, to measure the time of its parts; its result has no meaning."""

    training: Training
    num_evaluated: int  # by one call of the training's `evaluate`, counted as `Workload` counts


class Task(ABC):
    """One thing that is measured.

    Class attributes (instances may set them):
        dataset, architecture: names, for the rows; architecture is "" where the task brings its own model.
        metric: name of the value that is ranked, one of those that evaluation reports for every split.
        higher_is_better: its direction.
        defaults: hyperparameters that start from another value here than in the regularizer's own paper, as the paper
            behind the task's protocol says; by field ("where"), or for one regularizer alone ("dropout.drop_rate").
        pins: hyperparameters that the task itself fixes, for every regularizer that has a field of that name.
        has_classes: whether targets are classes; a regression is skipped by regularizers that smooth or mix classes.
    """

    dataset: str
    architecture: str
    metric: str
    higher_is_better: bool
    defaults: Mapping[str, Scalar] = MappingProxyType({})
    pins: Mapping[str, Scalar] = MappingProxyType({})
    has_classes: ClassVar[bool] = True

    @property
    def needs_data(self) -> bool:
        """Whether files below `--data` are read."""
        return False

    @property
    def streams_data(self) -> bool:
        """Whether they are read and decoded while a network trains, by worker processes if there are any."""
        return False

    @property
    def input_space(self) -> InputSpace | None:
        """The units of the inputs; None where the task cannot tell them."""
        return None

    @abstractmethod
    def default_learning_rate(self, scale: str) -> float:
        """The protocol's own learning rate: where tuning of the shared settings starts from."""

    @abstractmethod
    def epochs(self, scale: str) -> int:
        """Epochs planned at `scale`."""

    def validation_fraction(self, scale: str) -> float | None:
        """Share of the official training set that is held out at `scale`, in [0, 1); None where there is none."""
        return None

    def switches(self, scale: str) -> Switches:
        """How steps are executed at `scale` unless the setting says otherwise: the plain way."""
        return Switches()

    @abstractmethod
    def example_network(self) -> nn.Module:
        """The network with its sites measured, untrained: what `skip_reason` and the plan look at."""

    def on_split(self, split: int) -> Task:
        """The same task with other samples held out, independently of those of other numbers; 0 is the task itself.

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
        """How many trainings that differ by their seeds alone `train_together` had best run at once; 1 is none."""
        return 1

    def train_together(self, trainings: Sequence[Training]) -> list[Trained]:
        """Run trainings that differ by their seeds alone, together; each ends as it would alone, up to rounding.

        Only called for tasks whose `seeds_together` is more than 1.

        Returns:
            What each leaves behind, in their order; seconds are equal shares of the whole.

        Raises:
            Diverged: when one of them does.
        """
        return [training.run() for training in trainings]

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload | None:
        """How much work one training is, without reading the data; None where the task cannot tell.

        Files in `data_dir` are counted where the size of a data set follows from them.
        """
        return None

    def rehearse(
        self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None
    ) -> Rehearsal | None:
        """The training of `prepare`, but on made-up data and with batches of at most that size; None if there is none.

        Nothing is read from files.
        """
        return None

    def check_data(self, data_dir: Path | None, download: bool = False) -> None:  # noqa: B027  # most need no files
        """Check that the files that `prepare` reads exist, without reading them whole; `download` fetches missing ones.

        Raises:
            DataError: when it is not.
        """

    def data_notice(self, data_dir: Path | None) -> str | None:
        """One sentence for the user on how the data at hand differs from the official release, or None."""
        return None

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of the data's content, so that rows tell which copy they were measured on."""
        return ""

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Why this cell makes no sense, or None."""
        if regularizer.needs_class_targets and not self.has_classes:
            return f"{type(regularizer).__name__} needs class targets; this task is a regression."
        if regularizer.needs_input_units and self.input_space is None:
            return (
                f"{type(regularizer).__name__} needs the units of the inputs; whitening mixes pixels, so none are left."
            )
        return regularizer.skip_reason(self.example_network())
