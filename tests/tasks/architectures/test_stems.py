"""Networks with two stems: one for images as large as ImageNet's, one for small images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.sites import measure_sites, sites_of

TWO_STEMS = ("resnet50", "densenet121", "preact_resnet18", "preact_resnet50", "dpn92")


@pytest.mark.parametrize("name", TWO_STEMS)
def test_the_stem_follows_the_size_of_the_images_unless_it_is_told(name: str) -> None:
    with torch.device("meta"):
        networks = {
            (size, stem): ARCHITECTURES[name](num_classes=2, in_channels=1, image_size=size, stem=stem)
            for size, stem in ((64, "by_size"), (65, "by_size"), (32, "7x7"), (224, "3x3"))
        }
    first = {key: next(m for m in network.modules() if isinstance(m, nn.Conv2d)) for key, network in networks.items()}
    kernels = {key: layer.weight.shape[1:] for key, layer in first.items()}
    assert kernels == {
        (64, "by_size"): (1, 3, 3),
        (65, "by_size"): (1, 7, 7),
        (32, "7x7"): (1, 7, 7),
        (224, "3x3"): (1, 3, 3),
    }


@pytest.mark.parametrize("name", TWO_STEMS)
@pytest.mark.parametrize(("image_size", "last"), [(32, 4), (224, 7)])
def test_the_last_map_has_an_eighth_of_small_images_and_a_thirty_second_of_large_ones(
    name: str, image_size: int, last: int
) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[name](num_classes=2, in_channels=3, image_size=image_size)
        measure_sites(network, torch.zeros(1, 3, image_size, image_size))
    assert sites_of(network, ["conv"])[-1].shape[-2:] == (last, last)
