"""The penalties that noise amounts to: equal to it by listing masks, by closed forms, and at balanced weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, prepared
from torch import Tensor, nn

from tasks.architectures.mlp import MLP
from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.linear.networks import DeepLinear, LinearPair
from tasks.regularizers.base import Context, Hooks, Regularizer, Step
from tasks.regularizers.chain import Chain
from tasks.regularizers.dropblock_sample import DropBlockSample, GridMask
from tasks.regularizers.flow_penalty import FlowPenalty
from tasks.regularizers.k_support_norm import KSupportNorm
from tasks.regularizers.l1 import L1
from tasks.regularizers.nuclear_norm import NuclearNorm
from tasks.regularizers.path_norm import PathNorm
from tasks.runtime.streams import Key, torch_stream
from tasks.sites import measure_sites
from tasks.theory.flows import relu_regularizer
from tasks.theory.structured import dropblock_factors, dropblock_objective, dropout_objective

KEEP = 0.6
WIDTH, NUM_INPUTS, NUM_OUTPUTS, NUM_SAMPLES = 6, 4, 3, 20


def data() -> tuple[Tensor, Tensor]:
    """X (samples x inputs) and Y (samples x outputs) in float64."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(NUM_SAMPLES, NUM_INPUTS, generator=generator, dtype=torch.float64)
    return X, X @ torch.randn(NUM_INPUTS, NUM_OUTPUTS, generator=generator, dtype=torch.float64)


def linear_pair() -> LinearPair:
    network = LinearPair(NUM_INPUTS, WIDTH, NUM_OUTPUTS, torch_stream(0, "weights")).double()
    measure_sites(network, torch.zeros(1, NUM_INPUTS, dtype=torch.float64))
    return network.train()


def attached(regularizer: Regularizer, network: nn.Module) -> Hooks:
    context = Context(
        seed=0,
        device=torch.device("cpu"),
        name="",
        num_train_samples=NUM_SAMPLES,
        num_epochs=1,
        num_steps=1,
        learning_rate=0.1,
    )
    return Chain.attach([("test", regularizer)], network, context)


def penalty(hooks: Hooks, network: nn.Module) -> Tensor:
    step = Step(
        network=network,
        loss=lambda batch: batch.inputs.sum(),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0,
    )
    value = hooks.penalty(step)
    assert value is not None
    return value


def penalty_on_all_data(regularizer: Regularizer, network: LinearPair) -> float:
    hooks = attached(regularizer, network)
    network(data()[0])
    return float(penalty(hooks, network).detach())


def error_and_objective(network: LinearPair, block_size: int) -> tuple[float, float]:
    """Per sample: the squared error, and DropBlock's deterministic objective."""
    X, Y = data()
    U, V = network.factors()
    error = (Y - X @ V @ U.T).square().sum()
    return float(error) / NUM_SAMPLES, float(dropblock_objective(Y.T, X.T, U, V, KEEP, block_size)) / NUM_SAMPLES


