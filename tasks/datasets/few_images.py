"""Small subsets of data sets, drawn by seed, optionally with wrong labels: settings in which networks overfit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tasks.datasets.batches import Split
from tasks.datasets.cifar import CIFAR10
from tasks.datasets.dataset import Dataset, Splits, held_out
from tasks.datasets.digits import DIGITS
from tasks.datasets.in_memory import InMemory
from tasks.datasets.mnist import FASHION_MNIST, MNIST
from tasks.protocols import Protocol
from tasks.runtime.streams import torch_stream


@dataclass(frozen=True, kw_only=True)
class FewImages(Dataset):
    """A small training set and a validation set from the training images of a larger data set.

    The images are drawn by the seed of the training, so that the variance over seeds includes that of the data;
    all regularizers train on the same images for one seed. The draw is stratified by class. The test set is that of the
    larger data set, the same for all seeds.

    Args:
        whole: the larger data set.
        train_size: number of training images.
        validation_size: number of validation images, which have correct labels.
        wrong_labels: fraction of the training images, in [0, 1), with the label of another class, drawn uniformly from
            the other classes; images and labels are drawn by the seed.
    """

    whole: InMemory
    train_size: int
    validation_size: int
    wrong_labels: float = 0.0

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """The samples of seed 0."""
        return self.splits_of(0, data_dir, protocol, num_workers)

    def splits_of(
        self, seed: int, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0
    ) -> Splits:
        """The samples of a training with this seed.

        Raises:
            DataError: when files are missing or damaged.
            ValueError: when the data set does not offer the protocol's augmentation or preprocessing, or the protocol
                sets a validation fraction.
        """
        if protocol is not None:
            self._check_offers(protocol)
            if protocol.validation_fraction is not None:
                raise ValueError(
                    f"The data set {self.name} has {self.validation_size} validation images; the protocol must leave "
                    f"validation_fraction out, got {protocol.validation_fraction:g}."
                )
        preprocessing = "standard" if protocol is None else protocol.preprocessing
        split = self.name if protocol is None else protocol.split_of(self.name)
        everything = self.whole.splits(data_dir, replace(_EVERYTHING, preprocessing=preprocessing))
        train, test = everything.train, everything.test
        assert isinstance(train, Split)  # of a data set in memory
        labels = train.targets.argmax(1)
        _, drawn = held_out(split, labels, (self.train_size + self.validation_size) / len(labels), seed)
        fraction = self.validation_size / len(drawn)
        for_training, for_validation = (drawn[part] for part in held_out(split, labels[drawn], fraction, seed))
        return Splits(
            train=_chosen(train, for_training, lambda targets: self._with_wrong_labels(targets, seed, split)),
            validation=_chosen(train, for_validation),
            test=test,
            fingerprint=self._fingerprint(everything.fingerprint),
        )

    @property
    def label_noise(self) -> float:
        """`wrong_labels`."""
        return self.wrong_labels

    def notice(self, data_dir: Path | None) -> str | None:
        """The notice of the larger data set."""
        return self.whole.notice(data_dir)

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        return self.whole.kind

    @property
    def splits_in_words(self) -> str:
        """The training, validation and test splits, in words."""
        wrong = f", {100 * self.wrong_labels:.3g} % of them with a wrong label" if self.wrong_labels else ""
        return (
            f"{self.train_size} official training images, others for each seed{wrong}; {self.validation_size} more for "
            "validation; official test set"
        )

    def _with_wrong_labels(self, targets: Tensor, seed: int, split: str) -> Tensor:
        """Targets (N, K) in which round(wrong_labels N) samples have another class."""
        stream = torch_stream(seed, f"wrong labels/{split}")
        wrong = torch.randperm(len(targets), generator=stream)[: round(self.wrong_labels * len(targets))]
        shifts = torch.randint(1, self.num_classes, (len(wrong),), generator=stream)
        labels = targets.argmax(1)
        labels[wrong] = (labels[wrong] + shifts) % self.num_classes
        return torch.nn.functional.one_hot(labels, self.num_classes).to(targets.dtype)

    def _fingerprint(self, whole: str) -> str:
        """Hash of the larger data set's fingerprint and the parameters of the draw; the same for every seed."""
        rule = f"{whole} {self.name} {self.train_size} {self.validation_size} {self.wrong_labels}"
        return hashlib.sha256(rule.encode()).hexdigest()[:16]


