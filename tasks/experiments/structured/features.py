"""Figure 3 of Pal et al. 2020: DropBlock on the output of a convolutional network, before the last layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.datasets import DATASETS
from tasks.datasets.batches import Samples
from tasks.datasets.made_up import made_up_split
from tasks.linear.readings import block_norms
from tasks.linear.task import EXCESS, Reading, keep_rate_of, reason_without_rate
from tasks.metrics import squared_error
from tasks.protocol_task import DatasetTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Regularizer, Scalar
from tasks.runtime.streams import stream_seed
from tasks.sites import Site, chain_next_layers, measure_sites
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.theory.dropblock_optimum import dropblock_global_minimum
from tasks.training import Training
from tasks.workload import Workload

NUM_FEATURES = 80
BLOCK_SIZE = 5
NARROW_WIDTHS = (16, 32, 64)


class Bottleneck(nn.Module):
    """x -> U (site (trunk(x))): a network (trunk) with 80 output units, and a linear output layer without bias."""

    def __init__(self, trunk: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.site = Site("hidden")
        self.output = nn.Linear(NUM_FEATURES, num_classes, bias=False)
        chain_next_layers(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Predictions (B, classes)."""
        predictions: Tensor = self.output(self.site(self.trunk(x_BCHW)))
        return predictions


def narrow_trunk(in_channels: int) -> nn.Module:
    """Three strided convolutions with batch normalisation, global average pooling, and a layer to 80 units."""
    modules: list[nn.Module] = []
    for inputs, outputs in zip((in_channels, *NARROW_WIDTHS), NARROW_WIDTHS, strict=False):
        modules += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(NARROW_WIDTHS[-1], NUM_FEATURES))


def resnet50_trunk(in_channels: int) -> nn.Module:
    """Torchvision's ResNet-50, untrained, for any number of channels, with a last layer of 80 units."""
    from torchvision.models import resnet50

    trunk: nn.Module = resnet50(weights=None, num_classes=NUM_FEATURES)
    if in_channels != 3:
        trunk.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    return trunk


PINS: Mapping[str, Scalar] = {"block_size": BLOCK_SIZE, "scaling": "expected", "schedule": "constant"}
TRUNKS = {"paper": resnet50_trunk, "short": narrow_trunk, "smoke": narrow_trunk}


