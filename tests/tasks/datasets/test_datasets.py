"""Data sets: read whole or refused in one sentence, and the same splits for everybody."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.datasets import DATASETS
from tasks.datasets.dataset import FETCH_TIMEOUT_SECONDS, fingerprint, held_out
from tasks.datasets.digits import DIGITS
from tasks.datasets.in_memory import InMemory, Raw
from tasks.datasets.mnist import MNIST, RAW_FILES
from tasks.datasets.ratings import Ratings
from tasks.datasets.synthetic import SYNTHETIC
from tasks.errors import DataError
from tasks.experiments.demos.protocols import DIGITS as DIGITS_PROTOCOL
from tasks.runtime.streams import torch_stream

COUNTS = {name: 60_000 if name.startswith("train") else 10_000 for name in RAW_FILES}


def write_idx(path: Path, sizes: tuple[int, ...], first_bytes: bytes = b"", cut: int = 0) -> None:
    """An idx file of zeros that begins with `first_bytes`; the last `cut` bytes are missing."""
    header = struct.pack(f">BBBB{len(sizes)}I", 0, 0, 8, len(sizes), *sizes)
    with path.open("wb") as file:
        file.write(header + first_bytes)
        file.truncate(len(header) + torch.Size(sizes).numel() - cut)


def write_mnist(folder: Path, **changed: dict[str, object]) -> Path:
    """Four idx files of the right sizes, but for what is `changed` in the file of that (shortened) name."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in COUNTS.items():
        options: dict[str, object] = {"sizes": (count, 28, 28) if "images" in name else (count,)}
        options |= changed.get(name.removesuffix("-ubyte").replace("-", "_"), {})
        write_idx(raw / name, **options)
    return folder


def offline(dataset: InMemory = MNIST, fetch: Callable[[Path], object] | None = None) -> InMemory:
    """The data set on a machine without a network."""

    def fail(data_dir: Path) -> None:
        print("connecting ...")
        raise OSError("no network")

    return replace(dataset, fetch=fetch or fail)


def test_mnist_is_read_from_its_four_files(tmp_path: Path) -> None:
    pixels = bytes([0] * (3 * 28 + 5) + [7])
    folder = write_mnist(
        tmp_path, train_images_idx3={"first_bytes": pixels}, t10k_labels_idx1={"first_bytes": bytes([4, 9])}
    )
    train_images, train_labels, test_images, test_labels = MNIST.load(folder)
    assert (train_images.shape, test_images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train_images.dtype == test_images.dtype == torch.uint8
    assert train_images[0, 0].nonzero().tolist() == [[3, 5]]
    assert int(train_images[0, 0, 3, 5]) == 7
    assert test_labels[:3].tolist() == [4, 9, 0]
    assert len(train_labels) == 60_000
    splits = offline().splits(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (50_000, 10_000, 10_000)


@pytest.mark.parametrize("name", RAW_FILES)
@pytest.mark.parametrize("cut", [1, 5000])
def test_a_truncated_file_is_refused_in_a_sentence_that_names_the_files(name: str, cut: int, tmp_path: Path) -> None:
    folder = write_mnist(tmp_path, **{name.removesuffix("-ubyte").replace("-", "_"): {"cut": cut}})
    with pytest.raises(DataError, match=r"data set mnist .* truncated or damaged") as error:
        offline().splits(folder)
    assert str(folder) in str(error.value)
    assert all(f"MNIST/raw/{file}" in str(error.value) for file in RAW_FILES)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"train_images_idx3": {"sizes": (59_999, 28, 28)}}, "train-images-idx3-ubyte holds 59999 entries, not 60000"),
        ({"t10k_labels_idx1": {"sizes": (10_001,)}}, "t10k-labels-idx1-ubyte holds 10001 entries, not 10000"),
        ({"train_labels_idx1": {"first_bytes": bytes([3, 200])}}, "labels run from 0 to 200, not from 0 to 9"),
        ({"t10k_images_idx3": {"sizes": (10_000, 14, 14)}}, r"where one image has shape \(1, 28, 28\)"),
    ],
    ids=["fewer images", "more labels", "unknown class", "small images"],
)
def test_files_of_other_content_are_refused_with_what_is_wrong(
    changed: dict[str, dict[str, object]], what: str, tmp_path: Path
) -> None:
    folder = write_mnist(tmp_path, **changed)
    with pytest.raises(DataError, match=what):
        offline().splits(folder)


def test_a_file_that_is_no_idx_file_is_refused(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path)
    (folder / "MNIST" / "raw" / RAW_FILES[1]).write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="truncated or damaged"):
        offline().splits(folder)


def test_missing_files_are_named_with_their_folder_and_what_to_do(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path)
    (folder / "MNIST" / "raw" / RAW_FILES[2]).unlink()
    with pytest.raises(DataError) as error:
        MNIST.check(folder)
    sentence = str(error.value)
    assert f"missing in {folder}: MNIST/raw/{RAW_FILES[2]}. Put the files there, or let --download fetch" in sentence
    assert "\n" not in sentence


