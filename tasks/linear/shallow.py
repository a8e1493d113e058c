"""Two linear layers trained with DropBlock, compared with the closed-form minimum (Pal et al. 2020, section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Batches, Split
from tasks.datasets.dataset import fingerprint
from tasks.linear.chain_task import ChainTask
from tasks.linear.networks import LinearPair
from tasks.linear.readings import stochastic_objective
from tasks.linear.synthetic import NUM_HIDDEN, NUM_INPUTS, NUM_OUTPUTS, NUM_SAMPLES, linear_samples
from tasks.metrics import squared_error
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar
from tasks.runtime.state import State
from tasks.runtime.streams import torch_stream
from tasks.sites import measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.theory.structured import dropblock_global_minimum, dropblock_objective
from tasks.training import Training
from tasks.workload import Workload

SHALLOW_LINEAR = Protocol(
    source="Pal et al. 2020, section 5.1 (one sample per step, 1e5 steps; the learning rate is not given)",
    epochs=100,
    batch_size=1,
    learning_rate=1e-5,  # with one sample per step, larger ones diverge
    momentum=0.0,
    nesterov=False,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 200, "batch_size": 20, "learning_rate": 5e-5, "evaluate_every_epochs": 10},
        "smoke": {"epochs": 60, "batch_size": 50, "learning_rate": 5e-5, "evaluate_every_epochs": 15},
    },
)


NUM_MASKS = 64  # whose mean is one measurement of the stochastic objective


@dataclass(frozen=True, kw_only=True)
class ShallowLinear(ChainTask):
    """Train two linear layers on Y = MX and measure the distance to DropBlock's global minimum.

    The reference is the deterministic objective F of DropBlock with blocks of `block_size` units kept with
    probability `keep` (Lemma 1), whose minimum F* is known in closed form (Theorem 7). Metrics:

    * `relative_distance` = (F - F*) / F*, lower is better, never negative: the value that is ranked;
    * `stochastic_deviation` = |average over masks of the regularizer's own training objective - F| / F, which is about
      the sampling error if the masks have DropBlock's distribution (with non-overlapping blocks), and larger otherwise;
    * `largest_stochastic_deviation` = the largest of these since training began.

    The task is about optimisation, so validation and test are the same measurement. Seeds differ in initial weights and
    masks; the data are the same for all, as in the paper. `drop_rate`, `block_size` and the scaling by expected keep
    rates belong to the problem and are pinned for every regularizer that has such a field.
    """

    keep: float
    block_size: int = 5
    protocol: Protocol = SHALLOW_LINEAR
    dataset: str = "synthetic_linear"
    architecture: str = "linear_pair"
    metric: str = "relative_distance"
    higher_is_better: bool = False
    pins: Mapping[str, Scalar] = field(init=False)
    has_classes: ClassVar = False

    def __post_init__(self) -> None:
        """Pin the rate and size of the blocks."""
        blocks = {"drop_rate": 1 - self.keep, "block_size": self.block_size}
        object.__setattr__(self, "pins", {**blocks, "scaling": "expected", "schedule": "constant"})

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of X and Y."""
        return fingerprint(*_data())

    def example_network(self) -> nn.Module:
        """The network with its hidden site measured."""
        network = LinearPair(NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS, torch_stream(0, "weights"))
        measure_sites(network, torch.zeros(1, NUM_INPUTS))
        return network

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The network, drawn from the seed, on the paper's synthetic data."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        inputs, targets = (tensor.to(setting.device) for tensor in _data())
        network = LinearPair(NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS, torch_stream(setting.seed, "weights"))
        network = network.to(setting.device)
        measure_sites(network, inputs[:1])
        names = ("validation", "test") if setting.with_test else ("validation",)
        return Training(
            network,
            regularizers,
            Batches(Split(inputs=inputs, targets=targets), protocol.batch_size, setting.seed),
            squared_error,
            _Reading(self, inputs, targets, names),
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
        )

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload:
        """The workload; one evaluation counts as one sample."""
        return Workload.of(self.protocol.at(scale), num_train=NUM_SAMPLES, num_validation=1, num_test=0)

    def rehearse(self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None) -> Rehearsal:
        """The training itself, which needs no files."""
        return Rehearsal(training=self.prepare(regularizers, setting), num_evaluated=1)

    def global_minimum(self) -> float:
        """F*, summed over samples."""
        beta = self.block_size / NUM_HIDDEN * (1 - self.keep) / self.keep
        return float(dropblock_global_minimum(_target_spectrum(), beta, self.block_size)[1])


class _Reading:
    """Compares a network with the closed form of one task."""

    def __init__(self, task: ShallowLinear, inputs: Tensor, targets: Tensor, names: Sequence[str]) -> None:
        self._task, self._minimum = task, task.global_minimum()
        self._inputs, self._targets, self._names = inputs, targets, names
        self._largest_deviation = 0.0

    def __call__(self, network: nn.Module) -> dict[str, dict[str, float]]:
        return dict.fromkeys(self._names, self._of(network))

    def state(self) -> State:
        return {"largest_deviation": self._largest_deviation}

    def restore(self, state: State) -> None:
        self._largest_deviation = state["largest_deviation"]

    def _of(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, LinearPair)
        U, V = network.factors()
        Y, X = self._targets.double().T, self._inputs.double().T
        objective = float(dropblock_objective(Y, X, U, V, self._task.keep, self._task.block_size))
        sampled = stochastic_objective(network, self._inputs, self._targets, NUM_MASKS)
        deviation = abs(sampled.mean - objective) / objective
        self._largest_deviation = max(self._largest_deviation, deviation)
        return {
            "relative_distance": objective / self._minimum - 1,
            "objective": objective,
            "stochastic_deviation": deviation,
            "largest_stochastic_deviation": self._largest_deviation,
        }


@lru_cache(maxsize=1)
def _data() -> tuple[Tensor, Tensor]:
    return linear_samples()


@lru_cache(maxsize=1)
def _target_spectrum() -> Tensor:
    spectrum: Tensor = torch.linalg.svdvals(_data()[1].double())
    return spectrum


SHALLOW_LINEAR_DROPBLOCK = ShallowLinear(keep=0.5)
"""Linear network 100-50-80 against DropBlock's closed-form minimum at block size 5 and keep rate 0.5."""

SHALLOW_LINEAR_DROPBLOCK_KEEP_08 = replace(SHALLOW_LINEAR_DROPBLOCK, keep=0.8)
"""Linear network 100-50-80 against DropBlock's closed-form minimum at block size 5 and keep rate 0.8."""
