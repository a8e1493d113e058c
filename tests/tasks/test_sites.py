"""Sites are identities with a name, a place and a reader, until something fills them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tasks.architectures import ARCHITECTURES
from tasks.sites import SITE_KINDS, Site, chain_next_layers, measure_sites, sites_of

SIZES = {"convnet_small": 8, "mlp": 8, "lenet": 28}


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class AddingOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def network_of(name: str) -> nn.Module:
    network = ARCHITECTURES[name](num_classes=10, in_channels=1, image_size=SIZES[name])
    measure_sites(network, torch.zeros(1, 1, SIZES[name], SIZES[name]))
    return network


def test_an_empty_site_is_the_identity() -> None:
    x = torch.randn(2, 3)
    assert Site("dense")(x) is x


def test_fillings_act_in_the_order_in_which_they_came() -> None:
    site = Site("dense")
    site.fill(Doubling())
    site.fill(AddingOne())
    assert site(torch.tensor([3.0])).tolist() == [7.0]


def test_an_unknown_kind_is_refused_with_the_kinds_that_exist() -> None:
    with pytest.raises(ValueError, match=r"one of input, conv, dense, branch, hidden, got 'convolution'"):
        Site("convolution")


@pytest.mark.parametrize("name", SIZES)
def test_every_site_knows_its_path_its_shape_and_the_layer_that_reads_it(name: str) -> None:
    network = network_of(name)
    sites = sites_of(network)
    assert sites
    assert {site.name for site in sites} == {n for n, module in network.named_modules() if isinstance(module, Site)}
    shapes: dict[str, tuple[int, ...]] = {}
    for site in sites:
        assert network.get_submodule(site.name) is site
        site.register_forward_hook(lambda module, _, y: shapes.update({module.name: tuple(y.shape[1:])}))
    network(torch.zeros(4, 1, SIZES[name], SIZES[name]))
    assert shapes == {site.name: site.shape for site in sites}
    for site in sites:
        assert site.is_spatial == (site.kind in ("input", "conv", "branch"))
        assert site.next_layer is not None


def test_the_next_layer_is_the_one_listed_behind_the_site() -> None:
    network = network_of("lenet")
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert [site.next_layer for site in sites_of(network)] == layers


@pytest.mark.parametrize("name", SIZES)
def test_knowing_the_next_layer_adds_no_parameter_and_no_module(name: str) -> None:
    network = network_of(name)
    for site in sites_of(network):
        assert list(site.parameters()) == []
        assert list(site.modules()) == [site, site.fillings]
        assert site.state_dict() == {}


def test_a_copied_network_knows_its_own_layers() -> None:
    copied = copy.deepcopy(network_of("mlp"))
    own = set(map(id, copied.modules()))
    assert all(id(site.next_layer) in own for site in sites_of(copied))


def test_measuring_leaves_the_mode_and_the_running_averages_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), Site("dense"))
    before = copy.deepcopy(network.state_dict())
    for mode in (True, False):
        network.train(mode)
        measure_sites(network, torch.randn(5, 3))
        assert network.training == mode
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_sites_are_found_by_kind_in_the_order_of_the_network() -> None:
    network = network_of("convnet_small")
    assert [site.kind for site in sites_of(network)] == ["input", "conv", "branch", "conv", "dense"]
    assert [site.name for site in sites_of(network, ["dense", "conv"])] == ["stem.2", "joined", "classifier.4"]
    assert sites_of(network, []) == []
    assert sites_of(network, SITE_KINDS) == sites_of(network)


def test_two_sites_before_one_layer_are_both_read_by_it() -> None:
    network = nn.Sequential(Site("dense"), nn.ReLU(), Site("dense"), nn.Linear(2, 2), Site("dense"))
    chain_next_layers(network)
    assert [site.next_layer for site in sites_of(network)] == [network[3], network[3], None]
