"""Layers, parameters and multiply-adds are counted, and `regarena show` prints them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.command.cards import card
from tasks.architectures import ARCHITECTURES
from tasks.architectures.cost import cost_of


def test_a_conv_layer_costs_its_kernel_at_every_position_and_a_dense_layer_its_weights() -> None:
    conv = nn.Conv2d(4, 6, (3, 5), stride=2, padding=1, groups=2)
    cost = cost_of(conv, torch.zeros(3, 4, 9, 9))
    assert conv(torch.zeros(1, 4, 9, 9)).shape == (1, 6, 5, 4)
    assert cost.num_multiply_adds == 6 * 5 * 4 * (4 // 2) * 3 * 5
    assert cost_of(nn.Linear(7, 5), torch.zeros(3, 7)).num_multiply_adds == 7 * 5


def test_counting_leaves_mode_and_hooks_alone_and_counts_a_shared_layer_as_often_as_it_is_used() -> None:
    layer = nn.Linear(4, 4)
    network = nn.Sequential(layer, nn.Dropout(), layer)
    assert cost_of(network, torch.zeros(1, 4)).num_multiply_adds == 2 * 16
    assert network.training
    assert not layer._forward_hooks


@pytest.mark.parametrize(
    ("name", "size", "num_layers", "num_multiply_adds"),
    [
        ("resnet50", 224, 54, 4_089_184_256),  # the 4.09 G of torchvision's table of weights
        ("densenet121", 224, 121, 2_834_161_664),  # 2.83 G there
        ("resnet56", 32, 56, 125_485_696),
    ],
    ids=["resnet50", "densenet121", "resnet56"],
)
def test_known_networks_have_their_known_layers_and_multiply_adds(
    name: str, size: int, num_layers: int, num_multiply_adds: int
) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[name](num_classes=1000 if size == 224 else 10, in_channels=3, image_size=size)
        cost = cost_of(network, torch.zeros(1, 3, size, size))
    assert cost.num_conv_layers + cost.num_dense_layers == num_layers
    assert cost.num_multiply_adds == num_multiply_adds


def test_the_card_of_a_network_tells_its_size_its_cost_and_its_sites() -> None:
    lines = [" ".join(line.split()) for line in card("resnet56").splitlines()]
    assert "layers 55 conv, 1 dense" in lines
    assert "parameters 853,018" in lines
    assert "multiply-adds 125,485,696 for one image, forward" in lines
    assert "conv group 3 (64, 8, 8) 18 blocks.18.behind1 to blocks.26.behind2" in lines


@pytest.mark.parametrize("name", ["convnet_small", "lenet", "mlp", "two_layer_mlp", "zhai_cnn", "densenet_bc_100_12"])
def test_every_card_shows_the_network_at_its_natural_size(name: str) -> None:
    shown = card(name)
    assert ("32x32 images of 3 channels" if name in ("zhai_cnn", "densenet_bc_100_12") else "28x28 images") in shown
    assert "multiply-adds" in shown
