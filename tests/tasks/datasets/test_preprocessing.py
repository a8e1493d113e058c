"""Preprocessing: contrast and whitening as their formulas say, fitted to the training split, and kept in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.datasets import cache, in_memory
from tasks.datasets.batches import Split
from tasks.datasets.digits import DIGITS
from tasks.datasets.in_memory import InMemory
from tasks.datasets.preprocessing import CONTRAST_NORM, ZCA_BIAS, Whitening, contrast_normalised, fit_whitening
from tasks.experiments.demos.protocols import DIGITS as PROTOCOL

NORMS = pytest.mark.parametrize("norm", [CONTRAST_NORM, None], ids=["gcn_zca", "mean_zca"])


def correlated(num_images: int, seed: int, shape: tuple[int, int, int] = (3, 4, 4)) -> Tensor:
    """Bytes whose pixels go together in several ways, as those of photographs do."""
    rng = np.random.default_rng(seed)
    num_values = int(np.prod(shape))
    mixing = np.random.default_rng(5).normal(size=(num_values, num_values)) * np.linspace(3, 0.05, num_values)
    values = 128 + 6 * rng.normal(size=(num_images, num_values)) @ mixing.T
    return torch.from_numpy(values.round().clip(0, 255).astype(np.uint8)).view(num_images, *shape)


def rows_before_whitening(images: Tensor, norm: float | None, train: Tensor) -> np.ndarray:
    """Slow and obvious, in double precision."""
    rows = images.flatten(1).double().numpy() / 255
    if norm is None:
        reference = train.flatten(1).double().numpy() / 255
        return rows / (np.sqrt(reference.var(0).mean()) or 1.0)
    centred = rows - rows.mean(1, keepdims=True)
    return centred * norm / np.sqrt((centred**2).sum(1, keepdims=True))


def test_contrast_normalised_rows_have_mean_zero_and_norm_55() -> None:
    rows = contrast_normalised(torch.rand(20, 48, dtype=torch.float64) * 7 + 3)
    torch.testing.assert_close(rows.mean(1), torch.zeros(20, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(rows.norm(dim=1), torch.full((20,), 55.0, dtype=torch.float64))


def test_contrast_does_not_depend_on_the_scale_of_its_input_and_an_image_of_one_colour_stays() -> None:
    rows = torch.rand(5, 48, dtype=torch.float64)
    torch.testing.assert_close(contrast_normalised(rows), contrast_normalised(rows * 255 - 4))
    assert torch.equal(contrast_normalised(torch.full((1, 48), 0.25)), torch.zeros(1, 48))


@NORMS
@pytest.mark.parametrize("num_images", [400, 48, 20, 1], ids=lambda number: f"{number} images of 48 values")
def test_whitened_images_are_the_formula_in_double_precision(norm: float | None, num_images: int) -> None:
    train, other = correlated(num_images, seed=0), correlated(7, seed=1)
    before = rows_before_whitening(train, norm, train)
    mean = before.mean(0)
    covariance = (before - mean).T @ (before - mean) / len(before)
    values, vectors = np.linalg.eigh(covariance)
    matrix = vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
    expected = (rows_before_whitening(other, norm, train) - mean) @ matrix
    found = fit_whitening(train, norm)(other)
    assert (found.shape, found.dtype) == (other.shape, torch.float32)
    np.testing.assert_allclose(found.flatten(1), expected, atol=2e-4 * np.abs(expected).max())


@NORMS
def test_the_whitened_training_split_has_the_spectrum_lam_over_lam_plus_bias(norm: float | None) -> None:
    train = correlated(2000, seed=0)
    before = np.linalg.eigvalsh(np.cov(rows_before_whitening(train, norm, train).T, bias=True))
    whitened = fit_whitening(train, norm)(train).flatten(1).double().numpy()
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-4)
    spectrum = np.linalg.eigvalsh(np.cov(whitened.T, bias=True))
    np.testing.assert_allclose(spectrum, before / (before + ZCA_BIAS), atol=1e-3)


@NORMS
def test_without_bias_the_whitened_training_split_is_white(norm: float | None) -> None:
    train = correlated(3000, seed=0)
    whitened = fit_whitening(train, norm, bias=1e-12)(train).flatten(1).double().numpy()
    covariance = np.cov(whitened.T, bias=True)
    values = np.linalg.eigvalsh(covariance)
    missing = 1 if norm is not None else 0  # contrast normalisation takes one direction away: the rows' means are 0
    assert np.all(np.abs(values[missing:] - 1) < 1e-2)


@NORMS
def test_the_matrix_is_symmetric_and_positive(norm: float | None) -> None:
    matrix = fit_whitening(correlated(100, seed=0), norm).matrix_DD
    assert torch.equal(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix.double()).min()) > 0


def test_many_images_are_fitted_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    train = correlated(101, seed=0)
    whole = fit_whitening(train)
    monkeypatch.setattr("tasks.datasets.preprocessing._CHUNK", 7)
    parts = fit_whitening(train)
    torch.testing.assert_close(parts.matrix_DD, whole.matrix_DD)
    torch.testing.assert_close(parts.mean_D, whole.mean_D)
    assert parts.scale == pytest.approx(whole.scale)


def prepared(kind: str, dataset: InMemory = DIGITS, **changes: object) -> tuple[Split, Split, Split]:
    splits = dataset.splits(None, replace(PROTOCOL, preprocessing=kind, **changes))
    parts = splits.train, splits.validation, splits.test
    assert all(isinstance(part, Split) for part in parts)
    return parts  # type: ignore[return-value]  # three parts


@pytest.fixture(autouse=True)
def a_cache_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    in_memory._preprocessed.cache_clear()
    return tmp_path / "regarena"


@pytest.mark.parametrize("kind", ["gcn_zca", "mean_zca"])
def test_all_splits_are_whitened_by_the_training_split(kind: str) -> None:
    train, validation, test = prepared(kind)
    fitted = fit_whitening(train.inputs, CONTRAST_NORM if kind == "gcn_zca" else None)
    for part in (train, validation, test):
        torch.testing.assert_close(part.normalised(part.inputs[:50]), fitted(part.inputs[:50]))
        (first, *_) = part.in_order(50)
        assert torch.equal(first.inputs, part.normalised(part.inputs[:50]))


def test_batches_stay_bytes_and_are_whitened_when_they_are_normalised() -> None:
    train, _, _ = prepared("gcn_zca")
    batches = train.batches(10, seed=0, augmentation=("flip",))
    batch = next(batches.epoch())
    assert batch.inputs.dtype == torch.uint8
    assert train.preprocessing is not None
    assert torch.equal(batches.normalised(batch.inputs), train.preprocessing(batch.inputs))


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a whitening was fitted."""
    calls: list[int] = []
    original: Callable[..., Whitening] = in_memory.fit_whitening  # type: ignore[attr-defined]  # what is replaced

    def fit(images: Tensor, norm: float | None) -> Whitening:
        calls.append(len(images))
        return original(images, norm)

    monkeypatch.setattr(in_memory, "fit_whitening", fit)
    return calls