def test_a_network_that_does_not_answer_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Fetching them failed \(OSError\): put the files there\.$"):
        offline().check(tmp_path, download=True)


def test_what_is_fetched_in_vain_is_still_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing in .* Fetching them did not bring all: put the files there\.$"):
        offline(fetch=lambda data_dir: None).check(tmp_path, download=True)


@pytest.mark.parametrize("method", ["check", "splits"])
def test_an_empty_folder_and_no_folder_at_all_are_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing in .*: MNIST/raw/train-images-idx3-ubyte, MNIST/raw/train-labels"):
        getattr(offline(), method)(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"read from files: MNIST/raw/train-images.*no --data was given"):
        getattr(offline(), method)(None)


def test_without_a_way_to_fetch_the_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="They cannot be fetched automatically"):
        replace(MNIST, fetch=None).check(tmp_path, download=True)


def test_files_are_fetched_when_asked_once_quietly_and_only_where_they_are_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fetched: list[Path] = []

    def fetch(data_dir: Path) -> None:
        print("100%")
        fetched.append(data_dir)
        assert socket.getdefaulttimeout() == FETCH_TIMEOUT_SECONDS  # a network that never answers must not hang a trial
        write_mnist(data_dir)

    dataset, before = offline(fetch=fetch), socket.getdefaulttimeout()
    socket.setdefaulttimeout(77.0)
    with pytest.raises(DataError, match="or let --download fetch them"):
        dataset.check(tmp_path)
    nobody_asked = list(fetched)
    dataset.check(tmp_path, download=True)
    dataset.check(tmp_path, download=True)
    after = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before)
    assert nobody_asked == []
    assert fetched == [tmp_path]
    assert after == 77.0  # as it was
    assert capfd.readouterr() == ("", "")


def test_digits_need_no_files_and_are_split_into_1000_300_and_497() -> None:
    DIGITS.check(None)
    splits = DIGITS.splits(None)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1000, 300, 497)


def test_the_splits_of_digits_are_disjoint_and_hold_every_image_once() -> None:
    from sklearn.datasets import load_digits

    splits = DIGITS.splits(None)
    together = torch.cat([part.inputs for part in (splits.train, splits.validation, splits.test)]).flatten(1)  # type: ignore[attr-defined]  # data in memory
    labels = torch.cat([part.targets for part in (splits.train, splits.validation, splits.test)]).argmax(1)  # type: ignore[attr-defined]  # data in memory
    digits = load_digits()
    original = torch.from_numpy(digits.data * 255 / 16).round().to(torch.uint8)
    ours = sorted(zip(map(tuple, together.tolist()), labels.tolist(), strict=True))
    theirs = sorted(zip(map(tuple, original.tolist()), digits.target.tolist(), strict=True))
    assert ours == theirs


def test_digits_are_normalised_to_about_mean_0_and_deviation_1() -> None:
    train = DIGITS.splits(None).train
    pixels = train.normalised(train.inputs)  # type: ignore[attr-defined]  # data in memory
    assert abs(float(pixels.mean())) < 0.02
    assert abs(float(pixels.std()) - 1) < 0.02


def test_targets_are_one_hot() -> None:
    targets = DIGITS.splits(None).train.targets  # type: ignore[attr-defined]  # data in memory
    assert targets.dtype == torch.float32
    assert torch.equal(targets.sum(1), torch.ones(len(targets)))
    assert set(targets.unique().tolist()) == {0.0, 1.0}


def tiny_dataset(load: Callable[[Path | None], Raw]) -> InMemory:
    return replace(DIGITS, name="tiny", load=load, shape=(1, 2, 2), num_classes=3, validation_fraction=0.25)


def test_the_held_out_images_are_the_same_for_everybody_and_come_from_the_training_set() -> None:
    def load(data_dir: Path | None) -> Raw:
        images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(20, 1, 2, 2)
        return Raw(images, torch.arange(20) % 3, images[:5] + 100, torch.arange(5) % 3)

    first, second = (tiny_dataset(lambda data_dir: load(data_dir)).splits(None) for _ in range(2))
    assert torch.equal(first.validation.inputs, second.validation.inputs)  # type: ignore[attr-defined]  # data in memory
    numbers = [set(part.inputs[:, 0, 0, 0].tolist()) for part in (first.train, first.validation, first.test)]  # type: ignore[attr-defined]  # data in memory
    assert (len(numbers[0]), len(numbers[1])) == (15, 5)
    assert numbers[0] | numbers[1] == set(range(20))
    assert numbers[2] == set(range(100, 105))
    for part in (first.train, first.validation):
        assert torch.equal(part.targets.argmax(1), part.inputs[:, 0, 0, 0].long() % 3)  # type: ignore[attr-defined]  # data in memory


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.3, 0.77])
def test_every_class_has_its_share_of_the_held_out_images_up_to_one(fraction: float) -> None:
    counts = torch.tensor([200, 1, 33, 0, 66])
    labels = torch.arange(5).repeat_interleave(counts)[torch.randperm(300, generator=torch_stream(0, "labels"))]
    train, validation = held_out("tiny", labels, fraction)
    assert len(validation) == round(300 * fraction)
    assert torch.equal(torch.cat([train, validation]).sort().values, torch.arange(300))
    found = torch.bincount(labels[validation], minlength=5)
    assert ((found - counts * len(validation) / 300).abs() < 1).all()
    assert not torch.equal(train, train.sort().values)  # shuffled, so that the first so many are of all classes
    assert torch.equal(held_out("tiny", labels, fraction)[1], validation)
    assert not torch.equal(held_out("other", labels, fraction)[0], train)


