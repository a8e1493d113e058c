"""Matrix completion as a task: a factor model is trained on ratings and evaluated on held-out ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.completion.factor_model import FactorModel
from tasks.completion.own_step import own_step
from tasks.completion.readings import Readings, at_end
from tasks.datasets import DATASETS
from tasks.datasets.batches import Split
from tasks.datasets.ratings import Ratings
from tasks.metrics import squared_error
from tasks.protocol_task import DatasetTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Regularizer, Scalar
from tasks.runtime import compiled
from tasks.runtime.streams import torch_stream
from tasks.sites import measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.training import Training
from tasks.workload import Workload

MAX_TRAIN_EVALUATED = 100_000  # training ratings whose error is evaluated


@dataclass(frozen=True, kw_only=True)
class Completion(DatasetTask):
    """Train a factor model of a given width on ratings; the value is the root mean squared error on held-out ratings.

    Ratings are not centred: the model has no bias, and learns their common level like one. Further metrics on
    validation and test ratings: `oracle_rmse`, the lowest error of all evaluations so far, which on test ratings is an
    oracle. At the end, stored with the test split: `completion_regularizer` (what dropout adds to the loss on the
    training ratings, without its strength), `population_regularizer` and `induced_regularizer` (for entries drawn from
    the product of the frequencies of users and items), `weighted_trace_norm`, `unseen_fraction` (fraction of test
    ratings whose user or item has no training rating), and for regularizers with one field `drop_rate` the
    `dropout_objective` (loss plus regularizer at that rate), `dropout_deviation` (relative deviation of the sampled
    objective from it; large if the regularizer's masks are not those of dropout) and `sampling_error`.

    The kernel's steps equal those of autograd up to rounding; it is used if it supports the regularizer's masks. It is
    plain SGD: the protocol must have the optimizer `sgd` without momentum and weight decay.
    """

    dataset: str
    width: int
    protocol: Protocol
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    pins: Mapping[str, Scalar] = field(default_factory=dict)
    makes_own_steps: bool = True  # use the kernel where possible; False: autograd for all regularizers
    architecture: str = field(init=False)
    metric: str = "rmse"
    higher_is_better: bool = False
    has_classes: ClassVar = False

    def __post_init__(self) -> None:
        """Name the architecture by its width."""
        object.__setattr__(self, "architecture", f"factor_model_{self.width}")

    def __hash__(self) -> int:
        return id(self)  # tasks are module constants; `_example_network` caches by task

    @property
    def libraries(self) -> tuple[str, ...]:
        """The compiled loops of its steps, which import numba, where that is installed."""
        return ("tasks.theory.completion_kernels_compiled",) if compiled.is_available() else ()

    def example_network(self) -> nn.Module:
        """The network with its sites measured, on torch's `meta` device: tensors have shapes but no values."""
        return _example_network(self)

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Also skip regularizers that perturb inputs, which are indices here."""
        if regularizer.needs_input_units:
            return f"{type(regularizer).__name__} perturbs inputs; inputs of this task are indices of rows and columns."
        return super().skip_reason(regularizer)

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The factors, drawn from the seed, on the ratings."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        splits = self._ratings.splits(setting.data_dir, protocol)
        train = splits.train.first(protocol.max_train_samples).to(setting.device)
        names = ("validation", "test") if setting.with_test else ("validation",)
        seen = {name: getattr(splits, name).first(protocol.max_evaluation_samples).to(setting.device) for name in names}
        if self.validation_fraction(setting.scale) == 0:  # then validation uses the training ratings
            seen["validation"] = train.first(MAX_TRAIN_EVALUATED)
        network = self._network(self._ratings.size(setting.data_dir), setting)
        network.observe(train.inputs)
        return self._training(network, regularizers, train, Readings(seen), setting)

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload:
        """The workload, from the counts of the official release."""
        protocol, (num_train, num_test) = self.protocol.at(scale), self._ratings.num_images(data_dir)
        num_validation = round(num_train * self.validation_fraction(scale))
        return Workload.of(
            protocol,
            num_train=num_train - num_validation,
            num_validation=num_validation or min(num_train, MAX_TRAIN_EVALUATED),
            num_test=num_test,
            num_train_evaluated=MAX_TRAIN_EVALUATED,
        )

    def rehearse(self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None) -> Rehearsal:
        """The factors of the official size, on one batch of random entries."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        batch_size = min(filter(None, (protocol.batch_size, max_batch_size)))
        sizes, generator = (self._ratings.num_rows, self._ratings.num_columns), torch_stream(0, "made up ratings")
        places = torch.stack([torch.randint(size, (batch_size,), generator=generator) for size in sizes], 1)
        values = 1 + 4 * torch.rand(batch_size, 1, generator=generator)
        split = Split(inputs=places, targets=values).to(setting.device)
        training = self._training(
            self._network(sizes, setting), regularizers, split, Readings({"validation": split}), setting
        )
        return Rehearsal(training=training, num_evaluated=batch_size)

    def _training(
        self, network: FactorModel, regularizers: Regularizers, train: Split, readings: Readings, setting: Setting
    ) -> Training:
        protocol = self.protocol.at(setting.scale, setting.switches)
        rates = [float(vars(part)["drop_rate"]) for _, part in regularizers if "drop_rate" in vars(part)]
        return Training(
            network,
            regularizers,
            train.batches(protocol.batch_size, setting.seed),
            squared_error,
            readings,
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            evaluate_at_end=lambda trained: at_end(trained, train.first(MAX_TRAIN_EVALUATED), readings, rates),
            own_step=own_step if self.makes_own_steps else None,
        )

    @property
    def _ratings(self) -> Ratings:
        dataset = DATASETS[self.dataset]
        assert isinstance(dataset, Ratings)
        return dataset

    def _network(self, sizes: tuple[int, int], setting: Setting) -> FactorModel:
        network = FactorModel(*sizes, self.width, torch_stream(setting.seed, "weights"))
        measure_sites(network, _PLACE)
        return network.to(setting.device)


_PLACE: Tensor = torch.zeros(1, 2, dtype=torch.int64)


@cache
def _example_network(task: Completion) -> nn.Module:
    """The network on torch's `meta` device, without values."""
    ratings = task._ratings
    with torch.device("meta"):
        network = FactorModel(ratings.num_rows, ratings.num_columns, task.width, None)
        measure_sites(network, torch.zeros(1, 2, dtype=torch.int64))
    return network
