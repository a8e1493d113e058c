"""Image classification: a data set, an architecture and a protocol, ranked by test accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.attacks.attack import AttackSettings
from tasks.attacks.robust_error import robust_errors
from tasks.datasets.batches import Samples
from tasks.datasets.dataset import Splits
from tasks.datasets.made_up import made_up_split
from tasks.metrics import accuracy, average, clean_error, cross_entropy, top5_accuracy
from tasks.protocol_task import DatasetTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar
from tasks.runtime.streams import stream_seed
from tasks.sites import measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.training import LossFunction, Training
from tasks.workload import Workload

MAX_TRAIN_EVALUATED = 10_000  # training images whose accuracy is read, at the end or with each evaluation
METRICS = {
    "accuracy": accuracy,
    "clean_error": clean_error,
    "top5_accuracy": top5_accuracy,
    "cross_entropy": cross_entropy,
}
IMAGENET_METRICS = ("accuracy", "top5_accuracy", "cross_entropy")


@dataclass(frozen=True, kw_only=True)
class Classification(DatasetTask):
    """Train `architecture` on `dataset` by `protocol`; the value is accuracy in [0, 1], higher is better.

    With `attacks`, the trained network is also evaluated under attack, once, at the end; radius and step sizes are in
    grey levels from 0 to 1. `metric` may then be an error under attack, `robust_error/<name>`; `selected_by` names the
    metric that selects the best epoch and has the same direction.
    """

    dataset: str
    architecture: str
    protocol: Protocol
    options: Mapping[str, Scalar] = field(default_factory=dict)  # of the architecture
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    pins: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("accuracy", "cross_entropy")  # all that is reported; names in METRICS
    metric: str = "accuracy"
    higher_is_better: bool = True
    selected_by: str = ""  # one of `metrics`; empty: the metric itself
    num_outputs: int | None = None  # 1: the margin of class 1 over class 0; None: one for each class
    attacks: Mapping[str, AttackSettings] = field(default_factory=dict)
    attacks_at: Mapping[str, Mapping[str, AttackSettings]] = field(default_factory=dict)  # by scale, where it differs

    def __hash__(self) -> int:
        return id(self)  # tasks are module constants; `_example_network` caches by task

    def example_network(self) -> nn.Module:
        """The network with its sites measured, on torch's `meta` device: tensors have shapes but no values."""
        return _example_network(self)

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The network, initialised from the seed alone, on the data."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        splits = self.data.splits_of(setting.seed, setting.data_dir, protocol, setting.num_workers)
        train = splits.train.first(protocol.max_train_samples).to(setting.device)
        network = self.network(stream_seed(setting.seed, "weights")).to(setting.device)
        seen = {
            name: samples.first(protocol.max_evaluation_samples).to(setting.device)
            for name, samples in _seen(splits, setting.with_test).items()
        }
        seen_of_train = train.first(_num_train_evaluated(protocol))
        if protocol.evaluate_train and setting.with_test:
            seen["train"] = seen_of_train
        return Training(
            network,
            regularizers,
            train.batches(protocol.batch_size, setting.seed, protocol.augmentation),
            cross_entropy,
            lambda trained: {name: self.measured(trained, samples, setting) for name, samples in seen.items()},
            selection=(self.selected_by or self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            loss_of_labels=self._loss_of_labels,
            evaluate_at_end=lambda trained: {
                **self._under_attack(trained, seen, setting),
                "train": evaluate(trained, seen_of_train, self.metrics),
            },
        )

    @property
    def _loss_of_labels(self) -> LossFunction | None:
        """`cross_entropy` of labels; none for the margin of a single output."""
        return None if self.num_outputs == 1 else F.cross_entropy

    def measured(self, network: nn.Module, samples: Samples, setting: Setting) -> dict[str, float]:
        """The metrics of `network`, in eval mode, on one split; subclasses may add some to `metrics`."""
        return evaluate(network, samples, self.metrics)

    def _under_attack(
        self, network: nn.Module, seen: Mapping[str, Samples], setting: Setting
    ) -> dict[str, dict[str, float]]:
        """Errors under attack on the validation split, and on the test split if this training may see it."""
        space, attacks = self.input_space, self.attacks_at.get(setting.scale, self.attacks)
        if not attacks:
            return {}
        assert space is not None  # the preprocessing of tasks with attacks keeps the units of the inputs
        return {
            name: robust_errors(network, samples, attacks, space, setting.seed, setting.device)
            for name, samples in seen.items()
            if name != "train"
        }

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload | None:
        """The workload, from the sizes of the official training and test sets."""
        data, protocol = self.data, self.protocol.at(scale)
        sizes = data.num_images(data_dir)
        if sizes is None:
            return None
        num_train, num_test = sizes
        num_validation = round(num_train * data.held_out_fraction(protocol))
        return Workload.of(
            protocol,
            num_train=num_train - num_validation,
            num_validation=num_validation or num_train,  # where nothing is held out, training images are evaluated
            num_test=num_test,
            num_train_evaluated=MAX_TRAIN_EVALUATED,
        )

    def rehearse(
        self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None
    ) -> Rehearsal | None:
        """The network on one batch of random images, augmented as the protocol says."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        batch_size = min(filter(None, (protocol.batch_size, max_batch_size)))
        split = made_up_split(self.data, batch_size, protocol.preprocessing).to(setting.device)
        training = Training(
            self.network(stream_seed(setting.seed, "weights")).to(setting.device),
            regularizers,
            split.batches(batch_size, setting.seed, protocol.augmentation),
            cross_entropy,
            lambda trained: {"validation": self.measured(trained, split, setting)},
            selection=(self.selected_by or self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            loss_of_labels=self._loss_of_labels,
        )
        return Rehearsal(training=training, num_evaluated=batch_size)

    def network(self, seed: int) -> nn.Module:
        """A fresh network whose initial weights depend on `seed` alone."""
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their weights from the global generator
            torch.manual_seed(seed)
            return self.make_network(self.num_outputs or self.data.num_classes, *self.data.shape[:2], seed)

    def make_network(self, num_classes: int, in_channels: int, image_size: int, seed: int) -> nn.Module:
        """A network with measured sites, its weights drawn from torch's global generator.

        `seed` is for networks that draw random numbers of their own in training; those of the table do not use it.
        """
        network: nn.Module = ARCHITECTURES[self.architecture](
            num_classes=num_classes, in_channels=in_channels, image_size=image_size, **self.options
        )
        measure_sites(network, torch.zeros(1, in_channels, image_size, image_size))
        return network


@cache
def _example_network(task: Classification) -> nn.Module:
    """On torch's `meta` device, since a plan inspects dozens of networks, some of which have 34 M parameters."""
    with torch.device("meta"):
        return task.network(seed=0)


def _seen(splits: Splits, with_test: bool) -> dict[str, Samples]:
    """The splits that are evaluated during training."""
    return {"validation": splits.validation} | ({"test": splits.test} if with_test else {})


def _num_train_evaluated(protocol: Protocol) -> int:
    limit = protocol.max_evaluation_samples
    return MAX_TRAIN_EVALUATED if limit is None else min(limit, MAX_TRAIN_EVALUATED)


def evaluate(network: nn.Module, samples: Samples, metrics: Sequence[str]) -> dict[str, float]:
    """The values of the named `METRICS` for `network`, which is in eval mode, over all of `samples`."""
    seen = [(network(batch.inputs), batch.targets) for batch in samples.in_order()]
    outputs, targets = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return average({name: METRICS[name] for name in metrics}, outputs, targets)
