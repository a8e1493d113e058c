"""Networks that come from torchvision compute what torchvision's compute, with the same names for the same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tasks.architectures.densenet import DenseNet121
from tasks.architectures.resnet50 import ResNet50
from tasks.sites import Site, sites_of

PAIRS = [(ResNet50, torchvision.models.resnet50), (DenseNet121, torchvision.models.densenet121)]
IDS = ["resnet50", "densenet121"]

Builder = Callable[..., nn.Module]


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=IDS)
def test_outputs_and_running_averages_equal_those_of_torchvision(ours: Builder, theirs: Builder) -> None:
    torch.manual_seed(0)
    reference = theirs(weights=None, num_classes=7)
    options = {"places": "behind_norm"} if ours is ResNet50 else {}
    network = ours(num_classes=7, in_channels=3, image_size=224, pooled_site=True, **options)
    network.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 64, 64)  # both take any size, and small images are fast
    assert torch.equal(network(images), reference(images))
    averages = reference.state_dict()
    assert all(torch.equal(value, averages[name]) for name, value in network.state_dict().items())
    assert torch.equal(network.eval()(images), reference.eval()(images))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=IDS)
def test_parameters_are_those_of_torchvision(ours: Builder, theirs: Builder) -> None:
    with torch.device("meta"):
        expected = {name: p.shape for name, p in theirs(weights=None).named_parameters()}
        network = ours(num_classes=1000, in_channels=3, image_size=224)
    assert {name: p.shape for name, p in network.named_parameters()} == expected


def test_a_copied_densenet_fills_its_own_sites() -> None:
    torch.manual_seed(0)
    network = DenseNet121(num_classes=2, in_channels=1, image_size=8).eval()
    copied = copy.deepcopy(network)
    images = torch.randn(2, 1, 8, 8)
    before = network(images)
    for site in sites_of(copied, ["conv"]):
        site.fill(Zero())
    assert torch.equal(network(images), before)
    assert not torch.equal(copied(images), before)
    assert not any(isinstance(module, Zero) for site in sites_of(network) for module in site.modules())
    assert all(isinstance(site, Site) for site in sites_of(copied))
