"""A theory experiment as a task: a linear problem with a known optimum, trained with the regularizers themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Batches
from tasks.datasets.dataset import fingerprint
from tasks.linear.chain_task import ChainTask
from tasks.metrics import squared_error
from tasks.protocols import Protocol
from tasks.regularizers.base import Regularizer, Scalar
from tasks.runtime.streams import torch_stream
from tasks.sites import measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.training import Training
from tasks.workload import Workload

Reading = Callable[[nn.Module], Mapping[str, float]]
EXCESS = "excess_objective"


class LinearProblem(ABC):
    """The problem, its network, and its closed forms. Subclasses are frozen dataclasses.

    Attributes:
        dataset, architecture: names for the rows.
    """

    dataset: str
    architecture: str

    @abstractmethod
    def network(self, generator: torch.Generator) -> nn.Module:
        """The network before training."""

    @abstractmethod
    def batches(self, protocol: Protocol, seed: int, device: torch.device) -> Batches:
        """The training data."""

    @abstractmethod
    def reading(self, keep: float, device: torch.device) -> Reading:
        """A function that measures a network trained with this keep rate; its values include `excess_objective`."""

    @abstractmethod
    def defining_tensors(self) -> tuple[Tensor, ...]:
        """The tensors that define the data; the first has one column for each input."""

    def step_factor(self, keep: float) -> float:
        """The factor on the learning rate: the inverse of the factor of inverted masks on the gradient."""
        return keep

    def reference_keep(self, keep: float) -> float:
        """The keep rate of the closed form, for regularizers with keep rate `keep`; by default the same."""
        return keep


@dataclass(frozen=True, kw_only=True)
class LinearTask(ChainTask):
    """Train a linear network and measure the distance to the optimum of its regularizer's own objective.

    The objective F is the expected loss under the regularizer's masks at its field `drop_rate`, F* the closed-form
    minimum. For a regularizer that acts at no site both are those of drop rate 0; one that acts at sites and has no
    such field is skipped. The value is `excess_objective` = (F - F*) / F(0), where F(0) is the objective of the network
    with output 0: 0 at the optimum, never negative if F* is a lower bound. The task is about optimisation, so
    validation and test are the same measurement.

    The learning rate does not include the factor 1 / keep of inverted masks on the gradient (as in Mianjy's Algorithm
    1): the step size is `learning_rate` times the problem's `step_factor`, for one hidden layer the keep rate. So one
    learning rate can be used for all drop rates.
    """

    problem: LinearProblem
    protocol: Protocol
    pins: Mapping[str, Scalar] = field(default_factory=dict)
    metric: str = EXCESS
    higher_is_better: bool = False
    dataset: str = field(init=False)
    architecture: str = field(init=False)
    has_classes: ClassVar = False

    def __post_init__(self) -> None:
        """Take the names of data set and architecture from the problem."""
        object.__setattr__(self, "dataset", self.problem.dataset)
        object.__setattr__(self, "architecture", self.problem.architecture)

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of the tensors that define the problem."""
        return fingerprint(*self.problem.defining_tensors())

    def example_network(self) -> nn.Module:
        """The network with its sites measured."""
        return self._network(0, torch.device("cpu"))

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Also skip a regularizer whose closed form is unknown."""
        return super().skip_reason(regularizer) or reason_without_rate(regularizer, self.example_network())

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The network, drawn from the seed, compared with the closed form at the regularizer's keep rate."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        keep = self.problem.reference_keep(keep_rate_of(regularizers))
        batches = self.problem.batches(protocol, setting.seed, setting.device)
        reading = self.problem.reading(keep, setting.device)
        splits = ("validation", "test") if setting.with_test else ("validation",)

        def evaluate(network: nn.Module) -> Mapping[str, Mapping[str, float]]:
            measured = {**reading(network), "steps_per_epoch": float(len(batches))}
            return dict.fromkeys(splits, measured)

        return Training(
            self._network(setting.seed, setting.device),
            regularizers,
            batches,
            squared_error,
            evaluate,
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate * self.problem.step_factor(keep),
            seed=setting.seed,
        )

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload:
        """The workload; one evaluation counts as one sample."""
        protocol = self.protocol.at(scale)
        batches = self.problem.batches(protocol, 0, torch.device("cpu"))
        return Workload.of(protocol, num_train=batches.num_samples, num_validation=1, num_test=0)

    def rehearse(self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None) -> Rehearsal:
        """The training itself, which needs no files."""
        return Rehearsal(training=self.prepare(regularizers, setting), num_evaluated=1)

    def _network(self, seed: int, device: torch.device) -> nn.Module:
        network = self.problem.network(torch_stream(seed, "weights")).to(device)
        num_inputs = self.problem.defining_tensors()[0].shape[1]
        measure_sites(network, torch.zeros(1, num_inputs, device=device))
        return network


def reason_without_rate(regularizer: Regularizer, network: nn.Module) -> str | None:
    """Why no closed form is known for a regularizer in `network`: it acts at sites without a field `drop_rate`."""
    if "drop_rate" in vars(regularizer) or not regularizer.chosen_sites(network):
        return None
    return f"{type(regularizer).__name__} has no field drop_rate, which this task needs for its closed form."


def keep_rate_of(regularizers: Regularizers) -> float:
    """Keep rate of the regularizers: 1 minus the field `drop_rate` of the one that has it; 1 if none has.

    Raises:
        ValueError: if several have one, since the closed forms are for one mask.
    """
    rates = [float(vars(part)["drop_rate"]) for _, part in regularizers if "drop_rate" in vars(part)]
    if len(rates) > 1:
        raise ValueError(
            f"A theory task has a closed form for one drop rate, got {len(rates)}: combine one mask with penalties."
        )
    return 1 - rates[0] if rates else 1.0
