"""Earlier groups of layers may be masked less: the rates that follow, site by site."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.regularizers.base import Context, Hooks
from tasks.regularizers.block_feature_map_distortion import BlockFeatureMapDistortion
from tasks.regularizers.dropblock import DropBlock
from tasks.sites import measure_sites, sites_of

Contestant = type[DropBlock] | type[BlockFeatureMapDistortion]
RATES = {DropBlock: "drop_rate", BlockFeatureMapDistortion: "distortion_rate"}


def attached(contestant: Contestant, first_group: int, **settings: object) -> tuple[nn.Module, Hooks]:
    """A ResNet-56 (three groups) whose conv sites are filled."""
    network = ARCHITECTURES["resnet56"](num_classes=3, in_channels=3, image_size=8, first_group=first_group)
    measure_sites(network, torch.zeros(1, 3, 8, 8))
    context = Context(
        seed=0,
        device=torch.device("cpu"),
        name="here",
        num_train_samples=10,
        num_epochs=1,
        num_steps=4,
        learning_rate=0.1,
    )
    regularizer = contestant(**{RATES[contestant]: 0.16, **settings})
    return network, regularizer.attach(network, context)


def rates_by_group(network: nn.Module) -> dict[int, set[float]]:
    rates: dict[int, set[float]] = {}
    for site in sites_of(network, ["conv"]):
        (filling,) = site.fillings
        rates.setdefault(site.group, set()).add(filling.drop_rate)
    return rates


@pytest.mark.parametrize("contestant", RATES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    ("first_group", "expected"),
    [(1, {1: {0.01}, 2: {0.04}, 3: {0.16}}), (2, {2: {0.04}, 3: {0.16}}), (3, {3: {0.16}})],
)
def test_the_last_group_has_the_rate_itself_and_each_one_before_it_a_quarter(
    contestant: Contestant, first_group: int, expected: dict[int, set[float]]
) -> None:
    network, _ = attached(contestant, first_group, group_factor=0.25, schedule="constant")
    assert rates_by_group(network) == expected


@pytest.mark.parametrize("contestant", RATES, ids=lambda cls: cls.__name__)
def test_by_default_all_groups_have_the_same_rate(contestant: Contestant) -> None:
    network, _ = attached(contestant, 1, schedule="constant")
    assert rates_by_group(network) == {1: {0.16}, 2: {0.16}, 3: {0.16}}


@pytest.mark.parametrize("contestant", RATES, ids=lambda cls: cls.__name__)
def test_the_linear_schedule_brings_every_group_from_zero_to_its_own_rate(contestant: Contestant) -> None:
    network, hooks = attached(contestant, 2, group_factor=0.5, schedule="linear")
    for quarter in range(4):
        hooks.progress(quarter / 4)
        assert rates_by_group(network) == {2: {0.08 * quarter / 4}, 3: {0.16 * quarter / 4}}


@pytest.mark.parametrize("contestant", RATES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("factor", [0.0, -0.5, 1.5, float("nan")])
def test_a_factor_outside_0_to_1_is_refused(contestant: Contestant, factor: float) -> None:
    with pytest.raises(ValueError, match=rf"{contestant.__name__}.group_factor must lie in \(0, 1\] .*, got {factor}"):
        contestant(group_factor=factor)
