"""What a step of a small net costs: the training loop with each regularizer over a loop written by hand.

Run `python -m benchmarks small_nets`. Three nets, as the arena trains them: dense and conv net on 8x8 images, LeNet on
28x28 images, all random; one thread. The loop written by hand has the same net without sites, torch's SGD, and the same
images, as floats that are normalised in advance and gathered in an order of each epoch. All loops of one net take turns
of one epoch in shuffled order, in a trial's process. The figure is the median over turns of the ratio of CPU times.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.processes import process
from benchmarks.sizes import sized
from tasks.classification import Classification
from tasks.datasets.batches import Batches
from tasks.datasets.made_up import made_up_split
from tasks.experiments import TASKS
from tasks.metrics import cross_entropy
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.regularizers.parts.localdrop_sites import BlockKeep
from tasks.runtime.streams import stream_seed
from tasks.training import Training

NUM_IMAGES, ROUNDS = sized((640, 9), (64, 1))  # images of an epoch
BY_HAND = "by hand"


CASES: dict[str, Regularizer] = {  # with their default hyperparameters, which are the papers'
    name: REGULARIZERS[name]()
    for name in (
        "none",
        "dropout",
        "gaussian_dropout",
        "spatial_dropout",
        "dropblock",
        "dropblock_sample",
        "localdrop",
        "feature_map_distortion",
        "block_feature_map_distortion",
    )
}
TASK_OF = {"mlp": "digits-200-mlp", "convnet_small": "digits-200-convnet", "lenet": "mnist-1k-lenet"}
DISTORTING = dict.fromkeys(("localdrop", "feature_map_distortion", "block_feature_map_distortion"), 1.25)
GOALS: dict[str, dict[str, float]] = {  # ratios to reach; what is not listed is not run
    "mlp": dict.fromkeys(("dropout", "dropblock_sample", "localdrop", "feature_map_distortion"), math.inf)
    | {"none": 1.05},
    "convnet_small": dict.fromkeys(CASES, 1.15) | DISTORTING | {"none": 1.05},
    "lenet": dict.fromkeys(CASES, 1.10) | dict.fromkeys(DISTORTING, 1.15) | {"none": 1.05},
}


def run() -> list[dict[str, object]]:
    """One row per net and regularizer: the median seconds of a step, its ratio to the other loop's, the goal."""
    with process() as executor:
        return [row for net in TASK_OF for row in executor.submit(_rows, net).result()]


def _rows(net: str) -> list[dict[str, object]]:
    trainings = {name: _training(net, name) for name in GOALS[net]}
    epochs: dict[str, Callable[[], object]] = {
        name: lambda each=training: each.run_epoch(1)  # type: ignore[misc]  # bound by its default
        for name, training in trainings.items()
    }
    epochs[BY_HAND] = _by_hand(net, trainings["none"])
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    order = random.Random(0)
    for turn in range(ROUNDS + 1):  # the first one warms up
        for name in order.sample(sorted(epochs), len(epochs)):
            if name != BY_HAND:
                trainings[name].seek(len(trainings[name].batches))
            started = time.process_time()
            epochs[name]()
            if turn:
                seconds[name].append(time.process_time() - started)
    theirs = seconds.pop(BY_HAND)
    return [
        {
            "network": net,
            "case": name,
            "seconds_per_step": statistics.median(values) / len(trainings[name].batches),
            "ratio": statistics.median(own / other for own, other in zip(values, theirs, strict=True)),
            "goal": f"<={GOALS[net][name]:g}",
            "num_rounds": len(values),
        }
        for name, values in seconds.items()
    ]


def _training(net: str, name: str) -> Training:
    """The task's training on made-up images, at half its length, and with a drop rate where one is learned."""
    task = TASKS[TASK_OF[net]]
    assert isinstance(task, Classification)
    split = made_up_split(task.data, NUM_IMAGES)
    training = Training(
        task.network(stream_seed(0, "weights")),
        [(name, CASES[name])],
        split.batches(task.protocol.batch_size, 0, task.protocol.augmentation),
        cross_entropy,
        lambda trained: {"validation": {"accuracy": 0.0}},
        selection=("accuracy", True),
        protocol=replace(task.protocol, epochs=2),
        learning_rate=1e-4,  # random labels: larger ones could let a net diverge
        seed=0,
        loss_of_labels=F.cross_entropy,
    )
    for module in training.network.modules():
        if isinstance(module, BlockKeep):
            module.variable.fill_(0.1)  # at 0, where learning starts, nothing is dropped
    return training


def _by_hand(net: str, training: Training) -> Callable[[], object]:
    """One epoch of a plain loop on the same images."""
    batches, protocol = training.batches, training.protocol
    assert isinstance(batches, Batches)
    images, labels = batches.normalised(batches.split.inputs), batches.split.targets.argmax(1)
    plain = PLAIN_NETS[net]()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-4, momentum=protocol.momentum, nesterov=protocol.nesterov)

    def epoch() -> None:
        plain.train()
        for chosen in torch.split(torch.randperm(len(images)), batches.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(plain(images[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]  # untyped
            optimizer.step()

    return epoch


class _PlainConvNet(nn.Module):
    """As `ConvNetSmall`, for digits."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.dense, self.top = nn.Linear(16 * 4 * 4, 64), nn.Linear(64, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = torch.relu(self.first(x_BCHW))
        x = F.max_pool2d(torch.relu(x + self.second(x)), 2)
        scores: Tensor = self.top(torch.relu(self.dense(x.flatten(1))))
        return scores


PLAIN_NETS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    ),
    "convnet_small": _PlainConvNet,
    "lenet": lambda: nn.Sequential(
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        ),
        nn.Sequential(nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 500), nn.ReLU(), nn.Linear(500, 10)),
    ),
}
