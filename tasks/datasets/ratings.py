"""Ratings as a data set: observed entries of a users x items matrix, for matrix completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from tasks.datasets.batches import Split
from tasks.datasets.dataset import Dataset, Splits, fingerprint, used_as_it_is
from tasks.errors import DataError
from tasks.input_space import InputSpace
from tasks.protocols import Preprocessing, Protocol
from tasks.runtime.streams import torch_stream

TEST_FRACTION = 0.1


class Entries(NamedTuple):
    """Observed entries: `places` (N, 2) int64 holds identifiers of users and items, `values` (N,) float32 ratings."""

    places: Tensor
    values: Tensor


@dataclass(frozen=True, kw_only=True)
class RatingSplits(Splits):
    """Splits in memory."""

    train: Split
    validation: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class Ratings(Dataset):
    """Ratings of items by users; a sample is (row, column) and its rating.

    The identifiers that occur are numbered 0, 1, ... in ascending order. The test split is a random tenth of the
    ratings, drawn by the data set's name and the same for every seed. The validation split is drawn from the rest in
    the same way; with a fraction of 0, validation uses the training ratings.

    Args:
        load: data folder -> entries.
        num_rows, num_columns: numbers of users and items in the official release.
        num_ratings: number of ratings in the official release.
        gaps: how the files differ from the official ones, as the end of a sentence; empty for official files.
    """

    load: Callable[[Path | None], Entries]
    num_rows: int
    num_columns: int
    num_ratings: int
    gaps: str = ""
    num_classes: int = 1
    shape: tuple[int, int, int] = (2, 1, 1)
    validation_fraction: float = 1 / 9  # a tenth of all ratings
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    holds_bytes: bool = False
    holds_images: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        return "in memory, on the device of training"

    @property
    def content(self) -> str:
        """Numbers of ratings, items and users, in words."""
        return f"{self.num_ratings:,} ratings of {self.num_columns:,} items by {self.num_rows:,} users"

    @property
    def splits_in_words(self) -> str:
        """The training, validation and test splits, in words."""
        share = f"{100 * self.validation_fraction:.3g} %"
        return f"a random tenth for test; of the rest {share} held out for validation"

    def input_space(self, preprocessing: Preprocessing = "standard") -> InputSpace | None:
        """None: rows and columns have no units."""
        return None

    def num_images(self, data_dir: Path | None) -> tuple[int, int]:
        """Numbers of ratings in the training (with validation) and test sets of the official release."""
        num_test = round(TEST_FRACTION * self.num_ratings)
        return self.num_ratings - num_test, num_test

    def size(self, data_dir: Path | None) -> tuple[int, int]:
        """Numbers of users and items in the files in `data_dir`."""
        places = self._entries(data_dir).places
        num_rows, num_columns = (int(count) + 1 for count in places.max(0).values)
        return num_rows, num_columns

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> RatingSplits:
        """Read, number, fingerprint and split the ratings; files are read once per process.

        Raises:
            DataError: when the files are missing or damaged.
            ValueError: for a protocol with augmentation or another preprocessing.
        """
        if protocol is not None:
            self._check_offers(protocol)
        places, values = self._entries(data_dir)
        order = torch.randperm(len(values), generator=torch_stream(0, f"split/{self.name}"))
        num_test = max(1, round(TEST_FRACTION * len(values)))
        num_held_out = round(self._share(protocol) * (len(values) - num_test))
        test, rest = order[:num_test], order[num_test:]
        if protocol is not None and protocol.split:
            again = torch_stream(0, f"split/{protocol.split_of(self.name)}")
            rest = rest[torch.randperm(len(rest), generator=again)]
        validation, train = (rest[:num_held_out], rest[num_held_out:]) if num_held_out else (rest, rest)
        parts = {
            name: Split(inputs=places[chosen], targets=values[chosen, None])
            for name, chosen in (("train", train), ("validation", validation), ("test", test))
        }
        return RatingSplits(**parts, fingerprint=fingerprint(places, values))

    def notice(self, data_dir: Path | None) -> str | None:
        """The known differences of the copy, and those of its counts from the official release."""
        if self.files and data_dir is None:
            return None
        places, values = self._entries(data_dir)
        counts = (len(values), *self.size(data_dir))
        differences = [self.gaps] if self.gaps else []
        official = (self.num_ratings, self.num_rows, self.num_columns)
        if counts != official:
            found, wanted = (f"{a:,} ratings by {b:,} users of {c:,} items" for a, b, c in (counts, official))
            differences.append(f"it has {found} in place of {wanted}")
        if not differences:
            return None
        return used_as_it_is(self.name, data_dir, ", and ".join(differences), fingerprint(places, values))

    def _share(self, protocol: Protocol | None) -> float:
        share = self.held_out_fraction(protocol)
        if not 0 <= share < 1:
            raise ValueError(f"validation_fraction must lie in [0, 1), got {share}.")
        return share

    def _entries(self, data_dir: Path | None) -> Entries:
        if self.files and (data_dir is None or self._missing(data_dir)):
            self.check(data_dir)
        return _numbered(self, data_dir)


@lru_cache(maxsize=4)
def _numbered(dataset: Ratings, data_dir: Path | None) -> Entries:
    """The entries, with users and items numbered from 0."""
    try:
        places, values = dataset.load(data_dir)
        if len(values) < 2 or places.shape != (len(values), 2):
            raise ValueError(f"{len(values)} ratings at places of shape {tuple(places.shape)}")
        if not torch.isfinite(values).all():
            raise ValueError("some ratings are not finite")
        numbers = [torch.unique(column, return_inverse=True)[1] for column in places.T]
        if len(torch.unique(numbers[0] * (int(numbers[1].max()) + 1) + numbers[1])) < len(values):
            raise ValueError("a user has rated an item twice")
    except Exception as error:
        raise DataError(
            f"The files of the data set {dataset.name} in {data_dir} cannot be read, probably because one of them is "
            f"truncated or damaged ({type(error).__name__}: {error}). Replace: {', '.join(dataset.files)}."
        ) from error
    return Entries(torch.stack(numbers, 1), values)