@dataclass(frozen=True, kw_only=True)
class FeatureBottleneck(DatasetTask):
    """Train a whole network with DropBlock before its last layer, and compare its predictions with Theorem 7.

    With features G (80 x N) and last weights U, training minimises
    F = ||Y - UG||_F^2 + (1 - keep) / keep sum_i ||U_i G_i||_F^2. Its closed-form minimum over all U and G is a lower
    bound F* for every trunk. Y are the one-hot classes. The trunk is ResNet-50 at scale `paper` and a narrow network at
    the other scales. The task is about optimisation: metrics are of the training data (the first 1000 images) in eval
    mode, also those named validation and test:

    * `excess_objective` = (F - F*) / ||Y||_F^2, the value that is ranked; `objective`, `minimum`;
    * `singular_value/i` and `bound_singular_value/i`: of UG, and of the minimiser's predictions;
    * `accuracy`: on the same samples.
    """

    dataset: str
    protocol: Protocol
    architecture: str = "trunk_bottleneck"
    metric: str = EXCESS
    higher_is_better: bool = False
    pins: Mapping[str, Scalar] = field(default_factory=lambda: dict(PINS))
    has_classes: ClassVar = False  # a regression on the one-hot classes

    def validation_fraction(self, scale: str) -> float:
        """0: nothing is held out, validation uses the training images."""
        return 0.0

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of all images and labels."""
        return DATASETS[self.dataset].splits(data_dir).fingerprint

    def example_network(self) -> nn.Module:
        """The narrow network, which has the same site as the full one."""
        return self._network("smoke", 0, torch.device("cpu"))

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Also skip a regularizer whose closed form is unknown."""
        return super().skip_reason(regularizer) or reason_without_rate(regularizer, self.example_network())

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """Network and data, compared with the bound at the regularizer's keep rate."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        train = DATASETS[self.dataset].splits(setting.data_dir).train.first(protocol.max_train_samples)
        return self._training(regularizers, setting, train.to(setting.device), protocol)

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload | None:
        """The workload; one evaluation processes the training images once, for both splits."""
        sizes, protocol = DATASETS[self.dataset].num_images(data_dir), self.protocol.at(scale)
        if sizes is None:
            return None
        num_used = min(filter(None, (sizes[0], protocol.max_train_samples)))
        return Workload.of(protocol, num_train=num_used, num_validation=num_used, num_test=0)

    def rehearse(
        self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None
    ) -> Rehearsal | None:
        """The network on one batch of random images."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        batch_size = min(filter(None, (protocol.batch_size, max_batch_size)))
        split = made_up_split(DATASETS[self.dataset], batch_size).to(setting.device)
        training = self._training(regularizers, setting, split, protocol)
        return Rehearsal(training=training, num_evaluated=batch_size)

    def _training(self, regularizers: Regularizers, setting: Setting, train: Samples, protocol: Protocol) -> Training:
        reading = self._reading(train, keep_rate_of(regularizers))
        splits = ("validation", "test") if setting.with_test else ("validation",)
        batches = train.batches(protocol.batch_size, setting.seed)

        def evaluate(network: nn.Module) -> Mapping[str, Mapping[str, float]]:
            measured = {**reading(network), "steps_per_epoch": float(len(batches))}
            return dict.fromkeys(splits, measured)

        return Training(
            self._network(setting.scale, setting.seed, setting.device),
            regularizers,
            batches,
            squared_error,
            evaluate,
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
        )

    def _network(self, scale: str, seed: int, device: torch.device) -> nn.Module:
        data = DATASETS[self.dataset]
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their weights from the global generator
            torch.manual_seed(stream_seed(seed, "weights"))
            network = Bottleneck(TRUNKS[scale](data.shape[0]), data.num_classes).to(device)
        measure_sites(network, torch.zeros(2, *data.shape, device=device))
        return network

    def _reading(self, train: Samples, keep: float) -> Reading:
        Y = torch.cat([batch.targets for batch in train.in_order()]).double().T
        beta = BLOCK_SIZE / NUM_FEATURES * (1 - keep) / keep
        best, minimum = dropblock_global_minimum(torch.linalg.svdvals(Y), beta, BLOCK_SIZE)
        bound = {f"bound_singular_value/{place}": float(value) for place, value in enumerate(_sorted(best), start=1)}

        def read(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, Bottleneck)
            features = torch.cat([network.trunk(batch.inputs) for batch in train.in_order()]).double()
            U = network.output.weight.double()
            predictions = U @ features.T
            objective = (Y - predictions).square().sum() + (1 - keep) / keep * block_norms(
                U, features.T, BLOCK_SIZE
            ).square().sum()
            values = torch.linalg.svdvals(predictions)
            return {
                EXCESS: float((objective - minimum) / Y.square().sum()),
                "objective": float(objective),
                "minimum": float(minimum),
                **{f"singular_value/{place}": float(value) for place, value in enumerate(values, start=1)},
                **bound,
                "accuracy": float((predictions.argmax(0) == Y.argmax(0)).double().mean()),
            }

        return read


def _sorted(values: Tensor) -> Tensor:
    return values.sort(descending=True).values


PROTOCOL = Protocol(
    source="Pal et al. 2020, section 5.2 (ResNet-50, 80 units, block size 5; size of the subsets, keep rate, learning "
    "rate and epochs are not given)",
    epochs=200,
    batch_size=50,
    learning_rate=0.02,
    momentum=0.9,
    nesterov=True,
    milestones=(0.5, 0.75),
    decay=0.2,
    evaluate_every_epochs=10,
    max_train_samples=1000,
    scales={
        "short": {"epochs": 60, "evaluate_every_epochs": 4},
        "smoke": {"epochs": 6, "max_train_samples": 500, "evaluate_every_epochs": 2},
    },
)

STRUCTURED_FIG3_MNIST = FeatureBottleneck(dataset="mnist", protocol=PROTOCOL)
"""DropBlock on 80 units before a linear output, on 1000 images of MNIST, against the bound of Theorem 7."""

STRUCTURED_FIG3_CIFAR10 = FeatureBottleneck(dataset="cifar10", protocol=PROTOCOL)
"""DropBlock on 80 units before a linear output, on 1000 images of CIFAR-10, against the bound of Theorem 7."""
