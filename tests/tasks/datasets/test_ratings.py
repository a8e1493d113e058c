"""Ratings: read whole or refused in one sentence, numbered from 0, and split alike for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.checks.datasets import LAWS, CheckedDataset
from tasks.datasets import DATASETS
from tasks.datasets.movielens import MOVIELENS_1M, MOVIELENS_1M_PARTIAL, MOVIELENS_10M, MOVIELENS_100K, read_ratings
from tasks.datasets.ratings import Ratings
from tasks.datasets.synthetic_ratings import SYNTHETIC_RATINGS
from tasks.errors import DataError
from tasks.experiments.thesis.completion import TABLE_4_I_PROTOCOL

USERS, ITEMS = (7, 2, 9), (30, 10, 50, 40)
MOVIELENS = {
    "\t": (MOVIELENS_100K,),
    "::": (MOVIELENS_1M, MOVIELENS_10M, MOVIELENS_1M_PARTIAL),
}


def write(folder: Path, dataset: Ratings, lines: list[str]) -> Path:
    path = folder / dataset.files[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return folder


def some_lines(separator: str, with_times: bool = True) -> list[str]:
    """Every user has rated every item but one: item / 10 + user / 2."""
    places = [(user, item) for user in USERS for item in ITEMS][:-1]
    return [
        separator.join([str(user), str(item), f"{item / 10 + user / 2:g}", *["978300760"] * with_times])
        for user, item in places
    ]


@pytest.mark.parametrize(
    ("separator", "dataset"),
    [(s, dataset) for s in MOVIELENS for dataset in MOVIELENS[s]],
    ids=lambda each: getattr(each, "name", repr(each)),
)
def test_movielens_is_read_numbered_and_split(separator: str, dataset: Ratings, tmp_path: Path) -> None:
    folder = write(tmp_path, dataset, some_lines(separator, with_times=dataset is not MOVIELENS_1M_PARTIAL))
    splits = dataset.splits(folder)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [9, 1, 1]
    assert dataset.size(folder) == (3, 4)
    whole = [part for split in (splits.train, splits.validation, splits.test) for part in split.in_order()]
    found = {
        (r, c): value
        for batch in whole
        for (r, c), (value,) in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)
    }
    expected = {
        (row, column): item / 10 + user / 2
        for row, user in enumerate(sorted(USERS))
        for column, item in enumerate(sorted(ITEMS))
        if (user, item) != (USERS[-1], ITEMS[-1])
    }
    assert found == expected


def test_without_held_out_ratings_validation_looks_at_those_trained_on() -> None:
    splits = SYNTHETIC_RATINGS.splits(None, TABLE_4_I_PROTOCOL)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [540, 540, 60]
    usual = SYNTHETIC_RATINGS.splits(None)
    assert torch.equal(next(splits.test.in_order()).inputs, next(usual.test.in_order()).inputs)
    assert splits.fingerprint == usual.fingerprint


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1\t2", r"ValueError"),
        ("1\t2\tgood\t0", r"ValueError"),
        ("0\t2\t3\t0", r"whole numbers of at least 1"),
        ("1.5\t2\t3\t0", r"whole numbers of at least 1"),
        ("1\t2\tnan\t0", r"not finite"),
        ("7\t30\t1\t0", r"rated an item twice"),
    ],
)
def test_a_damaged_file_is_told_by_name(line: str, what: str, tmp_path: Path) -> None:
    folder = write(tmp_path, MOVIELENS_100K, [*some_lines("\t"), line])
    with pytest.raises(DataError, match=what) as raised:
        MOVIELENS_100K.splits(folder)
    assert str(raised.value).startswith("The files of the data set movielens_100k in ")
    assert str(raised.value).endswith("Replace: ml-100k/u.data.")


def test_missing_files_are_told_with_their_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"movielens_10m needs ml-10M100K/ratings.dat below .*; missing in .*: ml-10M"):
        MOVIELENS_10M.splits(tmp_path)
    with pytest.raises(DataError, match=r"no --data was given"):
        MOVIELENS_1M.splits(None)


def test_what_a_copy_lacks_stands_in_its_notice(tmp_path: Path) -> None:
    folder = write(tmp_path, MOVIELENS_1M_PARTIAL, some_lines("::", with_times=False))
    notice = MOVIELENS_1M_PARTIAL.notice(folder)
    assert notice is not None
    assert "lacks 495 of MovieLens-1M's 1,000,209 ratings" in notice
    assert "it has 11 ratings by 3 users of 4 items in place of 999,714 ratings by 6,040 users of 3,449 items" in notice
    assert SYNTHETIC_RATINGS.notice(None) is None


def test_times_do_not_count(tmp_path: Path) -> None:
    with_times, without = tmp_path / "with", tmp_path / "without"
    with_times.write_text("\n".join(some_lines("::")))
    without.write_text("\n".join(some_lines("::", with_times=False)))
    for first, second in zip(read_ratings(with_times, "::"), read_ratings(without, "::"), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_laws_of_data_sets_hold_for_ratings(law: object) -> None:
    assert list(law(CheckedDataset("synthetic_ratings", DATASETS["synthetic_ratings"]))) == []
