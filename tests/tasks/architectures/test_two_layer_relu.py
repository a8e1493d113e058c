"""Two-layer networks with a frozen top, and networks that normalise inside."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.architectures import ARCHITECTURES
from tasks.architectures.normalised import CIFAR10_MEAN, CIFAR10_STD
from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.sites import sites_of

SIZES = {"num_classes": 1, "in_channels": 1, "image_size": 28}


def test_trained_it_is_the_thesis_network_with_one_output() -> None:
    network = TwoLayerReLU(**SIZES)
    assert sum(each.numel() for each in network.parameters()) == 784 * 100 + 100 + 100 + 1
    assert [site.next_layer for site in sites_of(network, ("dense",))] == [network.output]


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_its_output_follows_the_formula(slope: float) -> None:
    network = TwoLayerReLU(num_classes=2, in_channels=3, image_size=2, width=5, slope=slope)
    inputs = torch.randn(4, 3, 2, 2)
    hidden = inputs.flatten(1) @ network.hidden.weight.T + network.hidden.bias
    expected = torch.maximum(hidden, slope * hidden) @ network.output.weight.T + network.output.bias
    torch.testing.assert_close(network(inputs), expected)


def test_frozen_its_top_has_entries_of_one_size_and_takes_no_gradient() -> None:
    network = TwoLayerReLU(**SIZES, width=400, top="frozen")
    assert [name for name, each in network.named_parameters() if each.requires_grad] == ["hidden.weight"]
    assert network.output.weight.abs().unique().tolist() == pytest.approx([1 / math.sqrt(400)])
    assert set(network.output.weight.sign().flatten().tolist()) == {-1.0, 1.0}
    squares = network.hidden.weight.detach().square()
    assert abs(float(squares.mean()) - 1) < 5 * math.sqrt(2 / (784 * 400))


@pytest.mark.parametrize("wrong", [{"slope": -0.1}, {"slope": 2.0}, {"top": "fixed"}])
def test_what_is_not_allowed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"(slope|top) must .* got"):
        TwoLayerReLU(**SIZES, **wrong)


def test_normalisation_inside_is_the_usual_one() -> None:
    with torch.device("meta"):
        shape = ARCHITECTURES["preact_resnet18_normalised"](num_classes=10, in_channels=3, image_size=32)
    assert sum(each.numel() for each in shape.parameters()) == 11_172_170
    network = ARCHITECTURES["preact_resnet18_normalised"](num_classes=2, in_channels=3, image_size=8).eval()
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    outside = ChannelNormalisation(mean=CIFAR10_MEAN, std=CIFAR10_STD)(images)
    torch.testing.assert_close(network(images / 255), network.network(outside), rtol=1e-4, atol=1e-5)
