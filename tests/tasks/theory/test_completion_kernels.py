"""A step of matrix completion against autograd, in both ways of computing it, under every kind of mask."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tasks.runtime import compiled
from tasks.theory.completion_kernels import completion_step, completion_step_portably

Step = Callable[..., Tensor]
STEPS: dict[str, Step] = {"portable": completion_step_portably, "compiled": completion_step}
MASKS = ("no mask", "a mask for the batch", "a mask for each entry")
NUM_ROWS, NUM_COLUMNS, NUM_ENTRIES, KEEP, LEARNING_RATE = 6, 5, 20, 0.8, 0.7


def draw(width: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, ...]:
    """Factors, places and values; places occur more than once."""
    generator = torch.Generator().manual_seed(seed)
    U, V = (torch.randn(n, width, generator=generator, dtype=torch.float64) for n in (NUM_ROWS, NUM_COLUMNS))
    rows, columns = (torch.randint(n, (NUM_ENTRIES,), generator=generator) for n in (NUM_ROWS, NUM_COLUMNS))
    values = torch.randn(NUM_ENTRIES, generator=generator, dtype=torch.float64)
    return U.to(dtype), V.to(dtype), rows, columns, values.to(dtype)


def draw_mask(kind: str, width: int, seed: int) -> Tensor | None:
    shape = {"no mask": None, "a mask for the batch": (width,), "a mask for each entry": (NUM_ENTRIES, width)}[kind]
    if shape is None:
        return None
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < KEEP


def autograd_step(
    U: Tensor, V: Tensor, rows: Tensor, columns: Tensor, values: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    U, V = U.clone().requires_grad_(), V.clone().requires_grad_()
    products = U[rows] * V[columns] * (1 if mask is None else mask / KEEP)
    loss = (products.sum(1) - values).square().mean()
    gradients = torch.autograd.grad(loss, [U, V])
    return (U - LEARNING_RATE * gradients[0]).detach(), (V - LEARNING_RATE * gradients[1]).detach(), loss.detach()


@pytest.mark.parametrize("width", [1, 7, 8, 21])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", STEPS)
def test_three_steps_are_those_of_autograd(name: str, kind: str, width: int) -> None:
    if name == "compiled":
        assert compiled.is_available()
    U, V, rows, columns, values = draw(width, torch.float64)
    wanted_U, wanted_V = U.clone(), V.clone()
    for seed in range(3):
        mask = draw_mask(kind, width, seed)
        wanted_U, wanted_V, wanted = autograd_step(wanted_U, wanted_V, rows, columns, values, mask)
        keep_rate = 1.0 if mask is None else KEEP
        loss = STEPS[name](U, V, rows, columns, values, LEARNING_RATE, mask, keep_rate)
        for own, other in ((loss, wanted), (U, wanted_U), (V, wanted_V)):
            torch.testing.assert_close(own, other, rtol=1e-11, atol=1e-11)
    if name == "compiled":
        assert "tasks.theory.completion_kernels_compiled" in sys.modules


@pytest.mark.parametrize("kind", MASKS)
def test_both_ways_agree_in_single_precision(kind: str) -> None:
    mask, ends = draw_mask(kind, 21, 0), []
    for step in STEPS.values():
        U, V, rows, columns, values = draw(21, torch.float32)
        loss = step(U, V, rows, columns, values, 0.1, mask, 1.0 if mask is None else KEEP)
        assert loss.dtype == torch.float32
        ends.append((loss, U, V))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", STEPS)
def test_factors_may_be_parameters(name: str) -> None:
    U, V, rows, columns, values = draw(4, torch.float64)
    wanted_U, _, _ = autograd_step(U, V, rows, columns, values, None)
    parameters = torch.nn.Parameter(U), torch.nn.Parameter(V)
    loss = STEPS[name](*parameters, rows, columns, values, LEARNING_RATE)
    torch.testing.assert_close(parameters[0].detach(), wanted_U, rtol=1e-11, atol=1e-11)
    assert not loss.requires_grad


@pytest.mark.parametrize("name", STEPS)
def test_a_step_sample_by_sample_is_another_algorithm(name: str) -> None:
    U, V, rows, columns, values = draw(4, torch.float64)
    one_by_one = U.clone(), V.clone()
    for j in range(NUM_ENTRIES):
        entry = rows[j : j + 1], columns[j : j + 1], values[j : j + 1]
        STEPS[name](*one_by_one, *entry, 0.1 / NUM_ENTRIES)
    STEPS[name](U, V, rows, columns, values, 0.1)
    assert float((U - one_by_one[0]).abs().max()) > 1e-3


@pytest.mark.parametrize("name", STEPS)
def test_units_that_are_dropped_by_the_whole_batch_stay_where_they_are(name: str) -> None:
    U, V, rows, columns, values = draw(3, torch.float64)
    before = U.clone(), V.clone()
    STEPS[name](U, V, rows, columns, values, LEARNING_RATE, torch.tensor([True, False, True]), KEEP)
    assert torch.equal(U[:, 1], before[0][:, 1])
    assert torch.equal(V[:, 1], before[1][:, 1])
    assert not torch.equal(U, before[0])


def test_factors_that_are_not_contiguous_take_the_portable_way() -> None:
    U, V, rows, columns, values = draw(4, torch.float64)
    wanted_U, _, _ = autograd_step(U, V, rows, columns, values, None)
    transposed = U.T.contiguous().T
    completion_step(transposed, V, rows, columns, values, LEARNING_RATE)
    torch.testing.assert_close(transposed, wanted_U, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("bad", [-1, NUM_ROWS])
def test_a_row_outside_the_factor_is_refused_before_anything_changes(name: str, bad: int) -> None:
    U, V, rows, columns, values = draw(4, torch.float64)
    before, rows[3] = U.clone(), bad
    with pytest.raises(IndexError):
        STEPS[name](U, V, rows, columns, values, LEARNING_RATE)
    assert torch.equal(U, before)


U, V, ROWS, COLUMNS, VALUES = draw(3, torch.float64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "vector": (
        lambda: completion_step(U[0], V, ROWS, COLUMNS, VALUES, 1.0),
        r"U and V must be matrices with the same number of columns, got shapes \(3,\) and \(5, 3\)",
    ),
    "widths": (
        lambda: completion_step(U, V[:, :2], ROWS, COLUMNS, VALUES, 1.0),
        r"U and V must be matrices with the same number of columns, got shapes \(6, 3\) and \(5, 2\)",
    ),
    "lengths": (
        lambda: completion_step(U, V, ROWS, COLUMNS[:4], VALUES, 1.0),
        r"non-empty vectors of equal length, got shapes \(20,\), \(4,\), \(20,\)",
    ),
    "no entry": (
        lambda: completion_step(U, V, ROWS[:0], COLUMNS[:0], VALUES[:0], 1.0),
        r"non-empty vectors of equal length, got shapes \(0,\), \(0,\), \(0,\)",
    ),
    "dtypes": (
        lambda: completion_step(U, V.float(), ROWS, COLUMNS, VALUES, 1.0),
        "U, V and values must have the same dtype, got torch.float64, torch.float32 and torch.float64",
    ),
    "places": (
        lambda: completion_step(U, V, ROWS.int(), COLUMNS, VALUES, 1.0),
        "rows and columns must hold int64, got torch.int32 and torch.int64",
    ),
    "learning rate": (
        lambda: completion_step(U, V, ROWS, COLUMNS, VALUES, -1.0),
        "learning_rate must be finite and >= 0, got -1.0",
    ),
    "keep rate 0": (
        lambda: completion_step(U, V, ROWS, COLUMNS, VALUES, 1.0, U[0] > 0, 0.0),
        r"keep_rate must lie in \(0, 1\], got 0.0",
    ),
    "mask of floats": (
        lambda: completion_step(U, V, ROWS, COLUMNS, VALUES, 1.0, U[0], 0.5),
        r"mask must be boolean, of shape \(3,\) or \(20, 3\), got torch.float64 of shape \(3,\)",
    ),
    "mask of another width": (
        lambda: completion_step(U, V, ROWS, COLUMNS, VALUES, 1.0, torch.ones(2, dtype=torch.bool), 0.5),
        r"mask must be boolean, of shape \(3,\) or \(20, 3\), got torch.bool of shape \(2,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
