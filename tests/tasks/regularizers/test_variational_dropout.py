"""Both variational dropouts: their divergences against quadrature, their noise against sampled weights."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
import torch
import torch._dynamo
from scipy.integrate import quad
from tiny_tasks import IMAGE_TASK, prepared
from torch import Tensor, nn

from tasks.regularizers import sparse_variational_dropout, variational_dropout
from tasks.regularizers.base import Context, Step
from tasks.regularizers.parts.local_reparametrization import Normals, with_noise
from tasks.regularizers.sparse_variational_dropout import SparseNoise, SparseVariationalDropout
from tasks.regularizers.variational_dropout import LearnedNoise, VariationalDropout
from tasks.runtime.graphs import Graphs, graphs_of
from tasks.sites import Site

CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="test",
    num_train_samples=50,
    num_epochs=1,
    num_steps=4,
    learning_rate=0.1,
)
NUM_DRAWS = 40_000


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_noise_on_weights_has_gradients_where_its_variance_is_0(dtype: torch.dtype) -> None:
    layer = nn.Linear(3, 2).to(dtype)
    x = torch.zeros(4, 3, dtype=dtype, requires_grad=True)
    output = with_noise(layer, x, layer(x), layer.weight.square(), Normals(CONTEXT.masks("noise")))
    assert output.dtype == dtype
    output.float().square().sum().backward()
    for gradient in (x.grad, layer.weight.grad):
        assert gradient is not None
        assert gradient.isfinite().all()


def exact_divergence(alpha: float) -> float:
    """KL of N(1, alpha) from the log-uniform prior by quadrature; the constant makes it vanish as alpha grows."""
    root = math.sqrt(alpha)
    pole = -1 / root

    def integrand(t: float, side: int) -> float:
        z = pole + side * t * t  # the square takes the logarithm's pole away
        return math.log(root * t * t) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * 2 * t if t else 0.0

    expected_log = 0.0
    for side, start, end in ((1, max(pole, -12), 12), (-1, min(pole, 12), -12)):
        if side * (end - start) > 0:
            limits = (math.sqrt(side * (start - pole)), math.sqrt(side * (end - pole)))
            expected_log += quad(integrand, *limits, args=(side,), limit=400, epsabs=1e-12)[0]
    return float(-0.5 * math.log(alpha) + expected_log + 0.5 * (np.euler_gamma + math.log(2)))


def exact_slope(alpha: float) -> float:
    step = 1e-4 * alpha
    return (exact_divergence(alpha + step) - exact_divergence(alpha - step)) / (2 * step)


def test_the_slope_of_the_variational_divergence_matches_quadrature() -> None:
    for alpha in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.95, 0.99):
        value = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(variational_dropout.kl_divergence(value.logit()), value)
        tolerance = 0.04 * abs(exact_slope(alpha)) if alpha <= 0.9 else 0.06
        assert float(slope) == pytest.approx(exact_slope(alpha), abs=tolerance)
        assert slope < 0  # so that it pushes alpha up


def test_the_sparse_divergence_matches_quadrature_falls_and_ends_at_zero() -> None:
    log_alpha = torch.linspace(-8, 8, 65, dtype=torch.float64)
    values = sparse_variational_dropout.kl_divergence(log_alpha)
    exact = torch.tensor([exact_divergence(math.exp(v)) for v in log_alpha.tolist()], dtype=torch.float64)
    assert (values - exact).abs().max() < 0.01
    assert (values.diff() < 0).all()
    assert (values > 0).all()
    assert float(sparse_variational_dropout.kl_divergence(torch.tensor(40.0, dtype=torch.float64))) < 1e-12


def moments(function: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the output on one sample, over many draws in one batch."""
    with torch.no_grad():
        outputs = function(x.expand(NUM_DRAWS, *x.shape))
    return outputs.mean(0), outputs.var(0)


def assert_moments(actual: tuple[Tensor, Tensor], mean: Tensor, variance: Tensor) -> None:
    """Within five standard errors of normal noise."""
    assert ((actual[0] - mean).abs() < 5 * (variance / NUM_DRAWS).sqrt() + 1e-12).all()
    assert ((actual[1] - variance).abs() < 5 * variance * (2 / NUM_DRAWS) ** 0.5 + 1e-12).all()


def network_of(layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...]) -> nn.Sequential:
    kind = "dense" if isinstance(layer, nn.Linear) else "conv"
    site = Site("dense" if kind == "dense" else "conv", next_layer=layer)
    site.shape, site.name = shape, "here"
    return nn.Sequential(site, layer).double()


def layers() -> dict[str, tuple[nn.Linear | nn.Conv2d, tuple[int, ...]]]:
    torch.manual_seed(0)
    return {
        "dense": (nn.Linear(4, 3), (4,)),
        "conv": (nn.Conv2d(4, 3, 2, stride=2, padding=1), (4, 3, 3)),
        "grouped": (nn.Conv2d(4, 6, 2, groups=2), (4, 3, 3)),
    }


