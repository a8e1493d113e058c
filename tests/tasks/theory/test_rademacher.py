"""The complexity bounds of LocalDrop: recursion against closed form, monotonicity, and degenerate layers."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tasks.theory.drop_rates import keep_matrix
from tasks.theory.rademacher import (
    convolutional_bound,
    convolutional_log_term,
    dense_bound,
    dense_log_term,
    rademacher_log_bound,
)

POSITIVE = st.floats(0.01, 5.0)
LAYERS = st.lists(st.tuples(POSITIVE, POSITIVE, st.integers(1, 50)), min_size=1, max_size=5)  # T_l, delta_l, S_l


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rates(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def closed_form(T: list[float], delta: list[float], B: float, n: int, k: int, S: list[int] | None = None) -> float:
    """Eq. 6, and with S the printed eq. 14, summed as they stand; lists start at layer 1."""
    L = len(T)
    total = math.sqrt(delta[L - 1]) + B / n * 2 ** (L - 1) * math.prod(T)
    for i in range(2, L + 1):
        inside = delta[L - i] * (S[L - i] if S else 1)
        total += 2 ** (i - 1) * math.sqrt(inside) * math.prod(T[L - j] for j in range(1, i))
    return k * total


def logs(terms: list[float]) -> list[Tensor]:
    return [torch.tensor(term, dtype=torch.float64).log() for term in terms]


@settings(deadline=None)
@given(layers=LAYERS, B=st.floats(0.0, 100.0), n=st.integers(1, 1000), k=st.integers(1, 10), printed=st.booleans())
def test_the_recursion_is_the_closed_form(
    layers: list[tuple[float, float, int]], B: float, n: int, k: int, printed: bool
) -> None:
    T, delta, S = (list(column) for column in zip(*layers, strict=True))
    sizes = [int(size) for size in S] if printed else None
    bound = float(rademacher_log_bound(logs(T), B, n, k, delta, sizes).exp())
    assert bound == pytest.approx(closed_form(T, delta, B, n, k, sizes), rel=1e-10)


def slow_tail(matrix: Tensor, untouched: int) -> float:
    eigenvalues = sorted(torch.linalg.eigvalsh(matrix @ matrix.T).clamp(min=0).sqrt().tolist(), reverse=True)
    return sum(eigenvalues[untouched:])


@pytest.mark.parametrize("untouched", [0, 1, 2])
def test_a_dense_term_is_the_norm_of_the_keep_rates_times_the_tail_of_the_singular_values(untouched: int) -> None:
    W, theta = random(3, 5), rates(5)
    norm = math.sqrt(sum(float(t) ** 2 for t in theta))
    wanted = norm * slow_tail(W, untouched)
    assert float(dense_log_term(W, theta, untouched).exp()) == pytest.approx(wanted, rel=1e-10)
    assert float(dense_log_term(W, None, untouched).exp()) == pytest.approx(slow_tail(W, untouched), rel=1e-10)


@pytest.mark.parametrize("untouched", [0, 1])
def test_a_convolutional_term_sums_over_all_kernels(untouched: int) -> None:
    W, theta = random(4, 3, 2, 3), rates(3, 5, 6)
    total = 0.0
    for m in range(3):
        norm = math.sqrt(float((theta[m] ** 2).sum()))
        total += norm * sum(slow_tail(W[j, m], untouched) for j in range(4))
    wanted = math.sqrt(4 * 3 * 2 * 3) * total
    assert float(convolutional_log_term(W, theta, untouched).exp()) == pytest.approx(wanted, rel=1e-10)
    shared = convolutional_log_term(W, theta[0].expand(3, 5, 6), untouched)
    assert float(convolutional_log_term(W, theta[0], untouched)) == pytest.approx(float(shared), rel=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_grouped_convolutional_term_sums_over_its_kernels(groups: int) -> None:
    """4 maps to 8; output j reads the maps of its group only. 4 groups are a depthwise convolution."""
    W, theta = random(8, 4 // groups, 2, 3), rates(4, 5, 6)
    total = 0.0
    for j in range(8):
        for place in range(4 // groups):
            m = j // (8 // groups) * (4 // groups) + place
            total += math.sqrt(float((theta[m] ** 2).sum())) * slow_tail(W[j, place], 1)
    term = convolutional_log_term(W, theta, 1, groups=groups)
    assert float(term.exp()) == pytest.approx(math.sqrt(W.numel()) * total, rel=1e-10)


def test_with_one_channel_the_bound_is_that_of_theorem_2() -> None:
    kernels, theta = [random(1, 1, 3, 3, seed=s) for s in range(3)], [rates(4, 4, seed=s) for s in range(3)]
    T = [3 * float(t.norm()) * slow_tail(W[0, 0], 1) for W, t in zip(kernels, theta, strict=True)]
    for variant, sizes in (("derived", None), ("printed", [9, 9, 9])):
        bound = convolutional_bound(kernels, theta, 2.0, 5, 10, 1, variant=variant)
        assert float(bound) == pytest.approx(closed_form(T, [1.0] * 3, 2.0, 5, 10, sizes), rel=1e-10)


def test_a_dense_network_has_the_closed_form_of_its_terms() -> None:
    weights, theta = [random(4, 3), random(5, 4, seed=1)], [rates(3), rates(4, seed=1)]
    T = [float(t.norm()) * slow_tail(W, 1) for W, t in zip(weights, theta, strict=True)]
    bound = dense_bound(weights, theta, 7.0, 20, 5, num_untouched=1, delta=[0.5, 2.0])
    assert float(bound) == pytest.approx(closed_form(T, [0.5, 2.0], 7.0, 20, 5), rel=1e-10)


def test_without_dropout_the_norms_are_left_out() -> None:
    weights = [random(4, 3), random(5, 4, seed=1)]
    T = [slow_tail(W, 0) for W in weights]
    assert float(dense_bound(weights, None, 7.0, 20, 5)) == pytest.approx(closed_form(T, [1.0] * 2, 7.0, 20, 5))
    # Keep rates of one are not the same: their norm is the square root of the width.
    ones = [torch.ones(3).double(), torch.ones(4).double()]
    assert float(dense_bound(weights, ones, 7.0, 20, 5)) > float(dense_bound(weights, None, 7.0, 20, 5))


def test_the_printed_bound_differs_from_the_derived_one_and_is_never_smaller() -> None:
    kernels = [random(2, 3, 3, 3), random(4, 2, 3, 3, seed=1)]
    derived, printed = (convolutional_bound(kernels, None, 1.0, 10, 10, variant=v) for v in ("derived", "printed"))
    assert float(printed) > float(derived) * 1.01
    single = [random(1, 1, 1, 1), random(1, 1, 1, 1, seed=1)]  # S = 1
    derived, printed = (convolutional_bound(single, None, 1.0, 10, 10, variant=v) for v in ("derived", "printed"))
    assert float(printed) == pytest.approx(float(derived), rel=1e-12)


@settings(deadline=None)
@given(layer=st.integers(0, 1), unit=st.integers(0, 2), rate=st.floats(0.0, 1.0))
def test_lowering_a_keep_rate_never_raises_the_bound(layer: int, unit: int, rate: float) -> None:
    weights, theta = [random(3, 3), random(3, 3, seed=1)], [rates(3), rates(3, seed=1)]
    before = float(dense_bound(weights, theta, 3.0, 10, 2))
    lower = theta[layer].clone()
    lower[unit] = rate * lower[unit]
    theta[layer] = lower
    assert float(dense_bound(weights, theta, 3.0, 10, 2)) <= before * (1 + 1e-12)


def test_a_larger_drop_rate_lowers_the_bound_of_a_convolutional_network() -> None:
    kernels = [random(2, 1, 3, 3), random(2, 2, 3, 3, seed=1)]
    bounds = [
        float(convolutional_bound(kernels, [keep_matrix(drop, 3, 8, 8)] * 2, 1.0, 10, 10)) for drop in (0.0, 0.1, 0.4)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[2] * 1.1


def test_leaving_more_singular_values_out_lowers_the_bound_down_to_its_constant() -> None:
    weights = [random(4, 3), random(5, 4, seed=1)]
    bounds = [float(dense_bound(weights, None, 7.0, 20, 5, num_untouched=h)) for h in range(5)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[4] == pytest.approx(5.0, rel=1e-12)  # from the rank on no term is left


@pytest.mark.parametrize("dead", ["weights", "keep rates"])
def test_a_dead_last_layer_leaves_only_the_classes_times_the_root_of_its_variance(dead: str) -> None:
    weights, theta = [random(4, 3), random(5, 4, seed=1)], [rates(3), rates(4, seed=1)]
    part = weights if dead == "weights" else theta
    part[-1] = torch.zeros_like(part[-1])
    bound = dense_bound(weights, theta, 7.0, 20, 5, delta=[3.0, 0.25])
    assert float(bound) == pytest.approx(5 * 0.5, rel=1e-12)


def test_without_variance_only_the_product_of_the_terms_is_left_and_without_data_too_nothing() -> None:
    weights = [random(4, 3), random(5, 4, seed=1)]
    product = math.prod(slow_tail(W, 0) for W in weights)
    assert float(dense_bound(weights, None, 7.0, 20, 5, delta=0.0)) == pytest.approx(
        5 * 7 / 20 * 2 * product, rel=1e-10
    )
    assert float(dense_bound(weights, None, 0.0, 20, 5, delta=0.0)) == 0.0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999))
def test_rotating_the_weights_leaves_the_bound_unchanged(seed: int) -> None:
    W = random(4, 3)
    left, right = torch.linalg.qr(random(4, 4, seed=seed)).Q, torch.linalg.qr(random(3, 3, seed=seed)).Q
    bound = float(dense_bound([W], None, 1.0, 1, 1, num_untouched=1))
    assert float(dense_bound([left @ W @ right], None, 1.0, 1, 1, num_untouched=1)) == pytest.approx(bound, rel=1e-10)


def test_a_very_deep_network_overflows_as_a_number_but_not_as_a_logarithm() -> None:
    num_layers, log_term = 400, math.log(1000.0)
    log_bound = rademacher_log_bound([torch.tensor(log_term, dtype=torch.float64)] * num_layers, 1.0, 1, 10)
    leading = math.log(10) + (num_layers - 1) * (math.log(2) + log_term) + log_term
    assert float(log_bound) == pytest.approx(leading, rel=1e-5)
    assert math.isinf(float(log_bound.exp()))


ONE = torch.ones(1, 1, dtype=torch.float64)
KERNEL = ONE[None, None]
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no layer": (lambda: dense_bound([], None, 1.0, 1, 1), "at least 1 layer, got none"),
    "not finite": (lambda: dense_bound([ONE * torch.nan], None, 1.0, 1, 1), "weight must have finite entries"),
    "keep above 1": (lambda: dense_log_term(ONE, ONE[0] * 2), r"keep_rates must lie in \[0, 1\], got entries from 2.0"),
    "keep rates": (lambda: dense_log_term(ONE, torch.ones(2)), "one rate for each input of the layer, got 2 and 1"),
    "lists": (lambda: dense_bound([ONE], [], 1.0, 1, 1), "one entry for each layer, got 0 and 1"),
    "kernels": (lambda: convolutional_log_term(ONE), r"kernels must have 4 dimensions .*, got 2 and 4"),
    "channels": (lambda: convolutional_log_term(KERNEL, torch.ones(2, 1, 1)), "each input channel, got 2 and 1"),
    "h": (lambda: dense_log_term(ONE, None, -1), "num_untouched must be an integer >= 0, got -1"),
    "data norm": (lambda: dense_bound([ONE], None, -1.0, 1, 1), "data_norm must be finite and >= 0, got -1.0"),
    "examples": (lambda: dense_bound([ONE], None, 1.0, 0, 1), "num_examples must be an integer >= 1, got 0"),
    "classes": (lambda: dense_bound([ONE], None, 1.0, 1, 0), "num_classes must be an integer >= 1, got 0"),
    "delta": (lambda: dense_bound([ONE], None, 1.0, 1, 1, delta=[1.0, 1.0]), "one for each layer, got 2 and 1"),
    "negative delta": (lambda: dense_bound([ONE], None, 1.0, 1, 1, delta=-1.0), "delta must be finite and >= 0"),
    "sizes": (lambda: rademacher_log_bound([ONE], 1.0, 1, 1, sizes=[1, 1]), "one size for each layer, got 2 and 1"),
    "variant": (
        lambda: convolutional_bound([KERNEL], None, 1.0, 1, 1, variant="exact"),
        "variant must be 'derived' or 'printed', got 'exact'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
