"""Tasks that follow a protocol, and those that train on a data set of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from tasks.datasets import DATASETS
from tasks.datasets.dataset import Dataset
from tasks.input_space import InputSpace
from tasks.protocols import Protocol
from tasks.regularizers.base import Regularizer
from tasks.runtime.switches import Switches
from tasks.task import Task


class ProtocolTask(Task):
    """A task with a protocol, which says how long and how fast it trains. Subclasses are frozen dataclasses.

    Attributes:
        protocol: how the network is trained, at full length.
    """

    protocol: Protocol

    def default_learning_rate(self, scale: str) -> float:
        """The protocol's learning rate."""
        return self.protocol.at(scale).learning_rate

    def epochs(self, scale: str) -> int:
        """The protocol's epochs."""
        return self.protocol.at(scale).epochs

    def switches(self, scale: str) -> Switches:
        """The protocol's switches."""
        return self.protocol.at(scale).switches

    def on_split(self, split: int) -> Self:
        """This task with `split` set in its protocol."""
        return replace(self, protocol=replace(self.protocol, split=split)) if split else self  # type: ignore[type-var]  # a dataclass

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Also skip a regularizer whose period is longer than the training at full length."""
        period, epochs = regularizer.period_epochs(), self.protocol.full_epochs or self.protocol.epochs
        if period > epochs:
            return f"{type(regularizer).__name__} acts after every {period} epochs; the training has {epochs}."
        return super().skip_reason(regularizer)


class DatasetTask(ProtocolTask):
    """A task that trains on a data set: the one of `DATASETS` that `dataset` names, unless a subclass has its own."""

    @property
    def data(self) -> Dataset:
        """The data set."""
        return DATASETS[self.dataset]

    @property
    def needs_data(self) -> bool:
        """Whether the data set is read from files."""
        return bool(self.data.files)

    @property
    def input_space(self) -> InputSpace | None:
        """The input space of the data set, preprocessed as the protocol says."""
        return self.data.input_space(self.protocol.preprocessing)

    @property
    def label_noise(self) -> float:
        """That of the data set."""
        return self.data.label_noise

    @property
    def streams_data(self) -> bool:
        """Whether the data set is too large to be held in memory."""
        return self.data.is_streamed

    def validation_fraction(self, scale: str) -> float:
        """The fraction that the protocol sets, else the data set's own."""
        return self.data.held_out_fraction(self.protocol.at(scale))

    def check_data(self, data_dir: Path | None, download: bool = False) -> None:
        """Check that the data set's files exist; `download` fetches missing ones."""
        self.data.check(data_dir, download)

    def data_notice(self, data_dir: Path | None) -> str | None:
        """How the copy at hand differs from the official release."""
        return self.data.notice(data_dir)

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """The fingerprint of the data set's content."""
        return self.data.splits(data_dir, self.protocol).fingerprint
