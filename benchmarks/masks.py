"""What masks cost: a training step with a regularizer over the step of its unregularized twin.

Run `python -m benchmarks masks`. One thread, batch 128, 32x32 images, two networks: the conv net of Lu et
al. 2021 (section 5.1) with a site behind each ReLU, and ResNet-56 with a site behind each of the 54 conv layers in its
blocks. All networks of one kind take turns, in shuffled order; the figure is the median over turns of the ratio of CPU
times, which other work on the machine disturbs little.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.processes import process
from benchmarks.sizes import sized
from tasks.architectures import ARCHITECTURES
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch, Context, Regularizer, Step
from tasks.regularizers.parts.localdrop_sites import BlockKeep
from tasks.sites import Site, chain_next_layers, measure_sites

BATCH_SIZE, ROUNDS = sized((128, 7), (2, 1))
STEPS_PER_EPOCH = 390  # 50,000 images
RATE_STEP = "localdrop with a step on the rates"


def _contestant(name: str, **fields: object) -> Regularizer:
    make: Callable[..., Regularizer] = REGULARIZERS[name]
    return make(**fields)


CASES: dict[str, Regularizer] = {
    "none": _contestant("none"),
    "dropout": _contestant("dropout", drop_rate=0.1, where="all"),
    "dropblock": _contestant("dropblock", drop_rate=0.1, block_size=5, schedule="constant"),
    "spatial_dropout": _contestant("spatial_dropout", drop_rate=0.1),
    "block_feature_map_distortion": _contestant(
        "block_feature_map_distortion", distortion_rate=0.1, block_size=5, schedule="constant"
    ),
    "variational_dropout": _contestant("variational_dropout", form="B"),
    "localdrop": _contestant("localdrop", h_conv=2, keep_interval_steps=10**9),
    RATE_STEP: _contestant("localdrop", h_conv=2, keep_interval_steps=1),
}
GOALS: dict[str, dict[str, float]] = {  # ratios to reach; what is not listed is not run
    "three_convs": {
        "none": 1.0,
        "dropout": 1.08,
        "dropblock": 1.05,
        "spatial_dropout": 1.05,
        "block_feature_map_distortion": 1.30,
        "variational_dropout": 2.3,
        "localdrop": 1.20,
        RATE_STEP: math.inf,
    },
    "resnet56": {
        "none": 1.0,
        "dropout": 1.20,
        "dropblock": 1.15,
        "spatial_dropout": 1.05,
        "block_feature_map_distortion": 1.50,
        "localdrop": 1.20,
        RATE_STEP: math.inf,
    },
}


class ThreeConvs(nn.Module):
    """conv 96, 128, 256 (5x5), each with ReLU and max-pooling 3 by stride 2, and two dense layers of 2048."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group, width in enumerate((96, 128, 256), start=1):
            layers += [nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(), Site("conv", group=group)]
            layers.append(nn.MaxPool2d(3, stride=2))
            channels = width
        layers.append(nn.Flatten())
        features = 256 * 3 * 3
        for _ in range(2):
            layers += [nn.Linear(features, 2048), nn.ReLU(), Site("dense", group=4)]
            features = 2048
        self.layers = nn.Sequential(*layers, nn.Linear(features, 10))
        chain_next_layers(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, 10)."""
        scores: Tensor = self.layers(x_BCHW)
        return scores


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "three_convs": ThreeConvs,
    "resnet56": lambda: ARCHITECTURES["resnet56"](num_classes=10, in_channels=3, image_size=32),
}


def run() -> list[dict[str, object]]:
    """One row per network and regularizer: the median seconds of a step, its ratio to the twin's, the one to reach.

    The row of LocalDrop adds a tenth of a step on the rates and its share of a shrinkage every 10 epochs.
    """
    with process() as executor:
        return [row for network in NETWORKS for row in executor.submit(_rows, network).result()]


def _rows(network: str) -> list[dict[str, object]]:
    trainers = {name: _Trainer(network, name) for name in GOALS[network]}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    order = random.Random(0)
    for turn in range(ROUNDS + 1):  # the first one warms up
        for name in order.sample(sorted(trainers), len(trainers)):
            started = time.process_time()
            trainers[name].step()
            if turn:
                seconds[name].append(time.process_time() - started)
    started = time.process_time()
    trainers["localdrop"].hooks.after_epoch(10, trainers["localdrop"].network)
    shrinkage = (time.process_time() - started) / (10 * STEPS_PER_EPOCH)
    pairs = zip(seconds["localdrop"], seconds.pop(RATE_STEP), strict=True)
    seconds["localdrop"] = [0.9 * without + 0.1 * whole + shrinkage for without, whole in pairs]
    return [_row(network, name, values, seconds["none"]) for name, values in seconds.items()]


def _row(network: str, name: str, values: list[float], twin: list[float]) -> dict[str, object]:
    return {
        "benchmark": "masks",
        "network": network,
        "case": name,
        "seconds": statistics.median(values),
        "ratio": statistics.median(own / other for own, other in zip(values, twin, strict=True)),
        "goal": GOALS[network][name],
        "num_rounds": ROUNDS,
    }


class _Trainer:
    """A network with one regularizer, and its training step with the hooks that a step has."""

    def __init__(self, network: str, name: str) -> None:
        torch.manual_seed(0)
        self.network = NETWORKS[network]()
        measure_sites(self.network, torch.zeros(1, 3, 32, 32))
        context = Context(
            seed=0,
            device=torch.device("cpu"),
            name=name,
            num_train_samples=50_000,
            num_epochs=1,
            num_steps=ROUNDS + 1,
            learning_rate=0.01,
        )
        self.hooks = CASES[name].attach(self.network, context)
        for module in self.network.modules():
            if isinstance(module, BlockKeep):
                module.variable.fill_(0.1)  # at 0, where learning starts, nothing is dropped
        self._optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)
        inputs, labels = torch.randn(BATCH_SIZE, 3, 32, 32), torch.randint(10, (BATCH_SIZE,))
        self._step = Step(
            network=self.network,
            loss=lambda batch: F.cross_entropy(self.network(batch.inputs), batch.targets),
            rng=np.random.default_rng(0),
            index=0,
            epoch=1,
            progress=0.5,
            batch=Batch(inputs, F.one_hot(labels, 10).float()),
            learning_rate=0.01,
        )

    def step(self) -> None:
        assert self._step.batch is not None
        self.network.train()
        self._optimizer.zero_grad(set_to_none=True)
        loss, penalty = self._step.loss(self._step.batch), self.hooks.penalty(self._step)
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        self._optimizer.step()
        self.hooks.after_step(self._step)
