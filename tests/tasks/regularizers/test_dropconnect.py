"""DropConnect drops the weights it says, and trains on the objective that follows from listing all masks."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch._dynamo
import torch.nn.functional as F
from tiny_tasks import IMAGE_TASK, binomial_bound, prepared
from torch import Tensor, nn

from tasks.regularizers.base import Context
from tasks.regularizers.dropconnect import DropConnect, MaskedLinear
from tasks.runtime.graphs import graphs_of
from tasks.runtime.streams import MaskStream
from tasks.sites import front_layers, sites_of
from tasks.theory.structured import dropconnect_objective, dropout_objective

KEEP = 0.6
CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="dropconnect",
    num_train_samples=1,
    num_epochs=1,
    num_steps=1,
    learning_rate=0.1,
)


class GivenMask:
    """Stands for a stream whose next mask is given."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def bernoulli(self, shape: tuple[int, ...], rate: float) -> Tensor:
        assert (shape, rate) == (tuple(self.mask.shape), pytest.approx(KEEP))
        return self.mask


def masked(layer: nn.Linear, mask: Tensor, *, per_sample: bool = False) -> MaskedLinear:
    stream: MaskStream = GivenMask(mask)
    return MaskedLinear.made_of(layer, DropConnect(drop_rate=1 - KEEP, per_sample=per_sample), stream)


def mean_over_masks(U: Tensor, V: Tensor, X: Tensor, Y: Tensor, dropped: str) -> Tensor:
    """E ||Y - prediction||^2 with every mask of one of the two layers listed, the layer itself doing the masking."""
    first, second = nn.Linear(*V.shape, bias=False), nn.Linear(*U.T.shape, bias=False)
    first.weight, second.weight = nn.Parameter(V.T), nn.Parameter(U)
    layer = {"front": first, "behind": second}[dropped]
    total = torch.zeros((), dtype=torch.float64)
    for bits in itertools.product([True, False], repeat=layer.weight.numel()):
        masking = masked(layer, torch.tensor(bits).view_as(layer.weight))
        hidden = masking(X.T) if dropped == "front" else first(X.T)
        predictions = second(hidden) if dropped == "front" else masking(hidden)
        chance = KEEP ** sum(bits) * (1 - KEEP) ** (len(bits) - sum(bits))
        total = total + chance * (Y.T - predictions).square().sum()
    return total.detach()


@pytest.fixture
def pair() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3), (2, 3), (2, 5), (2, 5)]
    U, V, X, Y = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return U, V, X, Y


def test_the_mean_loss_over_all_masks_is_the_exact_dropconnect_objective(pair: tuple[Tensor, ...]) -> None:
    U, V, X, Y = pair
    expected = dropconnect_objective(Y, X, U, V, KEEP, "exact")
    assert float(mean_over_masks(U, V, X, Y, "front")) == pytest.approx(float(expected), rel=1e-12)
    assert float(expected) != pytest.approx(float(dropconnect_objective(Y, X, U, V, KEEP, "printed")), rel=1e-2)


def test_masks_on_the_layer_behind_would_be_dropout(pair: tuple[Tensor, ...]) -> None:
    U, V, X, Y = pair
    expected = dropout_objective(Y, X, U, V, KEEP)
    assert float(mean_over_masks(U, V, X, Y, "behind")) == pytest.approx(float(expected), rel=1e-12)


def test_masks_per_sample_are_those_of_a_loop_over_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(4, 3).double()
    mask = torch.rand(6, 3, 4, generator=generator) < KEEP
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    y = masked(layer, mask, per_sample=True)(x)
    expected = torch.stack([(layer.weight * mask[n]) @ x[n] / KEEP + layer.bias for n in range(6)])
    assert torch.allclose(y, expected, rtol=1e-12)
    gradients = [torch.autograd.grad(outputs.square().sum(), layer.weight)[0] for outputs in (y, expected)]
    assert torch.allclose(*gradients, rtol=1e-12)


def test_the_layers_in_front_mask_and_stay_the_objects_and_parameters_that_they_were() -> None:
    network, plain = prepared(IMAGE_TASK).network, prepared(IMAGE_TASK).network
    (dense,) = sites_of(network, ("dense",))
    layer = front_layers(network)[dense]
    seen = []
    layer.register_forward_hook(lambda *_: seen.append(True))
    DropConnect(drop_rate=0.3).attach(network, CONTEXT)
    assert front_layers(network)[dense] is layer is sites_of(network, ("conv",))[-1].next_layer
    assert [name for name, module in network.named_modules() if isinstance(module, MaskedLinear)] == ["classifier.2"]
    assert [name for name, _ in network.named_parameters()] == [name for name, _ in plain.named_parameters()]
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(network.train()(x), plain.train()(x))
    assert seen == [True]


@pytest.mark.parametrize("per_sample", [False, True])
def test_the_share_of_weights_dropped_is_the_drop_rate(per_sample: bool) -> None:
    layer = nn.Linear(50, 400, bias=False)
    nn.init.ones_(layer.weight)
    settings = DropConnect(drop_rate=0.3, per_sample=per_sample)
    masking = MaskedLinear.made_of(layer, settings, MaskStream(0, "dropconnect", "cpu"))
    kept = masking(torch.eye(50)).detach() * 0.7  # row j holds column j of the masked weight
    assert kept.unique().tolist() == pytest.approx([0, 1])
    assert abs(float(kept.mean()) - 0.7) <= float(binomial_bound(0.7, kept.numel()))


def test_eval_mode_uses_the_weights_themselves() -> None:
    layer = nn.Linear(5, 4)
    masking = masked(layer, torch.zeros(4, 5, dtype=torch.bool)).eval()
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(masking(x), F.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_compiled_layer_is_in_one_graph_and_drops_the_same_weights(per_sample: bool) -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    found = []
    for is_compiled in (False, True):
        torch.manual_seed(0)
        layer = nn.Linear(5, 4)
        settings = DropConnect(per_sample=per_sample)
        network = nn.Sequential(MaskedLinear.made_of(layer, settings, MaskStream(0, "dropconnect", "cpu")), nn.Tanh())
        torch._dynamo.reset()
        forward = torch.compile(network, backend="aot_eager", fullgraph=True) if is_compiled else network
        outputs = [forward(x) for _ in range(2)]
        torch.stack(outputs).square().sum().backward()
        assert layer.weight.grad is not None
        found.append([*outputs, layer.weight.grad])
    assert not torch.equal(*found[1][:2]), "masks are drawn anew"
    assert all(map(torch.equal, *found))
    assert graphs_of(network, x).num_graphs == 1
    torch._dynamo.reset()
