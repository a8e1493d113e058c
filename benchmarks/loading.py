"""Training input: our batches from memory against torchvision's per-image transforms in a DataLoader, interleaved.

`REGARENA_BENCHMARK_DATA=DIR` fits the whitening to the CIFAR-10 in DIR; otherwise images of the same shape are made up.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.sizes import sized
from tasks.classification import MAX_TRAIN_EVALUATED, Classification
from tasks.datasets import batches as batches_module
from tasks.datasets.augmentation import CROP_PADDING, MAX_DEGREES
from tasks.datasets.batches import Batches, Split
from tasks.datasets.cache import cached
from tasks.datasets.cifar import CIFAR10
from tasks.datasets.preprocessing import CONTRAST_NORM, ChannelNormalisation, fit_whitening
from tasks.experiments import TASKS
from tasks.task import Setting

NUM_IMAGES, BATCH_SIZE, ROUNDS, NUM_WORKERS = sized((10_240, 128, 5, 2), (64, 16, 1, 1))
WHITENED = sized((45_000, 3, 32, 32), (100, 3, 8, 8))
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
TASK = "cifar10-resnet56"
DATA_VARIABLE = "REGARENA_BENCHMARK_DATA"

PER_IMAGE = {
    "crop": transforms.RandomCrop(32, padding=CROP_PADDING),
    "flip": transforms.RandomHorizontalFlip(),
    "rotation": transforms.RandomRotation(MAX_DEGREES),
}


class _Images(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's data sets hand them out: a PIL image, then the transforms, one by one."""

    def __init__(self, images: Tensor, augmentation: tuple[str, ...]) -> None:
        self._images = images.permute(0, 2, 3, 1).numpy()
        drawn = [PER_IMAGE[name] for name in augmentation]
        last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        self._transform = transforms.Compose([transforms.ToPILImage(), *drawn, *last])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._images[index]), 0


def run() -> Iterable[Mapping[str, object]]:
    """Images per second, on the same cores; then what loading, whitening and evaluation cost beside training."""
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (NUM_IMAGES, 3, 32, 32), dtype=torch.uint8)
    yield _against_torchvision(images, ("crop", "flip", "rotation"), goal=20.0)
    yield _against_torchvision(images, ("crop", "flip"), goal=20.0)
    yield from _beside_training(images)
    yield from _whitening()


def _against_torchvision(images: Tensor, augmentation: tuple[str, ...], goal: float) -> Mapping[str, object]:
    loader = DataLoader(
        _Images(images, augmentation),
        BATCH_SIZE,
        shuffle=True,
        num_workers=NUM_WORKERS,
        persistent_workers=True,
        drop_last=True,
    )
    fast, portable = _batches(images, augmentation), _batches(images, augmentation, min_compiled=NUM_IMAGES + 1)
    epochs: dict[str, Callable[[], Iterable[Tensor]]] = {
        "ours": lambda: (fast.normalised(batch.inputs) for batch in fast.epoch()),
        "portable": lambda: (portable.normalised(batch.inputs) for batch in portable.epoch()),
        "torchvision": lambda: (batch[0] for batch in loader),
    }
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for round_number in range(ROUNDS + 1):  # the first one warms up, and starts the loader's workers
        for name, epoch in epochs.items():
            started = time.perf_counter()
            count = sum(len(inputs) for inputs in epoch())
            if round_number:
                rates[name].append(count / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "measured": "+".join((*augmentation, "normalisation")),
        "images_per_second": medians["ours"],
        "torchvision_images_per_second": medians["torchvision"],
        "ratio": medians["ours"] / medians["torchvision"],
        "goal": f">={goal:g}",
        "portable_ratio": medians["portable"] / medians["torchvision"],
    }


def _batches(images: Tensor, augmentation: tuple[str, ...], min_compiled: int = 0) -> Batches:
    """Our batches; with compiled loops only from `min_compiled` images on."""
    kept, batches_module.MIN_COMPILED = batches_module.MIN_COMPILED, min_compiled
    split = Split(
        inputs=images,
        targets=torch.zeros(len(images), 10),
        preprocessing=ChannelNormalisation(mean=MEAN, std=STD),
    )
    batches = Batches(split, BATCH_SIZE, seed=0, augmentation=augmentation)
    batches_module.MIN_COMPILED = kept
    return batches


def _beside_training(images: Tensor) -> Iterable[Mapping[str, object]]:
    """Shares of loading and of evaluation in the training of a ResNet-56, on its task's protocol."""
    task = TASKS[TASK]
    assert isinstance(task, Classification)
    batch_size = sized(task.protocol.batch_size, BATCH_SIZE)
    protocol = replace(task.protocol, scales={}, max_train_samples=None, batch_size=batch_size)
    on_synthetic = replace(task, dataset="synthetic", protocol=protocol)
    training = on_synthetic.prepare([], Setting(seed=0, scale="paper", learning_rate=0.01))
    loading = _batches(images, protocol.augmentation)
    load_seconds, step_seconds, evaluation_seconds = [], [], []
    for batch in islice(loading.epoch(), 4):
        load_seconds.append(_seconds(lambda: [loading.normalised(b.inputs) for b in islice(loading.epoch(), 20)]) / 20)
        step_seconds.append(_seconds(lambda batch=batch: training.step(batch, 1)))  # type: ignore[misc]  # mypy infers no default's type
        training.network.eval()
        with torch.no_grad():
            inputs = loading.normalised(batch.inputs)
            evaluation_seconds.append(_seconds(lambda inputs=inputs: training.network(inputs)))  # type: ignore[misc]  # mypy infers no default's type
        training.network.train()
    load, step, evaluation = (statistics.median(s[1:]) for s in (load_seconds, step_seconds, evaluation_seconds))
    yield {"measured": f"share of loading in a step of {TASK}", "ratio": load / (load + step), "goal": "<=0.05"}
    held_out = protocol.validation_fraction or CIFAR10.validation_fraction
    num_trained = 50_000 * (1 - held_out) * protocol.evaluate_every_epochs
    num_evaluated = 50_000 * held_out + 10_000 + (MAX_TRAIN_EVALUATED if protocol.evaluate_train else 0)
    share = num_evaluated * evaluation / (num_evaluated * evaluation + num_trained * (load + step))
    yield {"measured": f"share of evaluation in {TASK}", "ratio": share, "goal": "<=0.05"}


def _whitening() -> Iterable[Mapping[str, object]]:
    """Seconds to fit GCN and ZCA to 45,000 images of 3072 values, and to read it back."""
    data = os.environ.get(DATA_VARIABLE)
    if data:
        train = CIFAR10.splits(Path(data)).train
        assert isinstance(train, Split)
        images = train.inputs
    else:
        images = torch.randint(0, 256, WHITENED, dtype=torch.uint8)
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        for what, goal in (("fit and keep", "<60"), ("read", "<2")):
            processor, started = time.process_time(), time.perf_counter()
            cached("zca", data_dir=Path(folder), compute=lambda: fit_whitening(images, CONTRAST_NORM).tensors())
            yield {
                "measured": f"{what} a whitening of {len(images)} images of {images[0].numel()} values",
                "seconds": time.perf_counter() - started,
                "goal": goal,
                "processor_seconds": time.process_time() - processor,
            }


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
