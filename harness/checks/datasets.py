"""The laws of data sets: the content of their splits, and that reading again gives the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from harness.checks.law import Law
from tasks.datasets.batches import Samples
from tasks.datasets.dataset import Dataset, Splits
from tasks.protocols import Protocol

MAX_EXAMINED = 1000  # samples of a split
_ANY = Protocol(source="", epochs=1, batch_size=1, learning_rate=1.0)


@dataclass(frozen=True)
class CheckedDataset:
    """The subject of these laws: a data set, its name, and the folder of its files."""

    name: str
    dataset: Dataset
    data_dir: Path | None = None

    @property
    def can_be_read(self) -> bool:
        """Whether it needs no files, or their folder is known."""
        return not self.dataset.files or self.data_dir is not None

    @cached_property
    def splits(self) -> Splits:
        """Its splits for split 0."""
        self.dataset.check(self.data_dir)
        return self.dataset.splits(self.data_dir)

    def parts(self) -> dict[str, Samples]:
        """Its splits by name."""
        return {"train": self.splits.train, "validation": self.splits.validation, "test": self.splits.test}


def describes_its_images(checked: CheckedDataset) -> Iterator[str]:
    """Its shape, classes, normalisation and validation fraction are valid and fit together."""
    data = checked.dataset
    if not 0 <= data.validation_fraction < 1:
        yield f"validation_fraction must lie in [0, 1), got {data.validation_fraction!r}."
    if not data.holds_images:
        return
    if len(data.shape) != 3 or not all(type(size) is int and size >= 1 for size in data.shape):
        yield f"shape must be (channels, height, width), got {data.shape!r}."
        return
    if not (type(data.num_classes) is int and data.num_classes >= 2):
        yield f"num_classes must be a whole number of at least 2, got {data.num_classes!r}."
    for name in ("mean", "std"):
        if len(getattr(data, name)) != data.shape[0]:
            yield f"{name} must have a number for each of the {data.shape[0]} channels, got {getattr(data, name)!r}."
    if not all(deviation > 0 for deviation in data.std):
        yield f"std must be positive, got {data.std!r}."


def holds_images_and_class_probabilities(checked: CheckedDataset) -> Iterator[str]:
    """Each split of images has samples of the declared shape, finite, with class probabilities as targets."""
    if not (checked.can_be_read and checked.dataset.holds_images):
        return
    data = checked.dataset
    for split, samples in checked.parts().items():
        if not len(samples):
            yield f"The {split} split is empty."
            continue
        for inputs, targets in samples.first(MAX_EXAMINED).in_order():
            if inputs.shape[1:] != data.shape or targets.shape[1:] != (data.num_classes,):
                yield (
                    f"A sample of the {split} split must be {data.shape} with {data.num_classes} class probabilities, "
                    f"got {tuple(inputs.shape[1:])} and {tuple(targets.shape[1:])}."
                )
                break
            sums = targets.sum(1)
            if (
                not torch.isfinite(inputs).all()
                or (targets < 0).any()
                or not torch.allclose(sums, torch.ones_like(sums))
            ):
                yield f"The {split} split holds values that are not finite, or targets that are no class probabilities."
                break


def holds_ratings(checked: CheckedDataset) -> Iterator[str]:
    """Each split of ratings has samples of a row and a column, counted from 0, and one finite number as target."""
    if not checked.can_be_read or checked.dataset.holds_images:
        return
    for split, samples in checked.parts().items():
        if not len(samples):
            yield f"The {split} split is empty."
        for inputs, targets in samples.first(MAX_EXAMINED).in_order():
            if inputs.shape[1:] != (2,) or targets.shape[1:] != (1,) or inputs.dtype != torch.int64:
                yield (
                    f"A sample of the {split} split must be a row, a column (int64) and one rating, got "
                    f"{inputs.dtype} of shape {tuple(inputs.shape[1:])} and {tuple(targets.shape[1:])}."
                )
            elif (inputs < 0).any() or not torch.isfinite(targets).all():
                yield f"The {split} split holds negative places, or ratings that are not finite."


def is_the_same_each_time(checked: CheckedDataset) -> Iterator[str]:
    """Reading it again gives the same fingerprint, and the same samples in the same order."""
    if not checked.can_be_read:
        return
    again = checked.dataset.splits(checked.data_dir)
    fingerprint = checked.splits.fingerprint
    if not isinstance(fingerprint, str) or not fingerprint:
        yield f"Its fingerprint must be text that is not empty, got {fingerprint!r}."
    if again.fingerprint != fingerprint:
        yield f"Read again, its fingerprint is {again.fingerprint!r} in place of {fingerprint!r}."
    for split, samples in checked.parts().items():
        if not _equal(samples, getattr(again, split)):
            yield f"Read again, its {split} split holds other samples, or in another order."


def holds_out_other_samples_on_another_split(checked: CheckedDataset) -> Iterator[str]:
    """Each split holds out other samples for validation, and all have the same test split.

    Otherwise `--splits` would count one split several times.
    """
    share = checked.dataset.validation_fraction
    if not checked.can_be_read or not 0 < share < 1:
        return
    first, second = (checked.dataset.splits(checked.data_dir, replace(_ANY, split=split)) for split in (0, 1))
    if len(first.validation) and _equal(first.validation, second.validation):
        yield "It holds out the same samples on every split; draw them by `protocol.split_of(name)`."
    if not _equal(first.test, second.test):
        yield "Its test split depends on the split that is held out; it must be the same for all."


def _equal(first: Samples, second: Samples) -> bool:
    """Whether they have equally many samples, and begin with the same ones."""
    if len(first) != len(second):
        return False
    batches = zip(*(samples.first(MAX_EXAMINED).in_order() for samples in (first, second)), strict=True)
    return all(
        torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets) for one, other in batches
    )


LAWS: tuple[Law[CheckedDataset], ...] = (
    describes_its_images,
    holds_images_and_class_probabilities,
    holds_ratings,
    is_the_same_each_time,
    holds_out_other_samples_on_another_split,
)
