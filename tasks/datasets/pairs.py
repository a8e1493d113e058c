"""Data sets of two classes of a larger one, for networks with one output; also symmetrised about the origin."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tasks.datasets.in_memory import InMemory, Raw
from tasks.datasets.mnist import FASHION_MNIST, MNIST
from tasks.runtime.streams import torch_stream

# Images of each class in the official training and test sets.
_COUNTS = {
    "mnist": (
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
    "fashion_mnist": ((6000,) * 10, (1000,) * 10),
}


def pair_of(dataset: InMemory, first: int, second: int, *, symmetrised: bool = False) -> InMemory:
    """The images of two classes, as classes 0 (`first`) and 1 (`second`), in grey levels from 0 to 1.

    With `symmetrised`, each training, validation and test image x is replaced by zeta x, with zeta uniform on {-1, 1}.
    The signs are drawn once for the data set and are the same for all trainings. Then x and -x are equally likely.

    Args:
        dataset: the larger data set, such as MNIST; its files are read.
        first: the class that becomes class 0.
        second: the class that becomes class 1; not equal to `first`.
        symmetrised: whether images have random signs.

    Source:
        Mianjy's thesis, section 4.3 (symmetrisation; digits 4 and 7) and section 6.5.2 (digits 0 and 1).

    Raises:
        ValueError: if the classes are equal, or one does not exist.

    Example:
        >>> pair_of(MNIST, 0, 1).name, pair_of(MNIST, 0, 1).num_train, pair_of(MNIST, 0, 1).num_test
        ('mnist_0v1', 12665, 2115)
    """
    if first == second or not {first, second} <= set(range(dataset.num_classes)):
        raise ValueError(f"A pair needs two classes from 0 to {dataset.num_classes - 1}, got {first} and {second}.")
    name = f"{dataset.name}_{first}v{second}{'_symmetrised' * symmetrised}"
    counts = [sum(of_split[digit] for digit in (first, second)) for of_split in _COUNTS.get(dataset.name, ())]
    num_train, num_test = counts or (None, None)

    def load(data_dir: Path | None) -> Raw:
        raw = dataset.load(data_dir)
        train = _chosen(raw.train_images, raw.train_labels, first, second)
        test = _chosen(raw.test_images, raw.test_labels, first, second)
        if symmetrised:
            signs = torch_stream(0, f"data/{name}")
            (train_images, train_labels), (test_images, test_labels) = train, test
            return Raw(_signed(train_images, signs), train_labels, _signed(test_images, signs), test_labels)
        return Raw(*train, *test)

    return InMemory(
        name=name,
        load=load,
        num_classes=2,
        shape=dataset.shape,
        num_train=num_train,
        num_test=num_test,
        validation_fraction=dataset.validation_fraction,
        mean=(0.0,) * dataset.shape[0],
        std=(1.0,) * dataset.shape[0],
        files=dataset.files,
        fetch=dataset.fetch,
        augmentations=() if symmetrised else dataset.augmentations,
        preprocessings=("standard",),
        holds_bytes=not symmetrised,
    )


def _chosen(images: Tensor, labels: Tensor, first: int, second: int) -> tuple[Tensor, Tensor]:
    places = (labels == first) | (labels == second)
    return images[places], (labels[places] == second).long()


def _signed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Grey levels from 0 to 1 with one random sign for each image."""
    signs = 2 * torch.randint(2, (len(images),), generator=generator) - 1
    return images.float().div_(255).mul_(signs.view(-1, *[1] * (images.dim() - 1)))


MNIST_0V1 = pair_of(MNIST, 0, 1)
"""MNIST's digits 0 and 1: 12,665 + 2,115 images in grey levels from 0 to 1."""

MNIST_4V7 = pair_of(MNIST, 4, 7)
"""MNIST's digits 4 and 7: 12,107 + 2,010 images in grey levels from 0 to 1."""

MNIST_4V7_SYMMETRISED = pair_of(MNIST, 4, 7, symmetrised=True)
"""MNIST's digits 4 and 7, each image with a random sign."""

FASHION_4V7 = pair_of(FASHION_MNIST, 4, 7)
"""Coats (4) and sneakers (7) of Fashion-MNIST: 12,000 + 2,000 images in grey levels from 0 to 1."""

FASHION_4V7_SYMMETRISED = pair_of(FASHION_MNIST, 4, 7, symmetrised=True)
"""Coats (4) and sneakers (7) of Fashion-MNIST, each image with a random sign."""
