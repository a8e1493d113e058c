"""The quick ways of shrinking spectra against LAPACK in float64, on friendly and unfriendly matrices."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from slow_params import slow_but
from torch import Tensor

from tasks.regularizers.spectra import large as large_spectra
from tasks.regularizers.spectra import small as small_spectra
from tasks.regularizers.spectra.thresholding import Shrunk, shrink_small_singular_values, tail_sums

GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def _draws_of_each_test() -> None:
    GENERATOR.manual_seed(0)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def plainly(weight: Tensor, num_kept: int, limits: Tensor | float) -> tuple[Tensor, float, int, Tensor]:
    """What is taken away, the first value shrunk, how many vanish, and the sums of the tails."""
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    tail = values[..., num_kept:]
    removed = torch.minimum(tail, torch.as_tensor(limits, dtype=torch.float64)[..., None])
    update = (left[..., num_kept:] * removed[..., None, :]) @ right[..., num_kept:, :]
    num_zeroed = int(((removed >= tail) & (tail > 0)).sum())
    return update, float(tail[..., 0].max()), num_zeroed, tail.sum(-1)


def relative_error(weight: Tensor, shrunk: Shrunk, update: Tensor) -> float:
    return float((weight.double() - shrunk.weight.double() - update).norm() / update.norm())


@pytest.fixture(params=slow_but(["portable", "compiled"], ["portable"]))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of rotating: by tensor operations, and by compiled loops (of 3x3 matrices)."""
    monkeypatch.setattr(small_spectra, "MIN_COMPILED", 1 if request.param == "compiled" else math.inf)
    return str(request.param)


