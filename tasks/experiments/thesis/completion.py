"""Table 4-I and figure 4-1 of Mianjy's thesis: matrix completion on MovieLens, and a small synthetic task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tasks.completion.task import Completion
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar

TABLE_4_I_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 4.6 (batches of 2,000, learning rate 1, 100 epochs, He's initial weights, 50 "
    "runs, on MovieLens-10M); not given: the split (a random tenth for test, the same for all seeds), whether the "
    "loss is a mean (over the batch, without 1/2), whether ratings are centred (they are not) and whether the samples "
    "of a batch share a mask (they do)",
    epochs=100,
    batch_size=2_000,
    learning_rate=1.0,
    momentum=0.0,
    nesterov=False,
    validation_fraction=0.0,
    scales={
        "short": {},
        "smoke": {"batch_size": 500, "max_train_samples": 22_500},
    },
)

_SHARED_MASKS: Mapping[str, Scalar] = {"dropout.share": "batch"}

THESIS_TABLE4_1_WIDTH_30 = Completion(
    dataset="movielens_100k", width=30, protocol=TABLE_4_I_PROTOCOL, defaults=_SHARED_MASKS
)
"""Factors of width 30 on MovieLens-100K, by table 4-I's protocol: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_WIDTH_70 = replace(THESIS_TABLE4_1_WIDTH_30, width=70)
"""Factors of width 70 on MovieLens-100K, by table 4-I's protocol: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_WIDTH_110 = replace(THESIS_TABLE4_1_WIDTH_30, width=110)
"""Factors of width 110 on MovieLens-100K, by table 4-I's protocol: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_WIDTH_150 = replace(THESIS_TABLE4_1_WIDTH_30, width=150)
"""Factors of width 150 on MovieLens-100K, by table 4-I's protocol: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_WIDTH_190 = replace(THESIS_TABLE4_1_WIDTH_30, width=190)
"""Factors of width 190 on MovieLens-100K, by table 4-I's protocol: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_10M_WIDTH_30 = replace(THESIS_TABLE4_1_WIDTH_30, dataset="movielens_10m")
"""Factors of width 30 on MovieLens-10M, as in table 4-I: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_10M_WIDTH_70 = replace(THESIS_TABLE4_1_WIDTH_70, dataset="movielens_10m")
"""Factors of width 70 on MovieLens-10M, as in table 4-I: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_10M_WIDTH_110 = replace(THESIS_TABLE4_1_WIDTH_110, dataset="movielens_10m")
"""Factors of width 110 on MovieLens-10M, as in table 4-I: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_10M_WIDTH_150 = replace(THESIS_TABLE4_1_WIDTH_150, dataset="movielens_10m")
"""Factors of width 150 on MovieLens-10M, as in table 4-I: dropout against the best iterate of SGD."""

THESIS_TABLE4_1_10M_WIDTH_190 = replace(THESIS_TABLE4_1_WIDTH_190, dataset="movielens_10m")
"""Factors of width 190 on MovieLens-10M, as in table 4-I: dropout against the best iterate of SGD."""

# With a validation split for tuning: a tenth of all ratings, which table 4-I uses for training.
_TUNED_PROTOCOL = replace(TABLE_4_I_PROTOCOL, validation_fraction=None)

ML_100K_FACTORS_70 = Completion(dataset="movielens_100k", width=70, protocol=_TUNED_PROTOCOL, defaults=_SHARED_MASKS)
"""Factors of width 70 on MovieLens-100K, with a tenth of the ratings for validation."""

ML_1M_FACTORS_70 = replace(ML_100K_FACTORS_70, dataset="movielens_1m")
"""Factors of width 70 on MovieLens-1M, with a tenth of the ratings for validation."""

ML_1M_PARTIAL_FACTORS_70 = replace(ML_100K_FACTORS_70, dataset="movielens_1m_partial")
"""Factors of width 70 on the partial copy of MovieLens-1M, with a tenth of the ratings for validation."""

SYNTHETIC_RATINGS_FACTORS = Completion(
    dataset="synthetic_ratings",
    width=8,
    protocol=replace(
        _TUNED_PROTOCOL,
        source="regarena, after Mianjy's thesis, section 4.6",
        batch_size=32,
        evaluate_every_epochs=10,
        scales={"short": {}, "smoke": {"epochs": 20}},
    ),
)
"""Factors of width 8 on 600 synthetic ratings: matrix completion in a second, without files."""