class GivenMask:
    """Stands for a stream whose next mask is given."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def bernoulli(self, shape: tuple[int, ...], rate: float) -> Tensor:
        return self.mask.expand(shape)

    def ahead(self, key: Key, draw: Callable[[int], Sequence[Tensor]], num_elements: int) -> Tensor:
        return draw(1)[0]


def mean_loss_over_masks(block_size: int) -> float:
    """Of the linear pair with dropped blocks, all masks listed; one mask for all samples has the same mean."""
    X, Y = data()
    total = 0.0
    for bits in itertools.product([True, False], repeat=WIDTH // block_size):
        network = linear_pair()
        settings = DropBlockSample(drop_rate=1 - KEEP, block_size=block_size)
        network.site.fill(GridMask(settings, GivenMask(torch.tensor(bits))))
        chance = KEEP ** sum(bits) * (1 - KEEP) ** (len(bits) - sum(bits))
        total += chance * float((network(X) - Y).square().sum(1).mean().detach())
    return total


@pytest.mark.parametrize("block_size", [1, 2, 3, 6])
def test_error_plus_path_norm_is_the_mean_loss_over_all_masks(block_size: int) -> None:
    network = linear_pair()
    error, objective = error_and_objective(network, block_size)
    regularized = error + penalty_on_all_data(PathNorm(drop_rate=1 - KEEP, block_size=block_size), network)
    assert regularized == pytest.approx(mean_loss_over_masks(block_size), rel=1e-12)
    assert regularized == pytest.approx(objective, rel=1e-12)


def test_the_path_norm_of_single_units_is_dropouts() -> None:
    X, Y = data()
    network = linear_pair()
    U, V = network.factors()
    expected = float(dropout_objective(Y.T, X.T, U, V, KEEP)) / NUM_SAMPLES
    error, _ = error_and_objective(network, 1)
    regularized = error + penalty_on_all_data(PathNorm(drop_rate=1 - KEEP), network)
    assert regularized == pytest.approx(expected, rel=1e-12)


def test_the_path_norm_of_batches_averages_to_that_of_all_data() -> None:
    network = linear_pair()
    hooks = attached(PathNorm(drop_rate=1 - KEEP, block_size=4), network)  # the last block is cut
    values = []
    for batch in data()[0].split(5):
        network(batch)
        values.append(float(penalty(hooks, network).detach()))
    whole = penalty_on_all_data(PathNorm(drop_rate=1 - KEEP, block_size=4), linear_pair())
    assert np.mean(values) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("where", ["dense", "last"])
def test_the_flow_penalty_is_the_theory_s_regularizer_of_a_relu_network(where: str) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(9, 2, 2, 1, dtype=torch.float64, generator=generator)
    network = TwoLayerReLU(num_classes=3, in_channels=4, image_size=1, width=6).double()
    with torch.no_grad():
        network.hidden.bias.zero_()
    measure_sites(network, inputs.view(9, 4, 1, 1))
    hooks = attached(FlowPenalty(drop_rate=0.3, where=where), network)
    network.train()(inputs.view(9, 4, 1, 1))
    expected = relu_regularizer(network.output.weight, network.hidden.weight, inputs.flatten(1), 0.3)
    assert float(penalty(hooks, network).detach()) == pytest.approx(float(expected.detach()), rel=1e-12)


def test_the_flow_penalty_of_one_site_is_the_path_norm_of_single_units_and_of_two_the_sum() -> None:
    inputs = torch.randn(5, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def value(regularizer: Regularizer) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            network = MLP(num_classes=3, in_channels=1, image_size=4, width=6, depth=2).double()
        measure_sites(network, inputs)
        hooks = attached(regularizer, network)
        network.train()(inputs)
        return float(penalty(hooks, network).detach())

    last = value(FlowPenalty(drop_rate=0.3, where="last"))
    assert last == pytest.approx(value(PathNorm(drop_rate=0.3)), rel=1e-12)
    assert value(FlowPenalty(drop_rate=0.3)) > last


def balanced_pair(block_size: int) -> LinearPair:
    """The pair at the global minimum of DropBlock's objective, where blocks are balanced."""
    X, Y = data()
    U, V = dropblock_factors(Y.T, X.T, KEEP, block_size, WIDTH)
    network = linear_pair()
    network.first.weight.data, network.second.weight.data = V.T.contiguous(), U.contiguous()
    return network


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_at_balanced_weights_the_norm_of_the_product_is_the_whole_penalty_of_dropblock(block_size: int) -> None:
    network = balanced_pair(block_size)
    error, objective = error_and_objective(network, block_size)
    norm = penalty_on_all_data(KSupportNorm(drop_rate=1 - KEEP, block_size=block_size), network)
    assert norm == pytest.approx(objective - error, rel=1e-10)


def test_at_balanced_weights_the_nuclear_norm_is_the_whole_penalty_of_dropout() -> None:
    network = balanced_pair(1)
    error, objective = error_and_objective(network, 1)
    assert penalty_on_all_data(NuclearNorm(drop_rate=1 - KEEP), network) == pytest.approx(objective - error, rel=1e-10)


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 5, 6, 9])
def test_elsewhere_the_norm_of_the_product_is_below_it(block_size: int) -> None:
    network = linear_pair()
    whole = penalty_on_all_data(PathNorm(drop_rate=1 - KEEP, block_size=block_size), network)
    norm = penalty_on_all_data(KSupportNorm(drop_rate=1 - KEEP, block_size=block_size), network)
    assert norm < 0.95 * whole if block_size < WIDTH else norm == pytest.approx(whole)  # one block: both Frobenius


