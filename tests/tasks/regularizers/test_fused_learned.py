"""The fused kernels of learned noise in Triton's interpreter: equal to the portable forms on the draws of Philox.

Both are computed with the penalty, whose gradient the kernels add to that of the loss. They run in a process of their
own, as `test_fused_masks.py` does.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch._dynamo
from philox import philox, uniform
from tiny_tasks import binomial_bound
from torch import Tensor, nn

from tasks.regularizers import adaptive_dropout_rc, concrete_dropout, sparse_variational_dropout, variational_dropout
from tasks.regularizers.adaptive_dropout_rc import EXPONENTS, Factor, rademacher_penalty
from tasks.regularizers.base import Batch, Context, Hooks, Regularizer, Step
from tasks.regularizers.concrete_dropout import ConcreteDropout, ConcreteMask
from tasks.regularizers.fused import learned_operators, norms, weight_operators
from tasks.regularizers.fused.learned import OfLastPass, learned_noise, relaxed_mask
from tasks.regularizers.fused.weights import can_be_fused
from tasks.regularizers.sparse_variational_dropout import SparseNoise, SparseVariationalDropout
from tasks.regularizers.variational_dropout import KL_POLYNOMIAL, VariationalDropout
from tasks.runtime.kernel_devices import INTERPRETER, is_available
from tasks.runtime.passes import Draw
from tasks.runtime.streams import MaskStream, Streams
from tasks.sites import Site, chain_next_layers, measure_sites

pytestmark = pytest.mark.skipif(
    os.environ.get(INTERPRETER) != "1" or not is_available(), reason=f"needs Triton and {INTERPRETER}=1"
)
LAYOUTS = {"rows first": torch.contiguous_format, "channels last": torch.channels_last}
CONTEXT = Context(
    seed=3, device=torch.device("cpu"), name="here", num_train_samples=7, num_epochs=1, num_steps=1, learning_rate=0.1
)
STEP = Step(network=nn.Identity(), loss=lambda batch: torch.zeros(()), rng=np.random.default_rng(0), index=0, epoch=1,
            progress=0.5)  # fmt: skip


def normals_of(words: Sequence[int]) -> list[float]:
    """Box and Muller's transform of two pairs of uniform numbers."""
    u = [float(uniform(word)) for word in words]
    pairs = [(math.sqrt(-2 * math.log(max(1e-7, a))), 2 * math.pi * b) for a, b in (u[:2], u[2:])]
    return [value for radius, angle in pairs for value in (radius * math.cos(angle), radius * math.sin(angle))]


def uniforms_of(words: Sequence[int]) -> list[float]:
    return [float(uniform(word)) for word in words]


