"""MovieLens (Harper and Konstan 2015): ratings of films by users, from the files of the official archives."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tasks.datasets.ratings import Entries, Ratings


def read_ratings(path: Path, separator: str) -> Entries:
    """The first three columns of a file: user, item, rating; further columns (times) are ignored.

    Args:
        path: a text file with one rating per line.
        separator: between its columns.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if a line does not begin with two integers and a number, or a user or item is below 1.
    """
    text = path.read_bytes().replace(separator.encode(), b"\t")
    columns = np.loadtxt(io.BytesIO(text), delimiter="\t", usecols=(0, 1, 2), dtype=np.float64, ndmin=2)
    places = columns[:, :2].astype(np.int64)
    if (places != columns[:, :2]).any() or (places < 1).any():
        raise ValueError("users and items must be whole numbers of at least 1")
    return Entries(torch.from_numpy(places), torch.from_numpy(columns[:, 2].astype(np.float32)))


def _from(file: str, separator: str) -> Callable[[Path | None], Entries]:
    def load(data_dir: Path | None) -> Entries:
        assert data_dir is not None  # `Ratings` has checked that the files are there
        return read_ratings(data_dir / file, separator)

    return load


def _movielens(name: str, file: str, separator: str, counts: tuple[int, int, int], gaps: str = "") -> Ratings:
    num_ratings, num_rows, num_columns = counts
    return Ratings(
        name=name,
        load=_from(file, separator),
        files=(file,),
        num_ratings=num_ratings,
        num_rows=num_rows,
        num_columns=num_columns,
        gaps=gaps,
    )


MOVIELENS_100K = _movielens("movielens_100k", "ml-100k/u.data", "\t", (100_000, 943, 1_682))
"""MovieLens-100K: 100,000 ratings from 1 to 5 of 1,682 films by 943 users."""

MOVIELENS_1M = _movielens("movielens_1m", "ml-1m/ratings.dat", "::", (1_000_209, 6_040, 3_706))
"""MovieLens-1M: 1,000,209 ratings from 1 to 5 of 3,706 films by 6,040 users."""

MOVIELENS_1M_PARTIAL = _movielens(
    "movielens_1m_partial",
    "ml-1m/ratings_no_time.dat",
    "::",
    (999_714, 6_040, 3_449),
    gaps="it lacks 495 of MovieLens-1M's 1,000,209 ratings, those of 257 rarely rated films, and all times",
)
"""MovieLens-1M without 495 ratings of 257 rarely rated films: 999,714 ratings of 3,449 films by 6,040 users."""

MOVIELENS_10M = _movielens("movielens_10m", "ml-10M100K/ratings.dat", "::", (10_000_054, 69_878, 10_677))
"""MovieLens-10M: 10,000,054 ratings from 0.5 to 5 of 10,677 films by 69,878 users."""
