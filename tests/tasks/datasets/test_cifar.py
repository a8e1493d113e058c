"""CIFAR-10 and CIFAR-100: every image with its label, in order; nothing that a pickle names is run."""

from __future__ import annotations

import codecs
import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_files import harmful_pickle, python2_pickle, write_cifar10, write_cifar100

from tasks.datasets import cifar
from tasks.datasets.cifar import CIFAR10, CIFAR10_MD5, CIFAR100
from tasks.datasets.plain_pickle import read_plain_pickle
from tasks.errors import DataError

NUM_IN_BATCH = 120


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with a few hundred images are complete."""
    monkeypatch.setattr(cifar, "NUM_TRAIN", 5 * NUM_IN_BATCH)
    monkeypatch.setattr(cifar, "NUM_TEST", NUM_IN_BATCH)


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    few(monkeypatch)
    return write_cifar10(tmp_path, NUM_IN_BATCH)


@pytest.fixture
def cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    few(monkeypatch)
    return write_cifar100(tmp_path, 5 * NUM_IN_BATCH, NUM_IN_BATCH)


def test_cifar10_is_read_batch_after_batch_and_the_test_batch_apart(cifar10: Path) -> None:
    raw = CIFAR10.load(cifar10)
    assert (raw.train_images.shape, raw.test_images.shape) == ((600, 3, 32, 32), (120, 3, 32, 32))
    assert raw.train_images.dtype == torch.uint8
    assert raw.train_images[::120, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert raw.test_images[0].nonzero().tolist() == [[0, 0, 0]]
    assert int(raw.test_images[0, 0, 0, 0]) == 6
    assert raw.train_labels[118:123].tolist() == [9, 0, 2, 3, 4]


def test_rows_are_images_channel_by_channel_and_row_by_row(tmp_path: Path) -> None:
    data = np.arange(2 * 3072).reshape(2, 3072) % 251
    path = tmp_path / "batch"
    path.write_bytes(python2_pickle({"data": data.astype(np.uint8), "labels": [7, 3]}))
    images, labels = cifar._batch(path, "labels")
    for image, channel, row, column in ((0, 0, 0, 1), (0, 1, 0, 0), (0, 2, 5, 9), (1, 1, 31, 31)):
        assert int(images[image, channel, row, column]) == data[image, 1024 * channel + 32 * row + column]
    assert labels.tolist() == [7, 3]


def test_cifar100_has_its_fine_labels(cifar100: Path) -> None:
    raw = CIFAR100.load(cifar100)
    assert raw.train_labels[:101].tolist() == [*range(100), 0]
    assert (len(raw.train_images), len(raw.test_images)) == (600, 120)
    assert raw.train_images[0, 0, 0, :4].tolist() == [3, 1, 4, 0]


def test_torchvision_reads_the_same_images_and_labels(cifar10: Path) -> None:
    from torchvision.datasets import CIFAR10 as Theirs

    class Unchecked(Theirs):
        def _check_integrity(self) -> bool:
            return True

        def _load_meta(self) -> None: ...

    theirs, ours = Unchecked(str(cifar10), train=True), CIFAR10.load(cifar10)
    assert np.array_equal(theirs.data.transpose(0, 3, 1, 2), ours.train_images.numpy())
    assert theirs.targets == ours.train_labels.tolist()


def test_a_file_with_too_few_images_and_one_that_is_cut_are_refused(tmp_path: Path) -> None:
    write_cifar10(tmp_path, num_in_batch=20)
    with pytest.raises(DataError, match="the training files hold 100 images, not 50000"):
        CIFAR10.splits(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"data set cifar10 .* truncated or damaged"):
        CIFAR10.splits(tmp_path)


@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.system, "touch harm"), (eval, "open('harm', 'w')"), (os.mkdir, "harm"), (codecs.lookup, "utf-8")],
    ids=["system", "eval", "mkdir", "lookup"],
)
def test_a_pickle_that_names_a_function_is_refused_and_runs_nothing(
    function: object, argument: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path, num_in_batch=1)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(harmful_pickle(function, argument))
    with pytest.raises(DataError, match="which is not part of an array"):
        CIFAR10.splits(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects"
    path.write_bytes(pickle.dumps(np.array([{}, {}], dtype=object), protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="an array of object was found"):
        read_plain_pickle(path)


@pytest.mark.parametrize("protocol", range(2, 5))
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, bool])
def test_arrays_of_numbers_are_read_as_numpy_pickles_them(protocol: int, kind: type, tmp_path: Path) -> None:
    array = (np.arange(24).reshape(4, 6) % 5).astype(kind)
    path = tmp_path / "array"
    path.write_bytes(pickle.dumps({"data": array, "labels": [1, 2], "name": "x"}, protocol=protocol))
    read = {key.decode() if isinstance(key, bytes) else key: value for key, value in read_plain_pickle(path).items()}
    assert np.array_equal(read["data"], array)
    assert read["data"].dtype == array.dtype
    assert read["labels"] == [1, 2]


def test_a_copy_of_cifar10_with_other_files_is_used_and_its_notice_names_them(cifar10: Path) -> None:
    notice = CIFAR10.notice(cifar10)
    assert notice is not None
    assert "6 of its 6 files (data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5" in notice
    assert f"dataset_fingerprint ({CIFAR10.splits(cifar10).fingerprint})" in notice
    assert notice.count(". ") == 0
    assert notice.endswith(".")


def test_a_copy_with_the_files_of_the_release_has_no_notice(cifar10: Path) -> None:
    sums = {file: hashlib.md5((cifar10 / file).read_bytes()).hexdigest() for file in CIFAR10_MD5}
    assert replace(CIFAR10, official_md5=sums).notice(cifar10) is None
    sums["cifar-10-batches-py/test_batch"] = "0" * 32
    assert "1 of its 6 files (test_batch)" in str(replace(CIFAR10, official_md5=sums).notice(cifar10))


def test_a_copy_of_cifar100_is_told_by_its_content_whatever_its_files_hold_besides(cifar100: Path) -> None:
    ours = CIFAR100.splits(cifar100).fingerprint
    assert "some of its pixels or labels are different" in str(CIFAR100.notice(cifar100))
    assert replace(CIFAR100, official_fingerprint=ours).notice(cifar100) is None


def test_the_sums_are_those_that_torchvision_knows() -> None:
    from torchvision.datasets import CIFAR10 as Theirs

    theirs = {f"{Theirs.base_folder}/{name}": md5 for name, md5 in Theirs.train_list + Theirs.test_list}
    assert theirs == CIFAR10_MD5