def noise_in(network: nn.Module) -> LearnedNoise:
    (noise,) = (module for module in network.modules() if isinstance(module, LearnedNoise))
    noise.scaled_logit.data.copy_(torch.linspace(-0.2, 0.15, len(noise.scaled_logit)))
    return noise


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_form_a_multiplies_activations_by_noise_of_variance_alpha(kind: str) -> None:
    layer, shape = layers()[kind]
    network = network_of(layer, shape)
    VariationalDropout().attach(network, CONTEXT)
    alpha = noise_in(network.double()).logit().sigmoid().detach().view(-1, *[1] * (len(shape) - 1))
    x = torch.randn(shape, dtype=torch.float64)
    assert_moments(moments(network[0], x), x, alpha * x.square())


@pytest.mark.parametrize("kind", ["dense", "conv", "grouped"])
def test_form_b_has_the_moments_of_independently_sampled_weights(kind: str) -> None:
    layer, shape = layers()[kind]
    network = network_of(layer, shape)
    VariationalDropout(form="B").attach(network, CONTEXT)
    alpha = noise_in(network.double()).logit().sigmoid().detach()
    x = torch.randn(shape, dtype=torch.float64)
    # Var = sum over weights of (d output / d weight)^2 alpha w^2, the derivatives by autograd, weight by weight.
    bare = type(layer).__mro__[0].forward  # type: ignore[attr-defined]  # a layer's class
    output = bare(layer, x[None])[0]
    variance = torch.zeros_like(output)
    per_group = layer.weight.shape[0] // getattr(layer, "groups", 1)
    for index in np.ndindex(tuple(output.shape)):
        (slopes,) = torch.autograd.grad(output[index], layer.weight, retain_graph=True)
        for o, i in np.ndindex(tuple(layer.weight.shape[:2])):
            unit = i + o // per_group * layer.weight.shape[1]
            variance[index] += (alpha[unit] * (slopes[o, i] * layer.weight[o, i]).square().sum()).detach()
    assert_moments(moments(network, x), output.detach(), variance.detach() + 1e-8)


def test_on_one_active_unit_both_forms_have_the_same_mean_and_variance() -> None:
    results = []
    for form in ("A", "B"):
        layer, shape = layers()["dense"]
        network = network_of(layer, shape)
        VariationalDropout(form=form).attach(network, CONTEXT)
        noise_in(network.double())
        results.append(moments(network, torch.tensor([0.0, 1.7, 0.0, 0.0], dtype=torch.float64)))
    (mean_a, variance_a), (mean_b, variance_b) = results
    assert ((mean_a - mean_b).abs() < 5 * (2 * variance_a / NUM_DRAWS).sqrt()).all()
    assert ((variance_a / variance_b - 1).abs() < 5 * (4 / NUM_DRAWS) ** 0.5).all()


def sparse_noise_in(network: nn.Module) -> SparseNoise:
    (noise,) = (module for module in network.modules() if isinstance(module, SparseNoise))
    weight = noise._layer[0].weight
    log_alpha = torch.linspace(-3, 6, weight.numel(), dtype=torch.float64).view(weight.shape)
    noise.scaled_log_variance.data.copy_((log_alpha + (weight.detach().square() + 1e-8).log()) / 10)
    return noise


@pytest.mark.parametrize("kind", ["dense", "conv", "grouped"])
def test_the_sparse_noise_has_the_moments_of_independently_sampled_weights(kind: str) -> None:
    layer, shape = layers()[kind]
    network = network_of(layer, shape)
    SparseVariationalDropout().attach(network, CONTEXT)
    noise = sparse_noise_in(network.double())
    x = torch.randn(shape, dtype=torch.float64)
    output = type(layer).forward(layer, x[None])[0]
    weight_variance = (noise.log_alpha().exp() * layer.weight.square()).detach()
    variance = torch.zeros_like(output)
    for index in np.ndindex(tuple(output.shape)):
        (slopes,) = torch.autograd.grad(output[index], layer.weight, retain_graph=True)
        variance[index] = (slopes.square() * weight_variance).sum()
    assert_moments(moments(network, x), output.detach(), variance.detach() + 1e-8)


@pytest.mark.parametrize("kind", ["dense", "conv", "grouped"])
def test_in_eval_mode_weights_that_are_lost_in_noise_count_as_zero(kind: str) -> None:
    layer, shape = layers()[kind]
    network = network_of(layer, shape)
    SparseVariationalDropout().attach(network, CONTEXT)
    noise = sparse_noise_in(network.double())
    x = torch.randn((2, *shape), dtype=torch.float64)
    network.eval()
    actual = network(x)
    for index in np.ndindex(tuple(layer.weight.shape)):
        if float(noise.log_alpha()[index].detach()) > 3:
            layer.weight.data[index] = 0
    torch.testing.assert_close(actual, type(layer).forward(layer, x), rtol=1e-12, atol=1e-14)
    assert (layer.weight == 0).any()
    assert (layer.weight != 0).any()


def step_at(progress: float, network: nn.Module) -> Step:
    rng = np.random.default_rng(0)
    return Step(network=network, loss=lambda batch: batch.inputs, rng=rng, index=0, epoch=1, progress=progress)