_EVERYTHING = Protocol(source="", epochs=1, batch_size=1, learning_rate=1.0, validation_fraction=0.0)


def few_images_of(
    whole: InMemory, name: str, *, train_size: int, validation_size: int, wrong_labels: float = 0.0
) -> FewImages:
    """A `FewImages` data set with the properties of `whole`.

    Args:
        whole: the larger data set; its number of training images must be known.
        name: name of the new data set in the table.
        train_size: number of training images, at least one for each class.
        validation_size: number of validation images, at least one.
        wrong_labels: fraction of the training images with a wrong label, in [0, 1).

    Raises:
        ValueError: for numbers outside these ranges, or more images than `whole` has.

    Example:
        >>> few = few_images_of(DIGITS, "digits_20", train_size=20, validation_size=30)
        >>> one, other = (few.splits_of(seed, None) for seed in (1, 2))
        >>> len(one.train), len(one.validation), len(one.test), one.fingerprint == other.fingerprint
        (20, 30, 497, True)
        >>> torch.equal(one.train.inputs, other.train.inputs), one.train.targets.sum(0).tolist()[:3]
        (False, [2.0, 2.0, 2.0])
    """
    if whole.num_train is None:
        raise ValueError(f"The data set {whole.name} does not say how many training images it has.")
    if not (whole.num_classes <= train_size and 1 <= validation_size <= whole.num_train - train_size):
        raise ValueError(
            f"{name} needs at least {whole.num_classes} training images and 1 validation image, and at most "
            f"{whole.num_train} in all; got {train_size} and {validation_size}."
        )
    if not 0 <= wrong_labels < 1:
        raise ValueError(f"wrong_labels must lie in [0, 1), got {wrong_labels}.")
    return FewImages(
        name=name,
        whole=whole,
        train_size=train_size,
        validation_size=validation_size,
        wrong_labels=wrong_labels,
        num_classes=whole.num_classes,
        shape=whole.shape,
        validation_fraction=validation_size / (train_size + validation_size),
        mean=whole.mean,
        std=whole.std,
        num_train=train_size + validation_size,
        num_test=whole.num_test,
        files=whole.files,
        fetch=whole.fetch,
        augmentations=whole.augmentations,
        preprocessings=("standard", "unit"),
    )


def _chosen(split: Split, places: Tensor, change: Callable[[Tensor], Tensor] = lambda targets: targets) -> Split:
    return replace(split, inputs=split.inputs[places], targets=change(split.targets[places]))


DIGITS_200 = few_images_of(DIGITS, "digits_200", train_size=200, validation_size=300)
"""200 of scikit-learn's digits, drawn by seed."""

DIGITS_200_NOISY = few_images_of(DIGITS, "digits_200_noisy", train_size=200, validation_size=300, wrong_labels=0.2)
"""200 of scikit-learn's digits, 20 % of them with a wrong label."""

MNIST_1K = few_images_of(MNIST, "mnist_1k", train_size=1000, validation_size=1000)
"""1,000 images of MNIST, drawn by seed."""

FASHION_1K = few_images_of(FASHION_MNIST, "fashion_mnist_1k", train_size=1000, validation_size=1000)
"""1,000 images of Fashion-MNIST, drawn by seed."""

FASHION_1K_NOISY = few_images_of(
    FASHION_MNIST, "fashion_mnist_1k_noisy", train_size=1000, validation_size=1000, wrong_labels=0.2
)
"""1,000 images of Fashion-MNIST, 20 % of them with a wrong label."""

CIFAR10_1K = few_images_of(CIFAR10, "cifar10_1k", train_size=1000, validation_size=1000)
"""1,000 images of CIFAR-10, drawn by seed."""

CIFAR10_1K_NOISY = few_images_of(CIFAR10, "cifar10_1k_noisy", train_size=1000, validation_size=1000, wrong_labels=0.2)
"""1,000 images of CIFAR-10, 20 % of them with a wrong label."""
