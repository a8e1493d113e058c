"""How often DropBlock drops a pixel: the formulas against counting, listing every mask, and drawing masks."""

import itertools

import pytest
import torch
from torch import Tensor

from tasks.theory.drop_rates import KeepForm, coverage_counts, keep_matrix, seed_rate

# block size, height, width
SHAPES = [(1, 5, 5), (3, 5, 5), (2, 3, 4), (4, 4, 4), (7, 10, 9), (3, 1, 6), (9, 2, 5), (5, 11, 11)]
FORMS: list[KeepForm] = ["exact", "union"]


def blocks(block_size: int, height: int, width: int) -> list[Tensor]:
    """Every block on the map as a 0/1 mask of what it covers, placed one by one."""
    tall, wide = min(block_size, height), min(block_size, width)
    placed = []
    for top, left in itertools.product(range(height - tall + 1), range(width - wide + 1)):
        mask = torch.zeros(height, width, dtype=torch.float64)
        mask[top : top + tall, left : left + wide] = 1
        placed.append(mask)
    return placed


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_counts_are_those_of_placing_every_block(shape: tuple[int, int, int]) -> None:
    assert torch.equal(coverage_counts(*shape).double(), torch.stack(blocks(*shape)).sum(0))


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4, 4), (3, 1, 6), (4, 2, 5)], ids=str)
def test_the_exact_keep_matrix_is_the_mean_over_all_masks(shape: tuple[int, int, int]) -> None:
    gamma = float(seed_rate(0.3, *shape))
    placed = torch.stack(blocks(*shape))
    seeds = torch.tensor(list(itertools.product([0.0, 1.0], repeat=len(placed))), dtype=torch.float64)
    chances = (gamma * seeds + (1 - gamma) * (1 - seeds)).prod(-1)
    kept = torch.einsum("sn,nij->sij", seeds, placed) == 0
    mean = torch.einsum("s,sij->ij", chances, kept.double())
    torch.testing.assert_close(keep_matrix(0.3, *shape), mean, rtol=0, atol=1e-12)


def test_the_exact_keep_matrix_is_the_frequency_of_drawn_masks() -> None:
    generator = torch.Generator().manual_seed(0)
    placed = torch.stack(blocks(5, 11, 11))
    seeds = torch.rand(40_000, len(placed), generator=generator, dtype=torch.float64) < seed_rate(0.2, 5, 11, 11)
    kept = (seeds.double() @ placed.flatten(1) == 0).double().mean(0).view(11, 11)
    exact = keep_matrix(0.2, 5, 11, 11)
    assert ((kept - exact).abs() < 5 * (exact * (1 - exact) / 40_000).sqrt()).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_union_form_drops_the_asked_share_exactly(shape: tuple[int, int, int]) -> None:
    assert float(1 - keep_matrix(0.05, *shape, form="union").mean()) == pytest.approx(0.05, abs=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_exact_form_never_drops_more_than_asked_nor_more_than_the_union_form(shape: tuple[int, int, int]) -> None:
    exact, union = keep_matrix(0.4, *shape), keep_matrix(0.4, *shape, form="union")
    assert float(1 - exact.mean()) <= 0.4 + 1e-14
    assert (exact >= union - 1e-14).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("block_size", [1, 6, 100])
def test_a_block_of_one_pixel_or_of_the_whole_map_drops_every_pixel_at_the_asked_rate(
    block_size: int, form: KeepForm
) -> None:
    wanted = torch.full((6, 6), 0.65, dtype=torch.float64)
    torch.testing.assert_close(keep_matrix(0.35, block_size, 6, 6, form), wanted, rtol=0, atol=1e-15)
    assert seed_rate(0.35, block_size, 6, 6) == pytest.approx(0.35, abs=1e-15)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("drop_rate", "keep"), [(0.0, 1.0), (1.0, 0.0)])
def test_drop_rate_zero_keeps_all_and_one_with_one_block_keeps_nothing(
    drop_rate: float, keep: float, form: KeepForm
) -> None:
    assert (keep_matrix(drop_rate, 4, 4, 4, form) == keep).all()


def test_the_printed_entry_leaves_the_unit_interval_where_the_union_form_is_clipped() -> None:
    printed = 1 - coverage_counts(7, 10, 10) * seed_rate(0.9, 7, 10, 10)
    assert float(printed.min()) < 0
    assert float(keep_matrix(0.9, 7, 10, 10, form="union").min()) == 0


def test_the_printed_border_row_is_not_the_count_of_covering_blocks() -> None:
    printed = [1, 2, 3, 3, 3, 3, 3, 3, 3, 2, 1]  # (b + 1) / 2 = 3 in the middle columns, for b = 5 on a map of 11
    assert coverage_counts(5, 11, 11)[0].tolist() != printed
    assert coverage_counts(5, 11, 11)[0].tolist() == [int(row.sum()) for row in torch.stack(blocks(5, 11, 11))[:, 0].T]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_in_the_drop_rate_is_that_of_finite_differences(
    shape: tuple[int, int, int], form: KeepForm
) -> None:
    drop_rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rate: keep_matrix(rate, *shape, form=form), drop_rate)


@pytest.mark.parametrize("form", FORMS)
def test_learning_can_start_at_drop_rate_zero(form: KeepForm) -> None:
    drop_rate = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(keep_matrix(drop_rate, 3, 8, 8, form).mean(), drop_rate)
    assert float(slope) == pytest.approx(-1.0, abs=1e-14)  # the mean drop rate starts as the drop rate itself


def test_a_tensor_of_drop_rates_gives_one_matrix_each_in_its_own_dtype() -> None:
    rates = torch.tensor([0.0, 0.1, 0.25], dtype=torch.float32)
    matrices = keep_matrix(rates, 3, 6, 5)
    assert matrices.dtype == torch.float32
    assert matrices.shape == (3, 6, 5)
    for rate, matrix in zip(rates, matrices, strict=True):
        torch.testing.assert_close(matrix.double(), keep_matrix(float(rate), 3, 6, 5), rtol=1e-6, atol=0)


@pytest.mark.parametrize("drop_rate", [-0.1, 1.1, float("nan")])
def test_a_drop_rate_outside_the_unit_interval_is_refused(drop_rate: float) -> None:
    with pytest.raises(ValueError, match=r"drop_rate must lie in \[0, 1\], got"):
        keep_matrix(drop_rate, 2, 4, 4)


@pytest.mark.parametrize("sizes", [(0, 4, 4), (2, 0, 4), (2, 4, -1), (True, 4, 4)], ids=str)
def test_a_size_that_is_no_positive_integer_is_refused(sizes: tuple[int, int, int]) -> None:
    for function in (lambda: seed_rate(0.1, *sizes), lambda: coverage_counts(*sizes)):
        with pytest.raises(ValueError, match="must be an integer >= 1, got"):
            function()


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be 'exact' or 'union', got 'printed'"):
        keep_matrix(0.1, 2, 4, 4, form="printed")
