"""Few images of a data set, others for each seed, and labels of which a share is wrong: where regularizers matter."""

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

    Which images are drawn depends on the seed of the training, so that the spread over seeds covers the data, too;
    contestants with one seed train on the same images. Every class has its share of them. The test set is the whole
    one's, the same for all.

    Args:
        whole: what the images are taken from.
        train_size: images to train on.
        validation_size: images to select by, whose labels are right.
        wrong_labels: share of the training images, in [0, 1), that have the label of another class, each of the others
            equally likely; which ones, and which labels, depends on the seed as well.
    """

    whole: InMemory
    train_size: int
    validation_size: int
    wrong_labels: float = 0.0

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """Those of seed 0."""
        return self.splits_of(0, data_dir, protocol, num_workers)

    def splits_of(
        self, seed: int, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0
    ) -> Splits:
        """The images that a training with this seed sees.

        Raises:
            DataError: when files are missing or damaged.
            ValueError: when the protocol asks for what this data set does not offer, or for another share of
                validation images.
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

    def notice(self, data_dir: Path | None) -> str | None:
        """That of the whole data set."""
        return self.whole.notice(data_dir)

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        return self.whole.kind

    @property
    def splits_in_words(self) -> str:
        """What is trained on, selected by and tested on."""
        wrong = f", {100 * self.wrong_labels:.3g} % of them with a wrong label" if self.wrong_labels else ""
        return (
            f"{self.train_size} official training images, others for each seed{wrong}; {self.validation_size} more for "
            "validation; official test set"
        )

    def _with_wrong_labels(self, targets: Tensor, seed: int, split: str) -> Tensor:
        """Targets (N, K), of which exactly the share asked for (rounded) name another class."""
        stream = torch_stream(seed, f"wrong labels/{split}")
        wrong = torch.randperm(len(targets), generator=stream)[: round(self.wrong_labels * len(targets))]
        shifts = torch.randint(1, self.num_classes, (len(wrong),), generator=stream)
        labels = targets.argmax(1)
        labels[wrong] = (labels[wrong] + shifts) % self.num_classes
        return torch.nn.functional.one_hot(labels, self.num_classes).to(targets.dtype)

    def _fingerprint(self, whole: str) -> str:
        """Of the whole data set and the rule by which images and labels are drawn; the same for every seed."""
        rule = f"{whole} {self.name} {self.train_size} {self.validation_size} {self.wrong_labels}"
        return hashlib.sha256(rule.encode()).hexdigest()[:16]


_EVERYTHING = Protocol(source="", epochs=1, batch_size=1, learning_rate=1.0, validation_fraction=0.0)


def few_images_of(
    whole: InMemory, name: str, *, train_size: int, validation_size: int, wrong_labels: float = 0.0
) -> FewImages:
    """A data set of few images.

    Args:
        whole: what the images are taken from; its number of training images must be known.
        name: of the new data set, in the table.
        train_size: images to train on, at least one for each class.
        validation_size: images to select by, at least one.
        wrong_labels: share of the training images with a wrong label, in [0, 1).

    Raises:
        ValueError: for numbers out of these ranges, or more images than there are.

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
            f"{name} needs at least {whole.num_classes} images to train on and 1 to select by, and at most "
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
"""200 of scikit-learn's digits, other ones for each seed."""

DIGITS_200_NOISY = few_images_of(DIGITS, "digits_200_noisy", train_size=200, validation_size=300, wrong_labels=0.2)
"""200 of scikit-learn's digits, 20 % of them with a wrong label."""

MNIST_1K = few_images_of(MNIST, "mnist_1k", train_size=1000, validation_size=1000)
"""1,000 images of MNIST, other ones for each seed."""

FASHION_1K = few_images_of(FASHION_MNIST, "fashion_mnist_1k", train_size=1000, validation_size=1000)
"""1,000 images of Fashion-MNIST, other ones for each seed."""

FASHION_1K_NOISY = few_images_of(
    FASHION_MNIST, "fashion_mnist_1k_noisy", train_size=1000, validation_size=1000, wrong_labels=0.2
)
"""1,000 images of Fashion-MNIST, 20 % of them with a wrong label."""

CIFAR10_1K = few_images_of(CIFAR10, "cifar10_1k", train_size=1000, validation_size=1000)
"""1,000 images of CIFAR-10, other ones for each seed."""

CIFAR10_1K_NOISY = few_images_of(CIFAR10, "cifar10_1k_noisy", train_size=1000, validation_size=1000, wrong_labels=0.2)
"""1,000 images of CIFAR-10, 20 % of them with a wrong label."""