def test_the_sparse_divergence_is_warmed_up_and_divided_by_the_number_of_samples() -> None:
    layer, shape = layers()["dense"]
    network = network_of(layer, shape)
    hooks = SparseVariationalDropout(kl_weight=2.0, warmup_start=0.2, warmup_end=0.6).attach(network, CONTEXT)
    noise = sparse_noise_in(network.double())
    whole = sparse_variational_dropout.kl_divergence(noise.log_alpha()).sum().item() * 2.0 / 50
    assert hooks.penalty(step_at(0.1, network)) is None
    for progress, share in ((0.2, 0.0), (0.3, 0.25), (0.6, 1.0), (0.9, 1.0)):
        assert cast(Tensor, hooks.penalty(step_at(progress, network))).item() == pytest.approx(share * whole, rel=1e-9)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.4), (-0.1, 0.4), (0.5, 1.1), (math.nan, 0.4)])
def test_a_warm_up_that_does_not_lie_in_training_is_refused(start: float, end: float) -> None:
    with pytest.raises(
        ValueError, match=rf"warmup_end must lie in \[0, 1\] and in this order, got {start} and {end}\."
    ):
        SparseVariationalDropout(warmup_start=start, warmup_end=end)


def test_the_variational_divergence_is_divided_by_the_number_of_samples() -> None:
    layer, shape = layers()["dense"]
    network = network_of(layer, shape)
    hooks = VariationalDropout(kl_weight=3.0).attach(network, CONTEXT)
    noise = noise_in(network.double())
    expected = sum(variational_dropout.kl_divergence(logit).item() for logit in noise.logit()) * 3.0 / 50
    assert cast(Tensor, hooks.penalty(step_at(0.0, network))).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["dense", "conv", "grouped"])
def test_form_b_is_charged_for_every_weight(kind: str) -> None:
    layer, shape = layers()[kind]
    network = network_of(layer, shape)
    hooks = VariationalDropout(kl_weight=3.0, form="B").attach(network, CONTEXT)
    logits = noise_in(network.double()).logit()
    outputs_per_group = layer.weight.shape[0] // getattr(layer, "groups", 1)
    total = 0.0
    for output, column, *_ in np.ndindex(tuple(layer.weight.shape)):
        unit = output // outputs_per_group * layer.weight.shape[1] + column
        total += variational_dropout.kl_divergence(logits[unit]).item()
    assert cast(Tensor, hooks.penalty(step_at(0.0, network))).item() == pytest.approx(total * 3.0 / 50, rel=1e-12)


@pytest.mark.parametrize(
    "regularizer", [VariationalDropout(form="A"), VariationalDropout(form="B"), SparseVariationalDropout()], ids=str
)
def test_what_is_learned_belongs_to_the_optimizer_without_weight_decay(regularizer: VariationalDropout) -> None:
    training = prepared(IMAGE_TASK, regularizer)
    _, brought = training._optimizer.param_groups
    assert brought["weight_decay"] == 0
    learned = [
        p for m in training.network.modules() if isinstance(m, LearnedNoise | SparseNoise) for p in m.parameters()
    ]
    assert {id(p) for p in brought["params"]} == {id(p) for p in learned}
    before = [p.detach().clone() for p in learned]
    training.run_epoch(1)
    assert len(learned) >= 2
    assert all(not torch.equal(p, old) for p, old in zip(learned, before, strict=True))


@pytest.mark.parametrize("regularizer", [VariationalDropout(form="B"), SparseVariationalDropout()], ids=str)
def test_a_layer_that_reads_two_sites_gets_noise_once(regularizer: VariationalDropout) -> None:
    layer = nn.Linear(4, 3)
    network = nn.Sequential(Site("dense", next_layer=layer), nn.ReLU(), Site("dense", next_layer=layer), layer)
    regularizer.attach(network, CONTEXT)
    assert len(layer._forward_hooks) == 1
    assert sum(len(module.fillings) for module in network if isinstance(module, Site)) == 1


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("regularizer", [VariationalDropout(form="B"), SparseVariationalDropout()], ids=str)
def test_noise_on_weights_is_in_the_one_graph_of_a_compiled_network(regularizer: VariationalDropout, kind: str) -> None:
    x = torch.randn((5, *layers()[kind][1]), dtype=torch.float64)
    found = []
    for backend in ("none", "aot_eager"):
        layer, shape = layers()[kind]
        network = network_of(layer, shape)
        regularizer.attach(network, CONTEXT)
        network.double()
        torch._dynamo.reset()
        forward = network if backend == "none" else torch.compile(network, backend=backend, fullgraph=True)
        outputs = [forward(x) for _ in range(2)]
        torch.stack(outputs).square().sum().backward()
        found.append([*outputs, *(parameter.grad for parameter in network.parameters())])
    assert not torch.equal(found[0][0], found[0][1]), "noise is drawn anew"
    assert all(map(torch.equal, found[0][:2], found[1][:2]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)  # gradients are added in another order
    assert graphs_of(network, x) == Graphs(num_graphs=1, layers_in_graphs=1)
    torch._dynamo.reset()