def test_it_is_fitted_once_and_then_read_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, a_cache_folder_of_its_own: Path
) -> None:
    calls = counting(monkeypatch)
    fitted = prepared("gcn_zca")[0].preprocessing
    in_memory._preprocessed.cache_clear()  # as another process
    read = prepared("gcn_zca")[0].preprocessing
    assert isinstance(fitted, Whitening)
    assert isinstance(read, Whitening)
    assert calls == [1000]
    assert torch.equal(read.matrix_DD, fitted.matrix_DD)
    assert torch.equal(read.mean_D, fitted.mean_D)
    assert [path.suffix for path in a_cache_folder_of_its_own.iterdir()] == [".npz"]


def test_what_it_follows_from_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counting(monkeypatch)
    prepared("gcn_zca")
    prepared("mean_zca")
    prepared("gcn_zca", validation_fraction=0.5)
    raw = DIGITS.load(None)
    prepared("gcn_zca", replace(DIGITS, load=lambda folder: raw._replace(train_images=raw.train_images + 1)))
    assert calls == [1000, 1000, 650, 1000]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_a_damaged_file_is_computed_anew_and_replaced(
    damage: str, monkeypatch: pytest.MonkeyPatch, a_cache_folder_of_its_own: Path
) -> None:
    calls = counting(monkeypatch)
    fitted = prepared("gcn_zca")[0].preprocessing
    (file,) = a_cache_folder_of_its_own.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "text": b"<html>",
        }[damage]
    )
    in_memory._preprocessed.cache_clear()
    again = prepared("gcn_zca")[0].preprocessing
    assert isinstance(fitted, Whitening)
    assert isinstance(again, Whitening)
    assert torch.equal(again.matrix_DD, fitted.matrix_DD)
    in_memory._preprocessed.cache_clear()
    prepared("gcn_zca")
    assert calls == [1000, 1000]


def test_a_pickle_in_the_place_of_the_file_is_not_run(a_cache_folder_of_its_own: Path) -> None:
    prepared("gcn_zca")
    (file,) = a_cache_folder_of_its_own.iterdir()
    np.savez(file, mean=np.array([print], dtype=object), matrix=np.array([{}], dtype=object), scale=1.0)
    assert cache._read(file) is None


def test_a_link_in_the_data_folder_is_not_written_through(tmp_path: Path, a_cache_folder_of_its_own: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (data, elsewhere):
        folder.mkdir()
    (data / cache.FOLDER).symlink_to(elsewhere)
    cache.cached("thing", 1, data_dir=data, compute=lambda: {"x": torch.arange(3)})
    assert not list(elsewhere.iterdir())
    assert len(list(a_cache_folder_of_its_own.rglob("thing-*.npz"))) == 1


def test_the_file_lies_with_the_data_where_that_can_be_written_and_in_the_cache_where_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    made = cache.cached("thing", 1, data_dir=data, compute=lambda: {"x": torch.arange(3)})
    assert [path.name[:6] for path in (data / ".regarena").iterdir()] == ["thing-"]
    again = cache.cached("thing", 1, data_dir=data, compute=lambda: {"x": torch.zeros(1)})
    assert torch.equal(again["x"], made["x"])
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / ".regarena").write_text("a file where the folder would be: nobody can write below it")
    cache.cached("other", 1, data_dir=blocked, compute=lambda: {"x": torch.arange(3)})
    assert [path.name[:6] for path in (tmp_path / "regarena").iterdir()] == ["other-"]


def test_where_nothing_can_be_written_it_is_computed_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for value in (1, 2):
        made = cache.cached("thing", 1, data_dir=None, compute=lambda value=value: {"x": torch.tensor(value)})
        assert int(made["x"]) == value