@pytest.mark.parametrize("block_size", [3, 4, 5, 7, 9])
def test_nowhere_is_the_norm_of_the_product_above_the_path_norm_whatever_the_width(block_size: int) -> None:
    """The path norm is brought down to its least value, where a bound that is none would show."""
    X, Y = data()
    network = linear_pair()
    path, norm = (kind(drop_rate=0.5, block_size=block_size) for kind in (PathNorm, KSupportNorm))
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    hooks = attached(path, network)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (network(X) - Y).square().sum() / NUM_SAMPLES + 0.3 * penalty(hooks, network)
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    least = penalty_on_all_data(path, network)
    assert 0.8 * least < penalty_on_all_data(norm, network) <= least * (1 + 1e-9)


def test_the_nuclear_norm_is_that_of_the_predictions_on_all_data() -> None:
    network = linear_pair()
    X = data()[0].numpy()
    U, V = (factor.numpy() for factor in network.factors())
    nuclear = np.linalg.norm(U @ V.T @ X.T, "nuc")
    expected = (1 - KEEP) / KEEP / WIDTH * nuclear**2 / NUM_SAMPLES
    assert penalty_on_all_data(NuclearNorm(drop_rate=1 - KEEP), network) == pytest.approx(expected, rel=1e-10)
    assert penalty_on_all_data(KSupportNorm(drop_rate=1 - KEEP, block_size=1), network) == pytest.approx(expected)


def test_single_samples_add_up_to_the_same_norm_and_eval_mode_adds_nothing() -> None:
    network = linear_pair()
    hooks = attached(NuclearNorm(drop_rate=1 - KEEP), network)
    X = data()[0][:16]  # a power of two: the root is taken anew when all of them were seen
    for sample in X:
        network(sample[None])
        value = penalty(hooks, network)
    network.eval()
    network(100 * X)
    network.train()
    whole = attached(NuclearNorm(drop_rate=1 - KEEP), twin := linear_pair())
    twin(X)
    assert float(value.detach()) == pytest.approx(float(penalty(whole, twin).detach()), rel=1e-10)
    assert float(penalty(hooks, network).detach()) == pytest.approx(float(value.detach()), rel=1e-12)


def spectral_law(layers: Sequence[nn.Linear], inputs: Tensor) -> float:
    """`NuclearNorm` at drop rate 0.4 of each two consecutive layers, from the predictions of the second one."""
    total = 0.0
    for front, behind in itertools.pairwise(layers):
        hidden = torch.nn.functional.linear(inputs, front.weight, front.bias)  # unseen by hooks
        predictions = (hidden @ behind.weight.T).detach().numpy()
        total += 0.4 / 0.6 / front.out_features * np.linalg.norm(predictions, "nuc") ** 2 / len(inputs)
        inputs = hidden
    return total


def test_after_an_epoch_the_norm_is_that_of_the_whole_training_set() -> None:
    network = linear_pair()
    hooks = attached(NuclearNorm(drop_rate=0.4), network)
    expected = spectral_law((network.first, network.second), data()[0])
    for epoch in (1, 2):
        for batch in data()[0].flip(0).split(6):
            network(batch)
            value = penalty(hooks, network)
            if epoch == 2:
                assert float(value.detach()) == pytest.approx(expected, rel=1e-10)
        hooks.after_epoch(epoch, network)
    assert float(penalty(hooks, network).detach()) == pytest.approx(expected, rel=1e-10)