class Draws:
    """Stands for a stream: the numbers that the kernels draw for tensors of a shape, in their order in memory."""

    def __init__(self, draw: Draw, places: Callable[[tuple[int, ...]], Tensor]) -> None:
        self._draw, self._places = draw, places

    def normal(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        return self._drawn(shape, normals_of).to(dtype)

    def uniform(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        return self._drawn(shape, uniforms_of).to(dtype)

    def _drawn(self, shape: tuple[int, ...], transform: Callable[[Sequence[int]], list[float]]) -> Tensor:
        """Each element has the index of its lane among all, and the number of its word."""
        key, counter = self._draw.key, [int(self._draw.pass_number), self._draw.call * 256]
        numbers = self._places(shape)
        found = [transform(philox([index, 0, *counter], key))[word] for index, word in numbers.flatten(0, -2).tolist()]
        return torch.tensor(found, dtype=torch.float64).view(shape)


def in_tiles(positions: int, *, has_units: bool) -> Callable[..., Tensor]:
    """The law of `learned_kernels`: unit u, position p is lane p % positions of its tile, which has four words each."""

    def places(shape: tuple[int, ...]) -> Tensor:
        unit = torch.zeros(shape, dtype=torch.int64)
        position = torch.arange(math.prod(shape)).view(shape)
        if has_units:
            unit = torch.arange(shape[1]).view(-1, *[1] * (len(shape) - 2)).expand(shape)
            position = torch.arange(math.prod(shape) // shape[1]).view(shape[0], 1, *shape[2:]).expand(shape)
        num_chunks = -(-(int(position.max()) + 1) // (4 * positions))
        chunk, within = position // (4 * positions), position % (4 * positions)
        index = (unit * num_chunks + chunk) * positions + within % positions
        return torch.stack([index, within // positions], dim=-1)

    return places


def in_groups(block: int, memory_format: torch.memory_format) -> Callable[..., Tensor]:
    """The law of `weight_kernels`: the element at place i of memory is in program i // (4 block)."""

    def places(shape: tuple[int, ...]) -> Tensor:
        place = torch.empty(shape, dtype=torch.int64).contiguous(memory_format=memory_format)
        place.as_strided((place.numel(),), (1,)).copy_(torch.arange(place.numel()))
        index = place // (4 * block) * block + place % block
        return torch.stack([index, place // block % 4], dim=-1).contiguous()

    return places


def gradients(objective: Tensor, variables: Sequence[Tensor | None]) -> list[Tensor | None]:
    wanted = [each for each in variables if each is not None]
    return list(torch.autograd.grad(objective, wanted, allow_unused=True))


def assert_equal(fused: Sequence[Tensor | None], portable: Sequence[Tensor | None]) -> None:
    for one, other in zip(fused, portable, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            scale = float(other.detach().abs().max())
            torch.testing.assert_close(one, other.to(one.dtype), rtol=2e-4, atol=2e-5 * max(scale, 1e-3))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small tensors take several programs."""
    monkeypatch.setattr(learned_operators, "TILE", 16)
    monkeypatch.setattr(learned_operators, "SUMS", 2)
    monkeypatch.setattr(weight_operators, "BLOCK", 16)


SHAPES = [
    ((9, 5), "rows first"),
    ((70, 3), "rows first"),
    ((3, 4, 5, 7), "rows first"),
    ((3, 4, 5, 7), "channels last"),
    ((40, 1), "rows first"),
]


def made(shape: tuple[int, ...], layout: str, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.to(memory_format=LAYOUTS[layout]) if x.dim() == 4 else x


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("shape", "layout"), SHAPES)
def test_learned_noise_is_the_portable_one_on_the_same_draws(
    shape: tuple[int, ...], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site("conv" if len(shape) == 4 else "dense")
    site.shape, site.name = shape[1:], "site"
    stream = MaskStream(5, "here", "cpu")
    noise = variational_dropout.ActivationNoise(VariationalDropout(alpha_speed=3.0), site, stream)
    noise.scaled_logit.data = torch.linspace(-1, 0.7, shape[1])
    x, weights = made(shape, layout).requires_grad_(), made(shape, layout, 1)
    draw = MaskStream(5, "here", "cpu").next_draw()
    results = []
    for is_fused in (True, False):
        if not is_fused:
            monkeypatch.setattr(variational_dropout, "is_fused", lambda x: False)
            noise._stream = Draws(draw, in_tiles(16, has_units=True))
        y = noise(x)
        assert y.stride() == x.stride()
        divergence = noise.divergence()
        found = gradients((y * weights).sum() + 0.3 * divergence, [x, noise.scaled_logit])
        results.append([y, divergence, *found])
    assert_equal(*results)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("has_layer", [True, False])
@pytest.mark.parametrize("temperature", [0.5, 0.1])
@pytest.mark.parametrize("initial_drop_rate", [0.1, 0.7])
def test_a_relaxed_mask_is_the_portable_one_on_the_same_draws(
    initial_drop_rate: float, temperature: float, has_layer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ConcreteDropout(initial_drop_rate=initial_drop_rate, temperature=temperature, length_scale=0.7)
    layer = nn.Linear(6, 5) if has_layer else None
    mask = ConcreteMask(settings, CONTEXT, MaskStream(5, "here", "cpu"), 6, layer)
    x, weights = made((30, 6), "rows first").requires_grad_(), made((30, 6), "rows first", 1)
    draw = MaskStream(5, "here", "cpu").next_draw()
    weight = None if layer is None else layer.weight
    results = []
    for is_fused in (True, False):
        if not is_fused:
            monkeypatch.setattr(concrete_dropout, "is_fused", lambda x: False)
            mask._stream = Draws(draw, in_tiles(16, has_units=False))
        y, divergence = mask(x), mask.divergence()
        results.append([y, divergence, *gradients((y * weights).sum() + 0.3 * divergence, [x, mask.logit, weight])])
    assert_equal(*results)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_products_in_16_bits_are_rounded_once_and_sums_have_32(dtype: torch.dtype) -> None:
    laws: dict[str, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]] = {
        "noise": lambda x: (logits := torch.zeros(6, requires_grad=True),
                            *learned_noise(x, logits, MaskStream(5, "here", "cpu"), 2.0, KL_POLYNOMIAL)),
        "mask": lambda x: (logit := torch.tensor(0.3, requires_grad=True),
                           *relaxed_mask(x, logit, MaskStream(5, "here", "cpu"), 0.5, weight=None, entropy_factor=6,
                                         norm_factor=0.0)),
    }  # fmt: skip
    bits = 0xFFFF0000 if dtype == torch.bfloat16 else 0xFFFFFFFF  # the interpreter truncates to bf16
    values, slopes = (made((50, 6), "rows first", seed).to(dtype) for seed in (0, 1))
    for law in laws.values():
        halves, wholes = [], []
        for x, gradient, results in ((values, slopes, halves), (values.float(), slopes.float(), wholes)):
            x = x.detach().requires_grad_()
            logits, y, _ = law(x)
            results += [y.detach(), *torch.autograd.grad(y, [x, logits], gradient)]
        for half, whole in zip(halves[:2], wholes[:2], strict=True):
            assert half.dtype == dtype
            kept = torch.from_numpy((whole.numpy().view(np.uint32) & np.uint32(bits)).view(np.float32))
            assert torch.equal(half, kept.to(dtype))
        assert torch.equal(halves[2], wholes[2])


def test_the_noise_has_its_law_for_each_unit() -> None:
    alphas = torch.tensor([0.1, 0.5, 0.9])
    y, _ = learned_noise(torch.ones(4000, 3), alphas.logit() / 2, MaskStream(0, "here", "cpu"), 2.0, KL_POLYNOMIAL)
    factors = (y.double() - 1) / alphas.sqrt()
    assert factors.mean(0).tolist() == pytest.approx([0] * 3, abs=5 / 4000**0.5)
    assert factors.std(0).tolist() == pytest.approx([1] * 3, rel=5 / 8000**0.5)
    assert float(torch.corrcoef(factors.T).fill_diagonal_(0).abs().max()) < 5 / 4000**0.5


def test_a_cold_relaxed_mask_is_bernoulli() -> None:
    logit = torch.tensor(0.3).logit()
    y, _ = relaxed_mask(
        torch.ones(10_000), logit, MaskStream(0, "here", "cpu"), 1e-3, weight=None, entropy_factor=1, norm_factor=0
    )
    assert y.isfinite().all()
    assert float((y < 0.5).double().mean()) == pytest.approx(0.3, abs=float(binomial_bound(0.3, 10_000)))


LAYERS: dict[str, tuple[Callable[[], nn.Linear | nn.Conv2d], tuple[int, ...], str]] = {
    "dense": (lambda: nn.Linear(6, 5), (9, 6), "rows first"),
    "dense without bias": (lambda: nn.Linear(6, 5, bias=False), (9, 6), "rows first"),
    "dense on tokens": (lambda: nn.Linear(6, 5), (3, 4, 6), "rows first"),
    "conv": (lambda: nn.Conv2d(4, 3, 3, stride=2, padding=1), (2, 4, 5, 6), "rows first"),
    "conv in groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 5, 6), "rows first"),
    "conv, channels last": (
        lambda: nn.Conv2d(4, 3, 3, padding=1).to(memory_format=torch.channels_last), (2, 4, 5, 6), "channels last",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("needs_x", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_noise_on_weights_is_the_portable_one_on_the_same_draws(
    name: str, needs_x: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    make, shape, layout = LAYERS[name]
    layer, settings = make(), SparseVariationalDropout(log_variance_speed=2.0)
    noise = SparseNoise("site", layer, settings, MaskStream(5, "here", "cpu"))
    layer.register_forward_hook(noise.perturb)
    with torch.no_grad():  # log alpha on both sides of its bounds, and within
        noise.scaled_log_variance.copy_(torch.linspace(-12, 6, layer.weight.numel()).view(layer.weight.shape))
    x = made(shape, layout).requires_grad_(needs_x)
    draw = MaskStream(5, "here", "cpu").next_draw()
    variables = [x if needs_x else None, layer.weight, layer.bias, noise.scaled_log_variance]
    results = []
    for is_fused in (True, False):
        assert can_be_fused(layer, x, noise.perturb)
        if not is_fused:
            monkeypatch.setattr(sparse_variational_dropout, "can_be_fused", lambda *_: False)
            noise._normals._stream = Draws(draw, in_groups(16, LAYOUTS[layout]))
        y = layer(x)
        divergence = noise.divergences().sum()
        slopes = made(tuple(y.shape), layout, 1)
        results.append([y, divergence, *gradients((y * slopes).sum() + 0.3 * divergence, variables)])
    assert_equal(*results)
    log_alpha = noise.log_alpha()
    assert bool((log_alpha == 8).any())
    assert bool((log_alpha == -8).any())


def test_other_hooks_and_layers_of_other_classes_keep_the_portable_noise() -> None:
    class Own(nn.Linear):
        pass

    def first(*_: object) -> None: ...

    def second(*_: object) -> None: ...

    x = torch.ones(2, 3)
    layer = nn.Linear(3, 2)
    layer.register_forward_hook(first)
    layer.register_forward_hook(second)
    assert can_be_fused(layer, x, first)
    assert not can_be_fused(layer, x, second)
    assert not can_be_fused(layer.double(), x.double(), first)
    own = Own(3, 2)
    own.register_forward_hook(first)
    assert not can_be_fused(own, x, first)


@pytest.mark.parametrize("block", [4, 256])
@pytest.mark.parametrize("exponents", EXPONENTS.values(), ids=EXPONENTS)
def test_a_product_of_norms_is_the_portable_one(
    exponents: tuple[float, float], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "BLOCK", block)
    monkeypatch.setattr(norms, "ROWS", block)
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3, groups=2).to(memory_format=torch.channels_last), nn.Linear(6, 5)]
    with torch.no_grad():
        layers[2].weight[1] = layers[2].weight[3] = torch.tensor([2.0, -2, 0, 1, 2, 0])  # rows and entries that tie
    rates = [torch.rand(3, 4, 5), torch.rand(4), torch.rand(6)]
    factors = [
        Factor(layer, Rates(rate), *exponents, scaling) for layer, rate, scaling in
        zip(layers, rates, ("fan_in", "printed", "none"), strict=True)
    ]  # fmt: skip
    batch = Batch(made((5, 3, 4, 4), "rows first"), torch.zeros(5, 10))
    results = []
    for is_fused in (True, False):
        if not is_fused:
            monkeypatch.setattr(adaptive_dropout_rc, "is_fused", lambda x: False)
        value = rademacher_penalty(factors, batch)
        assert ("ProductOfNorms" in type(value.grad_fn).__name__) == is_fused
        results.append([value, *gradients(value, [layer.weight for layer in layers])])
    assert_equal(*results)


class Rates:
    def __init__(self, rates: Tensor) -> None:
        self._rates = rates

    def rates(self) -> Tensor:
        return self._rates


def test_rates_with_gradients_and_weights_of_zeros_have_theirs() -> None:
    layer, rates = nn.Linear(3, 2), torch.rand(3, requires_grad=True)
    batch = Batch(torch.ones(2, 3), torch.zeros(2, 2))
    (gradient,) = torch.autograd.grad(rademacher_penalty([Factor(layer, Rates(rates), 2, 2, "none")], batch), rates)
    assert bool((gradient > 0).all())
    nn.init.zeros_(layer.weight)
    value = rademacher_penalty([Factor(layer, Rates(rates.detach()), 2, 2, "none")], batch)
    assert value == 0
    (gradient,) = torch.autograd.grad(value, layer.weight)
    assert torch.equal(gradient, torch.zeros(2, 3))


CONTESTANTS: dict[str, Regularizer] = {
    "variational_dropout": VariationalDropout(),
    "concrete_dropout": ConcreteDropout(length_scale=1.0),
}


def attached(regularizer: Regularizer) -> tuple[nn.Sequential, Hooks]:
    torch.manual_seed(0)
    here = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), Site("dense"), nn.Linear(6, 5), Site("dense"), nn.Linear(5, 2))
    chain_next_layers(here)
    measure_sites(here, torch.ones(1, 4))
    return here, regularizer.attach(here, replace(CONTEXT, streams=Streams()))


def gradients_of_a_step(run: Callable[[Tensor], Tensor], here: nn.Module, hooks: Hooks) -> list[Tensor | None]:
    here.zero_grad()
    loss = run(torch.linspace(-1, 1, 12).view(3, 4)).square().sum()
    penalty = hooks.penalty(STEP)
    assert penalty is not None
    (loss + penalty).backward()
    return [parameter.grad for parameter in here.parameters()]


@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_compiled_network_has_the_same_gradients(name: str) -> None:
    """There the values and the divergence are differentiated in two passes."""
    torch._dynamo.reset()
    eager = attached(CONTESTANTS[name])
    compiled = attached(CONTESTANTS[name])
    run = torch.compile(compiled[0], backend="aot_eager")
    for _ in range(2):
        assert_equal(gradients_of_a_step(run, *compiled), gradients_of_a_step(eager[0], *eager))


@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_penalty_without_a_pass_before_it_is_the_portable_one(name: str) -> None:
    here, hooks = attached(CONTESTANTS[name])
    with_pass = gradients_of_a_step(here, here, hooks)
    assert all(gradient is not None for gradient in with_pass)
    here(torch.ones(3, 4))
    of_pass, portable = hooks.penalty(STEP), hooks.penalty(STEP)
    assert of_pass is not None
    assert portable is not None
    torch.testing.assert_close(of_pass, portable)


def test_a_change_in_place_of_what_the_gradient_needs_is_an_error() -> None:
    x = torch.ones(3, 2, requires_grad=True) * 1
    y, _ = learned_noise(x, torch.zeros(2), MaskStream(0, "here", "cpu"), 1.0, KL_POLYNOMIAL)
    x.add_(1)
    with pytest.raises(RuntimeError, match="in place"):
        y.sum().backward()


@pytest.mark.parametrize(
    "regularizer", [VariationalDropout(kl_weight=0), SparseVariationalDropout(warmup_start=0.9, warmup_end=1)], ids=str
)
def test_a_pass_whose_divergence_no_penalty_asks_for_is_freed(regularizer: Regularizer) -> None:
    here, hooks = attached(regularizer)
    left = [each for module in here.modules() for each in vars(module).values() if isinstance(each, OfLastPass)]
    here(torch.ones(3, 4))
    assert all(each.take() is not None for each in left)
    here(torch.ones(3, 4))
    assert hooks.penalty(STEP) is None
    assert [each.take() for each in left] == [None, None]


def test_what_a_pass_leaves_is_no_state() -> None:
    left = OfLastPass()
    left.put(torch.ones((), requires_grad=True) * 2)
    assert left.state() == {}
    assert copy.deepcopy(left).take() is None
    assert left.take() is not None
    assert left.take() is None
    left.put(torch.ones(()))
    assert left.take() is None, "a pass without gradients leaves nothing"
