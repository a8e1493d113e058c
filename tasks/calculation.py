"""Calculations as tasks: numbers that follow from formulas, without data, seeds or training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Split
from tasks.metrics import squared_error
from tasks.protocol_task import ProtocolTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Regularizer
from tasks.task import Regularizers, Setting
from tasks.training import Training


class Calculation(ProtocolTask):
    """A task whose metrics follow from formulas. Subclasses are frozen dataclasses that implement `readings`.

    It runs as a training of zero epochs: the values are stored in the trial's row, and in its curves at epoch 0.
    Validation and test values are the same. Nothing is trained, so regularizers with hyperparameters are skipped.
    """

    dataset: str = "none"
    architecture: str = ""
    has_classes: ClassVar = False

    @abstractmethod
    def readings(self, scale: str) -> Mapping[str, float]:
        """The calculated values by name, at `scale`; `metric` is one of the names."""

    def example_network(self) -> nn.Module:
        """The identity: there is nothing to train."""
        return nn.Identity()

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Skip regularizers with hyperparameters, which would change a training."""
        if fields(regularizer):  # type: ignore[arg-type]  # regularizers are dataclasses
            return f"{type(regularizer).__name__} changes how a network is trained; this task is a calculation."
        return None

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """A training of zero epochs whose evaluation returns the calculated values."""
        splits = ("validation", "test") if setting.with_test else ("validation",)
        calculated = cache(lambda: self.readings(setting.scale))

        def evaluate(network: nn.Module) -> Mapping[str, Mapping[str, float]]:
            return dict.fromkeys(splits, calculated())

        nothing: Tensor = torch.zeros(1, 1, device=setting.device)
        return Training(
            self.example_network(),
            regularizers,
            Split(inputs=nothing, targets=nothing).batches(1, setting.seed),
            squared_error,
            evaluate,
            selection=(self.metric, self.higher_is_better),
            protocol=self.protocol.at(setting.scale, setting.switches),
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            evaluate_at_end=evaluate,
        )


def calculation_protocol(source: str) -> Protocol:
    """A protocol of zero epochs, the same at every scale. Its learning rate is never used."""
    return Protocol(
        source=source,
        epochs=0,
        batch_size=1,
        learning_rate=1.0,
        momentum=0.0,
        nesterov=False,
        scales={"short": {}, "smoke": {}},
    )