def test_inputs_that_training_changes_are_those_of_the_last_epoch() -> None:
    network = DeepLinear((NUM_INPUTS, WIDTH, 5, NUM_OUTPUTS), 1.0, torch_stream(0, "weights")).double()
    measure_sites(network, torch.zeros(1, NUM_INPUTS, dtype=torch.float64))
    hooks = attached(NuclearNorm(drop_rate=0.4), network.train())
    for epoch in (1, 2):
        with torch.no_grad():
            network.linear_layers()[0].weight *= 2
        for batch in data()[0].split(6):
            network(batch)
        hooks.after_epoch(epoch, network)
        expected = spectral_law(network.linear_layers(), data()[0])
        assert float(penalty(hooks, network).detach()) == pytest.approx(expected, rel=1e-10)


def test_the_bias_of_the_layer_before_the_hidden_units_counts() -> None:
    network = linear_pair()
    network.first.bias = nn.Parameter(torch.arange(WIDTH, dtype=torch.float64))
    expected = spectral_law((network.first, network.second), data()[0])
    assert penalty_on_all_data(NuclearNorm(drop_rate=0.4), network) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    "regularizer", [NuclearNorm(), KSupportNorm(block_size=2), PathNorm(block_size=2)], ids=lambda r: type(r).__name__
)
def test_gradients_in_both_layers_are_those_of_finite_differences(regularizer: Regularizer) -> None:
    network = linear_pair()
    hooks = attached(regularizer, network)

    def value() -> Tensor:
        network(data()[0])
        return penalty(hooks, network)

    for layer in (network.first, network.second):
        (gradient,) = torch.autograd.grad(value(), layer.weight)
        direction = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        values = []
        for sign in (1, -1):
            layer.weight.data += sign * 1e-6 * direction
            values.append(float(value().detach()))
            layer.weight.data -= sign * 1e-6 * direction
        assert float((gradient * direction).sum()) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "regularizer", [PathNorm(block_size=2), FlowPenalty(where="all")], ids=lambda r: type(r).__name__
)
def test_penalties_on_units_of_16_bits_are_those_of_the_same_numbers_in_64(
    regularizer: PathNorm | FlowPenalty, dtype: torch.dtype
) -> None:
    """The square of 300 is above the largest float of 16 bits."""
    network = linear_pair().float()
    hooks = attached(regularizer, network)
    hidden = (300 * data()[0] @ torch.ones(NUM_INPUTS, WIDTH).double()).to(dtype).requires_grad_()
    network.site(hidden)
    value = penalty(hooks, network)
    (gradient,) = torch.autograd.grad(value, network.second.weight)
    weight, exact = network.second.weight.detach().double().requires_grad_(), hidden.detach().double()
    expected = regularizer.of_layer(weight, exact)
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), torch.autograd.grad(expected, weight)[0], rtol=1e-5, atol=0)


def test_l1_is_the_sum_of_magnitudes_with_a_subgradient_of_zero_at_zero() -> None:
    training = prepared(IMAGE_TASK, L1(rate=0.1))
    network = training.network
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(weights) == 4
    with torch.no_grad():
        weights[0][0].zero_()
    value = penalty(training.hooks, network)
    expected = 0.1 * sum(np.abs(weight.detach().double().numpy()).sum() for weight in weights)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5)
    value.backward()
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            assert torch.allclose(parameter.grad, 0.1 * parameter.detach().sign())
        else:
            assert parameter.grad is None


def test_a_weight_that_layers_share_counts_once_in_l1() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    network[2].weight = network[0].weight
    step = Step(
        network=network, loss=lambda _: torch.zeros(()), rng=np.random.default_rng(0), index=0, epoch=1, progress=0
    )
    penalty = L1(rate=0.5).penalty(step)
    assert penalty is not None
    expected = 0.5 * sum(float(layer.weight.detach().abs().sum()) for layer in (network[0], network[3]))
    assert float(penalty.detach()) == pytest.approx(expected)


def test_the_flow_penalty_leaves_out_maps_that_a_dense_layer_reads_behind_a_pooling_layer() -> None:
    """Its flows are those of the units that the layer reads; a map has other ones."""
    training = prepared(IMAGE_TASK, FlowPenalty(where="all"))
    network = training.network
    assert isinstance(network.joined.next_layer, nn.Linear)
    assert FlowPenalty(where="all").chosen_sites(network) == [network.classifier[4]]
    assert bool(training.step(next(iter(training.batches.epoch())), epoch=1).isfinite())
