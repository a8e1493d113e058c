"""Networks have the size that their definitions say, give one score per class, and know their sites."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.sites import Site, measure_sites, sites_of


class Case(NamedTuple):
    name: str
    num_parameters: int
    num_classes: int = 10
    shape: tuple[int, int, int] = (3, 32, 32)
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return "-".join(map(str, (self.name, *dict(self.options).values(), self.num_classes, self.shape[-1])))


STEM_7X7 = 64 * 3 * (7 * 7 - 3 * 3)  # more weights than with the 3x3 stem

CASES = [
    Case("lenet", 46_522, shape=(1, 28, 28), options=(("width", 100),)),
    Case("two_layer_mlp", 78_702, num_classes=2, shape=(1, 28, 28)),
    Case("two_layer_mlp", 78_601, num_classes=1, shape=(1, 28, 28)),
    Case("zhai_cnn", 10_071_562),
    Case("zhai_cnn", 10_255_972, num_classes=100, options=(("last_map", "dense"),)),
    Case("resnet56", 853_018),
    Case("resnet56", 855_770, options=(("variant", "conv_shortcut"),)),
    Case("resnet56", 855_578, options=(("variant", "pre_activation"),)),
    Case("resnet56", 861_428, num_classes=100, options=(("variant", "pre_activation"), ("first_group", 3))),
    Case("resnet50", 23_520_842),
    Case("resnet50", 23_705_252, num_classes=100, options=(("places", "behind_norm"), ("first_group", 3))),
    Case("resnet50", 25_557_032, num_classes=1000, shape=(3, 224, 224)),
    Case("preact_resnet18", 11_171_146),
    Case("preact_resnet18", 11_172_170, options=(("final_norm", True), ("pooled_site", True))),
    Case("preact_resnet18", 11_171_146 + STEM_7X7 + 990 * 513, num_classes=1000, shape=(3, 224, 224)),
    Case("preact_resnet50", 23_509_066),
    Case("preact_resnet50", 23_509_066 + STEM_7X7 + 990 * 2049, num_classes=1000, shape=(3, 224, 224)),
    Case("densenet121", 6_956_298),
    Case("densenet121", 7_048_548, num_classes=100, options=(("first_group", 4), ("pooled_site", True))),
    Case("densenet121", 7_978_856, num_classes=1000, shape=(3, 224, 224)),
    Case("densenet_bc_100_12", 769_162),
    Case("dpn92", 34_236_634),
    Case("dpn92", 34_467_124, num_classes=100, options=(("pooled_site", True),)),
    Case("dpn92", 34_236_634 + STEM_7X7 + 990 * 2561, num_classes=1000, shape=(3, 224, 224)),
]


@cache
def network_of(case: Case) -> nn.Module:
    """The network of a case, on the meta device: counting and tracing need neither memory nor random numbers."""
    channels, size, _ = case.shape
    with torch.device("meta"):
        return ARCHITECTURES[case.name](
            num_classes=case.num_classes, in_channels=channels, image_size=size, **dict(case.options)
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_has_exactly_as_many_parameters_as_its_definition(case: Case) -> None:
    assert sum(parameter.numel() for parameter in network_of(case).parameters()) == case.num_parameters


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_gives_one_score_per_class_and_reaches_its_sites_in_their_order(case: Case) -> None:
    network = network_of(case).eval()
    reached: list[Site] = []
    sites = sites_of(network)
    handles = [site.register_forward_hook(lambda site, *_: reached.append(site)) for site in sites]
    assert network(torch.zeros(2, *case.shape, device="meta")).shape == (2, case.num_classes)
    for handle in handles:
        handle.remove()
    assert reached == sites
    assert [site.group for site in sites] == sorted(site.group for site in sites)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_its_sites_are_of_their_kinds_shape(case: Case) -> None:
    network = network_of(case)
    measure_sites(network, torch.zeros(1, *case.shape, device="meta"))
    for site in sites_of(network):
        assert site.is_spatial == (site.kind in ("input", "conv", "branch"))
    assert sites_of(network)[0].kind == "input"


@pytest.mark.parametrize(
    ("name", "options", "kinds"),
    [
        ("zhai_cnn", {}, ["input", "conv", "conv", "conv", "dense", "dense"]),
        ("zhai_cnn", {"last_map": "dense"}, ["input", "conv", "conv", "dense", "dense", "dense"]),
        ("resnet56", {"first_group": 3}, ["input", *["branch"] * 18, *["conv", "conv", "branch"] * 9]),
        ("preact_resnet18", {}, ["input", *["conv", "conv", "branch"] * 8]),
        ("preact_resnet18", {"pooled_site": True}, ["input", *["conv", "conv", "branch"] * 8, "dense"]),
        ("preact_resnet50", {}, ["input", *["conv", "branch"] * 16]),
        ("resnet50", {}, ["input", *["conv", "branch"] * 16]),
        (
            "resnet50",
            {"places": "behind_norm", "first_group": 4},
            ["input", *["branch"] * 13, *["conv", "conv", "conv", "branch", "conv"] * 3],
        ),
        ("densenet_bc_100_12", {}, ["input", *["conv"] * 48]),
        ("dpn92", {"first_group": 4}, ["input", *["branch"] * 27, *["conv", "branch"] * 3]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_its_sites_stand_where_the_papers_put_masks(name: str, options: dict[str, Any], kinds: list[str]) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[name](num_classes=10, in_channels=3, image_size=32, **options)
    assert [site.kind for site in sites_of(network)] == kinds


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zhai_cnn", {"image_size": 14}, "at least 15 pixels, got 14"),
        ("zhai_cnn", {"last_map": "pool"}, "one of conv, dense, got 'pool'"),
        ("zhai_cnn", {"channel_divisor": 97}, "from 1 to 96, got 97"),
        ("resnet56", {"image_size": 3}, "at least 4 pixels, got 3"),
        ("resnet56", {"variant": "b"}, "one of option_a, conv_shortcut, pre_activation, got 'b'"),
        ("resnet56", {"first_group": 4}, "first_group must be from 1 to 3 .*, got 4"),
        ("resnet50", {"places": "everywhere"}, "one of behind_conv, behind_norm, got 'everywhere'"),
        ("resnet50", {"stem": "5x5"}, "one of by_size, 3x3, 7x7, got '5x5'"),
        ("preact_resnet18", {"image_size": 7}, "PreActResNet18 takes images of at least 8 pixels here, got 7"),
        ("densenet121", {"stem": "7x7", "image_size": 31}, "at least 32 pixels here, got 31"),
        ("densenet_bc_100_12", {"first_group": 0}, "from 1 to 3 .*, got 0"),
        ("dpn92", {"image_size": 4}, "at least 8 pixels here, got 4"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_cannot_be_built_is_refused_with_what_can(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        ARCHITECTURES[name](**{"num_classes": 10, "in_channels": 3, "image_size": 32, **options})


@pytest.mark.parametrize("name", ["zhai_cnn", "resnet56", "densenet_bc_100_12"])
def test_the_smallest_images_that_are_allowed_pass(name: str) -> None:
    size = {"zhai_cnn": 15}.get(name, 4)
    with torch.device("meta"):
        network = ARCHITECTURES[name](num_classes=10, in_channels=1, image_size=size)
        assert network(torch.zeros(2, 1, size, size)).shape == (2, 10)