SHAPES = [(3, 3), (5, 5), (2, 3), (5, 2), (4, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_many_small_matrices_are_shrunk_each_by_its_own_limit(shape: tuple[int, int], way: str) -> None:
    num_matrices = 1000
    weight, limits = random(num_matrices, *shape), torch.rand(num_matrices, generator=GENERATOR).double() * 2
    for num_kept in range(min(shape)):
        shrunk = small_spectra.shrink_many(weight, num_kept, limits)
        update, next_value, num_zeroed, sums = plainly(weight, num_kept, limits)
        assert float((weight - shrunk.weight - update).abs().max()) < 1e-11
        assert shrunk.next_value == pytest.approx(next_value, rel=1e-12)
        assert shrunk.num_zeroed == num_zeroed
        torch.testing.assert_close(small_spectra.tail_sums_of_many(weight, num_kept), sums, rtol=1e-11, atol=1e-12)


KINDS: dict[str, Callable[[int], Tensor]] = {
    "zero": lambda n: torch.zeros(n, 3, 3),
    "identity": lambda n: torch.eye(3).expand(n, 3, 3),
    "rank one": lambda n: random(n, 3, 1) @ random(n, 1, 3),
    "nearly rank one": lambda n: random(n, 3, 1) @ random(n, 1, 3) + 1e-6 * random(n, 3, 3),
    "equal values": lambda n: torch.linalg.qr(random(n, 3, 3)).Q,
    "tiny": lambda n: 1e-25 * random(n, 3, 3),
    "huge": lambda n: 1e25 * random(n, 3, 3),
    "of very different sizes": lambda n: random(n, 3, 3) * 10 ** torch.linspace(-6, 6, n)[:, None, None],
}


@pytest.mark.parametrize("kind", KINDS)
def test_unfriendly_kernels_are_shrunk_in_single_precision_too(kind: str, way: str) -> None:
    weight = KINDS[kind](600).float().contiguous()
    limit = float(weight.abs().max()) / 10
    shrunk = small_spectra.shrink_many(weight, 1, torch.full((600,), limit))
    update, next_value, _, sums = plainly(weight, 1, limit)
    size = float(weight.abs().max())
    if kind not in ("equal values", "identity"):  # where which value is the leading one is a matter of rounding
        assert float((weight - shrunk.weight - update).abs().max()) <= 1e-5 * size
    values, expected = torch.linalg.svdvals(shrunk.weight.double()), torch.linalg.svdvals(weight.double())
    expected[:, 1:] = (expected[:, 1:] - limit).clamp(min=0)
    torch.testing.assert_close(values, expected, rtol=0, atol=2e-6 * size + 1e-40)
    assert shrunk.next_value == pytest.approx(next_value, rel=1e-5, abs=2e-6 * size)
    torch.testing.assert_close(
        small_spectra.tail_sums_of_many(weight, 1), sums.float(), rtol=1e-5, atol=2e-6 * size + 1e-38
    )


def test_more_kernels_than_one_chunk_holds_are_all_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random(2000, 3, 3)
    whole = small_spectra.shrink_many(weight, 1, torch.full((2000,), 0.5).double())
    monkeypatch.setattr(small_spectra, "CHUNK_SIZE", 333)
    parts = small_spectra.shrink_many(weight, 1, torch.full((2000,), 0.5).double())
    torch.testing.assert_close(parts.weight, whole.weight, rtol=0, atol=1e-13)
    assert (parts.num_zeroed, parts.next_value) == (whole.num_zeroed, pytest.approx(whole.next_value))


@pytest.mark.parametrize("num_matrices", [1, 255, 256, 257])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_compiled_loops_shrink_any_number_of_kernels_in_either_precision(
    num_matrices: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_spectra, "MIN_COMPILED", 1)
    weight = random(num_matrices, 3, 3).to(dtype)
    limits = torch.rand(num_matrices, generator=GENERATOR).to(dtype)
    assert small_spectra._compiled_for(weight) is not None
    shrunk = small_spectra.shrink_many(weight, 1, limits)
    update, next_value, num_zeroed, _ = plainly(weight, 1, limits)
    assert shrunk.weight.dtype == dtype
    assert relative_error(weight, shrunk, update) < (1e-5 if dtype == torch.float32 else 1e-13)
    assert shrunk.next_value == pytest.approx(next_value, rel=1e-5)
    assert shrunk.num_zeroed == num_zeroed


@pytest.mark.slow
def test_compiled_loops_give_the_same_bits_again_and_start_no_thread() -> None:
    program = """
import os, sys, threading, torch
import numba, scipy.linalg  # which numba asks for at its first call, and whose own library starts a thread
from tasks.regularizers.spectra import small as small_spectra
torch.set_num_threads(1)
weight = torch.randn(70_000, 3, 3, generator=torch.Generator().manual_seed(0))
limits = torch.full((70_000,), 0.3)
def threads():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else threading.active_count()
before = threads()
first, second = (small_spectra.shrink_many(weight, 1, limits).weight for _ in range(2))
assert "numba" in sys.modules
print(threads() - before, torch.equal(first, second))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]


def test_few_kernels_do_not_pay_for_the_import_of_the_compiler() -> None:
    assert small_spectra._compiled_for(random(1000, 3, 3)) is None


def test_where_there_is_no_compiler_the_portable_way_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, limits = random(70_000, 3, 3).float(), torch.full((70_000,), 0.5)
    monkeypatch.setattr("tasks.runtime.compiled.is_available", lambda: False)
    assert small_spectra._compiled_for(weight) is None
    portable = small_spectra.shrink_many(weight, 1, limits)
    monkeypatch.undo()
    compiled = small_spectra.shrink_many(weight, 1, limits)
    update, *_ = plainly(weight, 1, limits)
    assert relative_error(weight, portable, update) < 1e-5
    assert relative_error(weight, compiled, update) < 1e-5
    assert compiled.num_zeroed == pytest.approx(portable.num_zeroed, abs=2)  # values at the limit, to rounding


def test_a_limit_of_zero_leaves_kernels_as_they_are_bit_for_bit(way: str) -> None:
    weight = random(48, 40, 3, 3).float()
    shrunk = shrink_small_singular_values(weight, 1, 0.0)
    assert torch.equal(shrunk.weight, weight)
    assert shrunk.num_zeroed == 0


def conv_like(rows: int, columns: int) -> Tensor:
    return random(rows, columns).float() / columns**0.5


def spiked(rows: int, columns: int) -> Tensor:
    """A few strong directions, and rows and columns of different sizes, as training leaves them."""
    weight = random(rows, columns) * (0.5 + random(columns).abs()) * (0.5 + random(rows, 1).abs())
    return (weight / columns**0.5 + random(rows, 5) @ random(5, columns) / columns**0.5).float()


def drifted(rows: int, columns: int) -> Tensor:
    """What a step of shrinkage and some training leave: a tail far below the rest."""
    weight = conv_like(rows, columns)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    values[-columns // 40 :] = 0
    return (left * values) @ right + 3e-2 * conv_like(rows, columns)


@pytest.mark.parametrize(("shape", "share"), [((416, 416), 0.3), ((400, 448), 2.0), ((448, 400), 0.3)], ids=str)
@pytest.mark.parametrize("make", [conv_like, spiked, drifted], ids=lambda make: str(make.__name__))
def test_the_few_smallest_values_of_a_large_matrix_are_found_alone(
    make: Callable[[int, int], Tensor], shape: tuple[int, int], share: float
) -> None:
    weight = make(*shape)
    num_kept = min(shape) - 10
    limit = share * float(torch.linalg.svdvals(weight)[num_kept])
    update, next_value, num_zeroed, sums = plainly(weight, num_kept, limit)
    tail = large_spectra.few_smallest(weight, num_kept, limit)
    assert tail is not None
    assert float(tail.values.sum()) == pytest.approx(float(sums), rel=1e-4)
    shrunk = shrink_small_singular_values(weight, num_kept, limit)
    assert relative_error(weight, shrunk, update) < 1e-3
    assert shrunk.next_value == pytest.approx(next_value, rel=1e-4)
    assert abs(shrunk.num_zeroed - num_zeroed) <= 1
    assert float(tail_sums(weight, num_kept)) == pytest.approx(float(sums), rel=1e-4)


@pytest.mark.parametrize("share", [0.2, 1.5])
@pytest.mark.parametrize("num_kept", [0, 40, 200])
def test_many_values_of_a_large_matrix_are_shrunk_by_its_gram_matrix(num_kept: int, share: float) -> None:
    weight = conv_like(420, 400)
    limit = share * float(torch.linalg.svdvals(weight)[num_kept])
    update, next_value, _, _ = plainly(weight, num_kept, limit)
    shrunk = large_spectra.shrink_one(weight, num_kept, limit)
    assert shrunk is not None
    assert relative_error(weight, shrunk, update) < 1e-3
    assert shrunk.next_value == pytest.approx(next_value, rel=1e-4)


def test_a_limit_that_the_gram_matrix_cannot_resolve_is_left_to_the_plain_decomposition() -> None:
    weight = conv_like(400, 400)
    assert large_spectra.shrink_one(weight, 40, 1e-4) is None
    shrunk = shrink_small_singular_values(weight, 40, 1e-4)
    update, *_ = plainly(weight, 40, 1e-4)
    assert relative_error(weight, shrunk, update) < 1e-3


def test_a_singular_matrix_is_shrunk_too() -> None:
    weight = conv_like(512, 512)
    weight[:, 3] = 0
    weight[100] = 0
    limit = 2 * float(torch.linalg.svdvals(weight)[500])
    update, *_ = plainly(weight, 500, limit)
    assert relative_error(weight, shrink_small_singular_values(weight, 500, limit), update) < 1e-3


def test_shrinking_a_large_matrix_twice_gives_the_same_result_bit_for_bit() -> None:
    weight = conv_like(448, 448)
    first, second = (shrink_small_singular_values(weight, 440, 0.01).weight for _ in range(2))
    assert torch.equal(first, second)
