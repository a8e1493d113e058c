"""Figure 4-2 of Mianjy's thesis: co-adaptation of hidden units in two-layer ReLU networks with dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.datasets import DATASETS
from tasks.datasets.batches import Split
from tasks.datasets.made_up import made_up_split
from tasks.metrics import squared_error
from tasks.protocol_task import DatasetTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar
from tasks.runtime.state import State
from tasks.runtime.streams import stream_seed
from tasks.sites import measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.theory.flows import co_adaptation, flow_norm, flows, relu_second_moments
from tasks.training import Training
from tasks.workload import Workload

LATE = 1 / 3  # the last fraction of the evaluations, over which the gap is averaged


@dataclass(frozen=True, kw_only=True)
class CoAdaptation(DatasetTask):
    """Train f(x) = u' relu(Vx) on two classes y = -1 and 1; the value is the mean squared error on held-out images.

    Metrics on every split: `squared_error` and `accuracy`. Of the weights, with the test images: `co_adaptation` (phi,
    which is large if units contribute equally) and its smallest possible value `co_adaptation_floor`,
    `alpha_over_sqrt_n` (total flow divided by the root of the number of training images), `explicit_regularizer`
    (sum_j u_j^2 a_j^2, without dropout's strength) and `flow_excess`, alpha divided by its bound
    sqrt(width * regularizer), minus 1. At the end `generalization_gap`, test minus training error averaged over the
    last third of all evaluations, and `train_accuracy`. The protocol holds nothing out, so that the validation error is
    that of the training images. With `symmetrised`, a_j averages over both signs of each image.
    """

    dataset: str
    width: int
    protocol: Protocol
    symmetrised: bool = False
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    pins: Mapping[str, Scalar] = field(default_factory=dict)
    architecture: str = field(init=False)
    metric: str = "squared_error"
    higher_is_better: bool = False
    has_classes: ClassVar = False

    def __post_init__(self) -> None:
        """Name the architecture by its width."""
        object.__setattr__(self, "architecture", f"two_layer_relu_{self.width}")

    def __hash__(self) -> int:
        return id(self)  # tasks are module constants; `_example_network` caches by task

    def example_network(self) -> nn.Module:
        """The network with its sites measured, on torch's `meta` device: tensors have shapes but no values."""
        return _example_network(self)

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The network, initialised from the seed alone, on the two classes."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        splits = DATASETS[self.dataset].splits(setting.data_dir, protocol)
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        signed = {name: _signed(samples, setting.device) for name, samples in parts.items()}
        train = signed.pop("train").first(protocol.max_train_samples)
        if self.validation_fraction(setting.scale) == 0:  # then validation uses the training images
            signed["validation"] = train
        if not setting.with_test:
            del signed["test"]
        return self._training(regularizers, train, signed, setting)

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload | None:
        """The workload, from the sizes of the official training and test sets."""
        protocol, sizes = self.protocol.at(scale), DATASETS[self.dataset].num_images(data_dir)
        if sizes is None:
            return None
        num_validation = round(sizes[0] * self.validation_fraction(scale))
        num_train = sizes[0] - num_validation
        num_seen = num_validation or min(num_train, protocol.max_train_samples or num_train)
        return Workload.of(protocol, num_train=num_train, num_validation=num_seen, num_test=sizes[1])

    def rehearse(self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None) -> Rehearsal:
        """The network on one batch of random images."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        batch_size = min(filter(None, (protocol.batch_size, max_batch_size)))
        split = _signed(made_up_split(DATASETS[self.dataset], batch_size, protocol.preprocessing), setting.device)
        training = self._training(regularizers, split, {"validation": split}, setting)
        return Rehearsal(training=training, num_evaluated=batch_size)

    def _training(
        self, regularizers: Regularizers, train: Split, seen: Mapping[str, Split], setting: Setting
    ) -> Training:
        protocol = self.protocol.at(setting.scale, setting.switches)
        readings = _Readings(seen, train, symmetrised=self.symmetrised)
        return Training(
            self.network(stream_seed(setting.seed, "weights")).to(setting.device),
            regularizers,
            train.batches(protocol.batch_size, setting.seed),
            squared_error,
            readings,
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            evaluate_at_end=lambda trained: readings.at_end(trained),
        )

    def network(self, seed: int) -> nn.Module:
        """A new network whose initial weights depend on `seed` only."""
        channels, size, _ = DATASETS[self.dataset].shape
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their weights from the global generator
            torch.manual_seed(seed)
            network = TwoLayerReLU(
                num_classes=1, in_channels=channels, image_size=size, width=self.width, has_biases=False
            )
            measure_sites(network, torch.zeros(1, channels, size, size))
        return network


class _Readings:
    """Errors on the splits that a training may see, and the network's flows on held-out images."""

    def __init__(self, seen: Mapping[str, Split], train: Split, *, symmetrised: bool) -> None:
        self._seen, self._train, self._symmetrised = seen, train, symmetrised
        self._held_out = seen.get("test", seen["validation"])
        self._gaps: list[float] = []

    def __call__(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """The metrics of each evaluation."""
        measured = {name: _errors(network, split) for name, split in self._seen.items()}
        if "test" in measured:
            is_seen = self._seen["validation"] is self._train
            errors = measured["validation"] if is_seen else _errors(network, self._train)
            self._gaps.append(measured["test"]["squared_error"] - errors["squared_error"])
        flow = self._flow(network)
        return {name: values | flow for name, values in measured.items()}

    def at_end(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """The gap over the last evaluations, and errors on the training images."""
        errors = _errors(network, self._train)
        if "test" not in self._seen:
            return {"train": errors}
        late = self._gaps[-max(1, round(LATE * len(self._gaps))) :]
        found = {"generalization_gap": sum(late) / len(late), "train_accuracy": errors["accuracy"]}
        return {"test": found, "train": errors}

    def state(self) -> State:
        """All gaps so far."""
        return {"gaps": list(self._gaps)}

    def restore(self, state: State) -> None:
        """Set the gaps so far."""
        self._gaps = list(state["gaps"])

    def _flow(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, TwoLayerReLU)
        hidden, output = (layer.weight.detach() for layer in (network.hidden, network.output))
        inputs = torch.cat([batch.inputs for batch in self._held_out.in_order()]).flatten(1)
        moments = relu_second_moments(hidden, inputs, symmetrised=self._symmetrised).double()
        of_units = flows(output.double(), moments)
        alpha, regularizer = flow_norm(of_units), of_units.square().sum()
        return {
            "co_adaptation": float(co_adaptation(of_units)),
            "co_adaptation_floor": len(of_units) ** -0.5,
            "alpha_over_sqrt_n": float(alpha) / len(self._train) ** 0.5,
            "explicit_regularizer": float(regularizer),
            "flow_excess": float(alpha / (len(of_units) * regularizer).sqrt()) - 1,
        }


def _errors(network: nn.Module, split: Split) -> dict[str, float]:
    """Mean squared error, and the fraction of samples whose output has the sign of its class."""
    outputs = torch.cat([network(batch.inputs) for batch in split.in_order()]).squeeze(1)
    targets = split.targets.squeeze(1)
    right = (outputs * targets > 0).double().mean()
    return {"squared_error": float((outputs - targets).square().double().mean()), "accuracy": float(right)}


def _signed(samples: object, device: torch.device) -> Split:
    """The split with classes 0 and 1 as targets -1 and 1, (N, 1)."""
    assert isinstance(samples, Split)
    return replace(samples, targets=2 * samples.targets[:, 1:] - 1).to(device)


@cache
def _example_network(task: CoAdaptation) -> nn.Module:
    with torch.device("meta"):
        return task.network(seed=0)


FIG_4_2_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 4.6 (learning rate 1e-3, 30 epochs, 50 runs); not given: the optimizer (Adam; by "
    "descent at this rate too little is learnt), batches (64), widths, initial weights (torch's), and on which iterate "
    "the gap is read (the mean over the last third)",
    epochs=30,
    batch_size=64,
    learning_rate=1e-3,
    optimizer="adam",
    momentum=0.0,
    nesterov=False,
    validation_fraction=0.0,
    evaluate_every_epochs=2,
    scales={
        "short": {},
        "smoke": {"epochs": 20, "max_train_samples": 3_000},
    },
)

THESIS_FIG4_2_WIDTH_16 = CoAdaptation(dataset="mnist_4v7", width=16, protocol=FIG_4_2_PROTOCOL)
"""16 ReLU units on MNIST's digits 4 and 7: co-adaptation, generalization gap and total flow."""

THESIS_FIG4_2_WIDTH_64 = replace(THESIS_FIG4_2_WIDTH_16, width=64)
"""64 ReLU units on MNIST's digits 4 and 7: co-adaptation, generalization gap and total flow."""

THESIS_FIG4_2_WIDTH_256 = replace(THESIS_FIG4_2_WIDTH_16, width=256)
"""256 ReLU units on MNIST's digits 4 and 7: co-adaptation, generalization gap and total flow."""

THESIS_FIG4_2_SYMMETRISED_WIDTH_16 = replace(THESIS_FIG4_2_WIDTH_16, dataset="mnist_4v7_symmetrised", symmetrised=True)
"""16 ReLU units on digits 4 and 7 with random signs: co-adaptation, generalization gap and total flow."""

THESIS_FIG4_2_SYMMETRISED_WIDTH_64 = replace(THESIS_FIG4_2_SYMMETRISED_WIDTH_16, width=64)
"""64 ReLU units on digits 4 and 7 with random signs: co-adaptation, generalization gap and total flow."""

THESIS_FIG4_2_SYMMETRISED_WIDTH_256 = replace(THESIS_FIG4_2_SYMMETRISED_WIDTH_16, width=256)
"""256 ReLU units on digits 4 and 7 with random signs: co-adaptation, generalization gap and total flow."""
