"""The quick ways of drawing and applying masks against the plain ones."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from tiny_tasks import binomial_bound
from torch import Tensor

from tasks.regularizers.masking import apply_mask, dropped_positions, realised_scale
from tasks.streams import MaskStream

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(3, 4, 5, 6, generator=GENERATOR, dtype=torch.float64)
KEEP = torch.rand(3, 4, 5, 6, generator=GENERATOR) < 0.6

SCALES = {
    "number": 1.7,
    "scalar tensor": torch.tensor(1.7, dtype=torch.float64),
    "map": torch.rand(5, 6, generator=GENERATOR, dtype=torch.float64) + 1,
}
INPUTS = {
    "contiguous": (X, KEEP),
    "one mask per channel": (X, KEEP[:, :, :1, :1]),
    "channels last": (X.to(memory_format=torch.channels_last), KEEP),
    "float32": (X.float(), KEEP),
    "bfloat16": (X.bfloat16(), KEEP),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", INPUTS)
def test_a_mask_multiplies_values_and_gradients(kind: str, scale: str) -> None:
    values, keep = INPUTS[kind]
    x = values.clone().requires_grad_()
    y = apply_mask(x, keep, SCALES[scale])
    factors = (keep.double() * SCALES[scale]).to(x.dtype).expand(x.shape)
    assert y.dtype == x.dtype
    assert torch.equal(y, values * factors)
    upstream = torch.ones_like(y)
    (gradient,) = torch.autograd.grad(y, x, upstream)
    assert torch.equal(gradient, factors)


def test_masked_products_can_be_differentiated_twice() -> None:
    def function(x: Tensor) -> Tensor:
        return apply_mask(x, KEEP[0, 0], 1.5) ** 3

    x = X[0, 0].clone().requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


def test_the_realised_scale_brings_a_constant_back_to_its_mean() -> None:
    ones = torch.ones(KEEP.shape, dtype=torch.float64)
    assert float(apply_mask(ones, KEEP, realised_scale(KEEP)).mean()) == pytest.approx(1, rel=1e-15)
    assert float(realised_scale(torch.zeros(3, dtype=torch.bool))) == 1


def test_dropped_positions_are_those_of_the_flattened_mask() -> None:
    expected = [k for k, kept in enumerate(KEEP.flatten().tolist()) if not kept]
    assert dropped_positions(KEEP).tolist() == expected


@pytest.mark.parametrize("rate", [0.003, 0.1, 0.5, 0.77, 0.9999])
def test_every_element_is_drawn_with_the_rate_asked_for(rate: float) -> None:
    num_draws = 200_000
    drawn = MaskStream(0, "a", "cpu").bernoulli((num_draws, 3), rate).double()
    assert ((drawn.mean(0) - rate).abs() < binomial_bound(rate, num_draws)).all()


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_positions_are_independent_trials_of_the_rate_asked_for(rate: float) -> None:
    size, num_draws, stream = 5, 20_000, MaskStream(0, "a", "cpu")
    hits = torch.zeros(num_draws, size, dtype=torch.float64)
    for draw in range(num_draws):
        hits[draw, stream.positions(size, rate)] = 1
    assert ((hits.mean(0) - rate).abs() < binomial_bound(rate, num_draws)).all()
    for first, second in combinations(range(size), 2):
        both = (hits[:, first] * hits[:, second]).mean()
        assert abs(both - rate**2) < binomial_bound(rate**2, num_draws)


def test_positions_are_sorted_and_lie_in_the_range_at_every_rate() -> None:
    stream = MaskStream(0, "a", "cpu")
    assert stream.positions(10, 0.0).tolist() == []
    assert stream.positions(10, 1e-300).tolist() == []
    assert stream.positions(10, 1.0).tolist() == list(range(10))
    for rate in (0.01, 0.5):
        positions = stream.positions(1000, rate)
        assert (positions.diff() > 0).all()
        assert positions.min() >= 0
        assert positions.max() < 1000