def test_splits_hold_out_images_of_their_own_independently_of_each_other() -> None:
    labels = torch.arange(4000) % 2
    protocols = [replace(DIGITS_PROTOCOL, split=split) for split in range(4)]
    drawn = [set(held_out(protocol.split_of("tiny"), labels, 0.25)[1].tolist()) for protocol in protocols]
    assert drawn[0] == set(held_out("tiny", labels, 0.25)[1].tolist())
    for place, first in enumerate(drawn):
        assert sum(int(labels[each]) for each in first) == 500
        for second in drawn[:place]:  # of each class hypergeometric: mean 125, variance 125 (3 / 4)^2
            assert abs(len(first & second) - 250) < 5 * (2 * 125 * (3 / 4) ** 2) ** 0.5


def test_digits_hold_out_the_share_of_every_class() -> None:
    splits = DIGITS.splits(None)
    of_train, of_validation = splits.train.targets.sum(0), splits.validation.targets.sum(0)  # type: ignore[attr-defined]  # data in memory
    assert (of_validation - 300 / 1300 * (of_train + of_validation)).abs().max() < 1


def test_an_error_while_reading_is_told_as_damaged_data() -> None:
    def load(data_dir: Path | None) -> Raw:
        raise EOFError("file ends early")

    with pytest.raises(DataError, match=r"data set tiny .* truncated or damaged \(EOFError: file ends early\)"):
        tiny_dataset(load).splits(None)


def test_the_fingerprint_tells_any_change_of_content_type_or_shape() -> None:
    zeros = torch.zeros(4, 3, dtype=torch.uint8)
    changed = zeros.clone()
    changed[2, 1] = 1
    others = [changed, zeros.to(torch.int8), zeros.view(3, 4), zeros[:3]]
    prints = {fingerprint(tensor) for tensor in (zeros, *others)}
    assert len(prints) == 5
    assert fingerprint(zeros) == fingerprint(zeros.clone()) == fingerprint(zeros.T.contiguous().T)
    assert fingerprint(zeros, changed) != fingerprint(changed, zeros)
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in prints)


RATINGS = {name for name in DATASETS if isinstance(DATASETS[name], Ratings)}  # places in a matrix, not to be normalised


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_data_set_of_the_table_is_called_by_its_name_there(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
    assert len(dataset.mean) == len(dataset.std) == (0 if name in RATINGS else dataset.shape[0])


def split_by(validation_fraction: float | None) -> tuple[int, int, int]:
    splits = SYNTHETIC.splits(None, replace(DIGITS_PROTOCOL, validation_fraction=validation_fraction))
    return len(splits.train), len(splits.validation), len(splits.test)


def test_a_protocol_may_hold_out_another_share() -> None:
    assert split_by(None) == (400, 100, 200)
    assert split_by(0.1) == (450, 50, 200)
    assert split_by(1e-9) == (499, 1, 200)


def test_where_nothing_is_held_out_validation_looks_at_the_training_images() -> None:
    assert split_by(0.0) == (500, 500, 200)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5])
def test_a_share_that_leaves_nothing_to_train_on_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"must lie in \[0, 1\), got {fraction}"):
        split_by(fraction)


def test_what_a_data_set_does_not_offer_is_refused_rather_than_left_out() -> None:
    with pytest.raises(
        ValueError, match=r"synthetic offers the augmentations crop, flip, rotation, got 'resized_crop'"
    ):
        SYNTHETIC.splits(None, replace(DIGITS_PROTOCOL, augmentation=("flip", "resized_crop")))
    with pytest.raises(ValueError, match=r"offers the preprocessing standard, got 'gcn_zca'"):
        replace(SYNTHETIC, preprocessings=("standard",)).splits(None, replace(DIGITS_PROTOCOL, preprocessing="gcn_zca"))


def test_synthetic_images_are_the_same_every_time_and_learned_by_their_class_means() -> None:
    first, second = SYNTHETIC.load(None), SYNTHETIC.load(None)
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert first.train_labels.bincount().tolist() == [50] * 10
    means = torch.stack([first.train_images[first.train_labels == k].float().mean(0).flatten() for k in range(10)])
    nearest = torch.cdist(first.test_images.float().flatten(1), means).argmin(1)
    assert torch.equal(nearest, first.test_labels)
