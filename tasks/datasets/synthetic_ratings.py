"""Synthetic ratings: a matrix of rank 2 with noise, of which some entries are observed. For tests, without files."""

from __future__ import annotations

from pathlib import Path

import torch

from tasks.datasets.ratings import Entries, Ratings
from tasks.runtime.streams import torch_stream

NUM_ROWS, NUM_COLUMNS, NUM_RATINGS = 40, 30, 600
_RANK, _MEAN, _NOISE = 2, 3.0, 0.3


def _load(data_dir: Path | None) -> Entries:
    generator = torch_stream(0, "synthetic ratings")
    left, right = (torch.randn(size, _RANK, generator=generator) for size in (NUM_ROWS, NUM_COLUMNS))
    ratings = _MEAN + left @ right.T / _RANK**0.5 + _NOISE * torch.randn(NUM_ROWS, NUM_COLUMNS, generator=generator)
    chosen = torch.randperm(NUM_ROWS * NUM_COLUMNS, generator=generator)[:NUM_RATINGS]
    places = torch.stack([chosen // NUM_COLUMNS, chosen % NUM_COLUMNS], 1)
    return Entries(places, ratings.flatten()[chosen])


SYNTHETIC_RATINGS = Ratings(
    name="synthetic_ratings",
    load=_load,
    num_rows=NUM_ROWS,
    num_columns=NUM_COLUMNS,
    num_ratings=NUM_RATINGS,
)
"""600 noisy entries of a 40 by 30 matrix of rank 2; needs no files."""
