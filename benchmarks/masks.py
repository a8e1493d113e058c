"""What masks cost: a training step with a regularizer over the step of its unregularized twin.

Run `python -m benchmarks.masks`. One thread, batch 128, the conv net of Lu et al. 2021 (section 5.1) on 32x32 images
with a site behind each ReLU. All networks take turns, in shuffled order; the figure is the median over turns of the
ratio of CPU times, which other work on the machine disturbs little.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Context, Regularizer
from tasks.sites import Site, chain_next_layers, measure_sites

BATCH_SIZE = 128
ROUNDS = 7
CASES = {
    "none": (REGULARIZERS["none"](), 1.0),
    "dropout": (REGULARIZERS["dropout"](drop_rate=0.1, where="all"), 1.08),
    "dropblock": (REGULARIZERS["dropblock"](drop_rate=0.1, block_size=5, schedule="constant"), 1.05),
    "spatial_dropout": (REGULARIZERS["spatial_dropout"](drop_rate=0.1), 1.05),
    "block_feature_map_distortion": (
        REGULARIZERS["block_feature_map_distortion"](distortion_rate=0.1, block_size=5, schedule="constant"),
        1.30,
    ),
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


def run() -> list[dict[str, object]]:
    """One row per regularizer: the median seconds of a step, its ratio to the twin's, and the ratio to reach."""
    torch.set_num_threads(1)
    steps = {name: _training_step(name, regularizer) for name, (regularizer, _) in CASES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = random.Random(0)
    for turn in range(ROUNDS + 1):  # the first one warms up
        for name in order.sample(sorted(steps), len(steps)):
            started = time.process_time()
            steps[name]()
            if turn:
                seconds[name].append(time.process_time() - started)
    ratios = {
        name: statistics.median(own / twin for own, twin in zip(values, seconds["none"], strict=True))
        for name, values in seconds.items()
    }
    return [
        {
            "benchmark": "masks",
            "case": name,
            "seconds": statistics.median(seconds[name]),
            "ratio": ratios[name],
            "goal": goal,
            "num_rounds": ROUNDS,
        }
        for name, (_, goal) in CASES.items()
    ]


def _training_step(name: str, regularizer: Regularizer) -> Callable[[], None]:
    torch.manual_seed(0)
    network = ThreeConvs()
    measure_sites(network, torch.zeros(1, 3, 32, 32))
    context = Context(
        seed=0,
        device=torch.device("cpu"),
        name=name,
        num_train_samples=BATCH_SIZE,
        num_epochs=1,
        num_steps=ROUNDS + 1,
        learning_rate=0.01,
    )
    regularizer.attach(network, context)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    inputs, targets = torch.randn(BATCH_SIZE, 3, 32, 32), torch.randint(10, (BATCH_SIZE,))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


if __name__ == "__main__":
    for row in run():
        print("{case:32s} {ratio:6.3f} (goal {goal:.2f})  {seconds:.3f} s".format(**row))
