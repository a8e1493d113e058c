"""Networks have the size that their definitions say, give one score per class, and know their sites."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.sites import Site, measure_sites, sites_of

Options = dict[str, int | str | bool]

COUNTS: list[tuple[str, int, int, Options, int]] = [  # name, classes, image size, options, parameters
    ("zhai_cnn", 10, 32, {}, 10_071_562),
    ("zhai_cnn", 100, 32, {}, 10_255_972),
    ("resnet56", 10, 32, {}, 853_018),
    ("resnet56", 10, 32, {"variant": "conv_shortcut"}, 855_770),
    ("resnet56", 10, 32, {"variant": "pre_activation"}, 855_578),
    ("resnet56", 100, 32, {"variant": "pre_activation"}, 861_428),
    ("resnet50", 10, 32, {}, 23_520_842),
    ("resnet50", 100, 32, {"places": "behind_norm"}, 23_705_252),
    ("resnet50", 1000, 224, {}, 25_557_032),
    ("preact_resnet18", 10, 32, {}, 11_171_146),
    ("preact_resnet18", 10, 32, {"final_norm": True}, 11_172_170),
    ("preact_resnet50", 10, 32, {}, 23_509_066),
    ("densenet121", 10, 32, {}, 6_956_298),
    ("densenet121", 100, 32, {}, 7_048_548),
    ("densenet121", 1000, 224, {}, 7_978_856),
    ("densenet_bc_100_12", 10, 32, {}, 769_162),
    ("dpn92", 10, 32, {}, 34_236_634),
    ("dpn92", 100, 32, {}, 34_467_124),
]


def described(case: tuple[str, int, int, Options, int]) -> str:
    name, num_classes, image_size, options, _ = case
    return "-".join(map(str, (name, num_classes, image_size, *options.values())))


def network_of(
    name: str, options: Options, *, num_classes: int = 10, in_channels: int = 3, image_size: int = 32
) -> nn.Module:
    return ARCHITECTURES[name](num_classes=num_classes, in_channels=in_channels, image_size=image_size, **options)


@pytest.mark.parametrize("case", COUNTS, ids=described)
def test_it_has_exactly_as_many_parameters_as_its_definition(case: tuple[str, int, int, Options, int]) -> None:
    name, num_classes, image_size, options, expected = case
    with torch.device("meta"):  # counting needs no memory and no random numbers
        network = network_of(name, options, num_classes=num_classes, image_size=image_size)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("case", COUNTS, ids=described)
def test_it_gives_one_score_per_class_and_every_site_is_reached(case: tuple[str, int, int, Options, int]) -> None:
    name, num_classes, image_size, options, _ = case
    with torch.device("meta"):
        network = network_of(name, options, num_classes=num_classes, image_size=image_size)
        images = torch.zeros(2, 3, image_size, image_size)
        assert network(images).shape == (2, num_classes)
        measure_sites(network, images)
    for site in sites_of(network):
        assert site.shape is not None
        assert site.is_spatial == (site.kind in ("input", "conv", "branch"))
    assert {site.kind for site in sites_of(network)} >= {"input", "conv"}


@pytest.mark.parametrize("case", COUNTS, ids=described)
def test_sites_stand_in_the_order_of_the_forward_pass(case: tuple[str, int, int, Options, int]) -> None:
    name, num_classes, image_size, options, _ = case
    reached: list[Site] = []
    with torch.device("meta"):
        network = network_of(name, options, num_classes=num_classes, image_size=image_size)
        for site in sites_of(network):
            site.register_forward_hook(lambda module, *_: reached.append(module))
        network(torch.zeros(2, 3, image_size, image_size))
    assert reached == sites_of(network)
    groups = [site.group for site in reached]
    assert groups == sorted(groups)
