"""The finder gives the sites that follow from an architecture, and what it inserts changes no value."""

from __future__ import annotations

import copy
import importlib
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from slow_params import slow_but
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from tasks.own.site_finder import FoundSite, chosen, find_sites, insert_sites
from tasks.own.sited_network import SitedNetwork
from tasks.sites import Site, front_layers, sites_of


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class FunctionalNet(nn.Module):
    """Functions in place of modules, and modules that are called several times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.middle = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.full((1,), 0.5))
        self.act, self.end = nn.ReLU(), nn.Identity()
        self.hidden, self.narrow, self.out = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        x = x + self.end(self.scale * self.middle(x))
        x += self.end(self.act(self.middle(x)))  # the same layers again
        units = x.mean((2, 3))
        units = units + self.narrow(F.gelu(self.hidden(units)))
        return self.out(units)


def small(name: str) -> nn.Module:
    """A network of torchvision, transformers in a small size."""
    if name == "vit":
        return torchvision.models.VisionTransformer(32, 8, 3, 4, 24, 48, num_classes=5)
    return torchvision.models.get_model(name, weights=None, num_classes=5)


def found_in(name: str) -> tuple[nn.Module, list[FoundSite]]:
    with torch.device("meta"):
        network = small(name)
        size = 32 if name == "vit" else 64
        return network, find_sites(network, torch.zeros(2, 3, size, size))


def number(network: nn.Module, kind: type | tuple[type, ...]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize("name", slow_but(["resnet18", "resnet50", "wide_resnet50_2"], ["resnet18"]))
def test_a_residual_network_has_a_branch_for_each_block_a_site_after_each_conv_layer_and_a_head(name: str) -> None:
    network, found = found_in(name)
    assert Counter(site.place for site in found) == {
        "conv": number(network, nn.Conv2d),
        "branch": number(network, (BasicBlock, Bottleneck)),
        "head": 1,
    }
    last = {BasicBlock: "bn2", Bottleneck: "bn3"}
    ends = [f"{n}.{last[type(module)]}" for n, module in network.named_modules() if type(module) in last]
    assert [site.module for site in found if site.place == "branch"] == ends
    assert [site.group for site in found] == sorted(site.group for site in found)


@pytest.mark.parametrize("name", slow_but(["vgg11", "vgg16_bn"], ["vgg11"]))
def test_a_plain_network_has_a_site_after_each_conv_and_hidden_dense_layer_read_by_the_next(name: str) -> None:
    network, found = found_in(name)
    num_dense = number(network, nn.Linear)
    assert Counter(site.place for site in found) == {"conv": number(network, nn.Conv2d), "dense": num_dense - 1}
    layers = [n for n, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [site.next_layer for site in found] == layers[1:]
    assert [site.front for site in found if site.place == "dense"] == layers[-num_dense:-1]


def test_a_transformer_has_a_site_at_every_place_of_its_blocks() -> None:
    _, found = found_in("vit")
    depth = 3
    assert Counter(site.place for site in found) == {
        "conv": 1, "attention": depth, "dense": depth, "mlp": depth, "branch": 2 * depth, "head": 1
    }  # fmt: skip
    (attention, *_), (dense, *_) = ([site for site in found if site.place == place] for place in ("attention", "dense"))
    assert attention.module.endswith("layer_0.self_attention")
    assert dense.shape == (4 * 4 + 1, 48)
    assert (dense.front, dense.next_layer) == tuple(f"{attention.module[:-14]}mlp.{place}" for place in (0, 3))


@pytest.mark.parametrize("name", slow_but(["resnet18", "vit", "vgg11"], ["vit"]))
def test_sites_change_no_score_and_no_name_of_a_parameter(name: str) -> None:
    torch.manual_seed(0)
    plain = small(name).eval()
    size = 32 if name == "vit" else 64
    images = torch.randn(2, 3, size, size)
    network = SitedNetwork(copy.deepcopy(plain), find_sites(plain, images), (3, size, size), seed=0).eval()
    assert torch.equal(network(images), plain(images))
    assert [key.removeprefix("network.") for key in network.state_dict()] == list(plain.state_dict())
    shapes = {}
    for site in sites_of(network):
        site.register_forward_hook(lambda module, _, y: shapes.update({module.name: tuple(y.shape[1:])}))
    network.train()(images)
    assert shapes == {site.name: site.shape for site in sites_of(network)}, "training passes every site once"


def test_a_transformer_without_its_branches_is_its_embedding_and_its_head() -> None:
    network = small("vit").eval()
    images = torch.randn(2, 3, 32, 32)
    for site in insert_sites(network, chosen(find_sites(network, images), ["branch"])):
        site.fill(Zero())
    tokens = torch.cat([network.class_token.expand(2, -1, -1), network._process_input(images)], 1)
    normed = network.encoder.ln(tokens + network.encoder.pos_embedding)
    torch.testing.assert_close(network(images), network.heads(normed[:, 0]))


def test_a_residual_network_without_its_branches_is_its_stem_and_its_shortcuts() -> None:
    network = small("resnet18").eval()
    images = torch.randn(2, 3, 64, 64)
    for site in insert_sites(network, chosen(find_sites(network, images), ["branch"])):
        site.fill(Zero())
    maps = network.maxpool(F.relu(network.bn1(network.conv1(images))))
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            maps = F.relu(maps if block.downsample is None else block.downsample(maps))
    torch.testing.assert_close(network(images), network.fc(maps.mean((2, 3))))


def test_functions_count_as_modules_do_and_each_call_of_a_shared_module_has_its_own_site() -> None:
    network = FunctionalNet()
    found = find_sites(network, torch.zeros(2, 3, 8, 8))
    assert [(site.place, site.module, site.call) for site in found] == [
        ("conv", "stem", 0),
        ("conv", "middle", 0),
        ("branch", "end", 0),
        ("conv", "middle", 1),
        ("branch", "end", 1),
        ("dense", "hidden", 0),
        ("mlp", "narrow", 0),
        ("branch", "narrow", 0),
        ("head", "out", 0),
    ]
    images = torch.randn(2, 3, 8, 8)
    branches = [site for site in insert_sites(network, found) if site.kind == "branch"]
    for site in branches:
        site.fill(Zero())
    for _ in range(2):  # the calls are counted anew in each pass
        torch.testing.assert_close(network(images), network.out(F.relu(network.stem(images)).mean((2, 3))))


def test_places_and_patterns_choose_sites_and_both_together_those_of_both() -> None:
    _, found = found_in("resnet18")
    assert chosen(found, []) == found
    assert {site.place for site in chosen(found, ["branch", "head"])} == {"branch", "head"}
    assert {site.module.partition(".")[0] for site in chosen(found, ["layer3.*"])} == {"layer3"}
    assert chosen(found, ["layer3"]) == chosen(found, ["layer3.*"])
    assert [site.module for site in chosen(found, ["branch", "layer[34].0.*"])] == ["layer3.0.bn2", "layer4.0.bn2"]
    with pytest.raises(ValueError, match=r"'layer5.\*' chooses no site; the network has the places conv, head, branch"):
        chosen(found, ["conv", "layer5.*"])


@pytest.mark.parametrize("output", [lambda scores: (scores, scores), lambda scores: scores[:, :, None]])
def test_a_network_that_returns_no_scores_is_refused(output) -> None:
    class Odd(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return output(super().forward(x.flatten(1)))

    with pytest.raises(ValueError, match="one tensor of scores"):
        find_sites(Odd(12, 5), torch.zeros(2, 3, 2, 2))


def test_a_copy_of_a_network_has_sites_of_its_own() -> None:
    network = SitedNetwork(FunctionalNet(), [], (3, 8, 8), seed=0)
    insert_sites(network.network, find_sites(network.network, torch.zeros(2, 3, 8, 8)))
    images = torch.randn(2, 3, 8, 8)
    before = network(images)
    for site in sites_of(copied := copy.deepcopy(network)):
        site.fill(Zero())
    assert torch.equal(network(images), before)
    assert not torch.equal(copied(images), before)


def test_the_layer_in_front_of_a_site_is_the_one_whose_units_it_holds() -> None:
    network = FunctionalNet()
    sites = insert_sites(network, find_sites(network, torch.zeros(2, 3, 8, 8)))
    fronts = {site: layer for site, layer in front_layers(network).items() if site in sites}
    dense, mlp = (next(site for site in sites if site.next_layer is layer) for layer in (network.narrow, network.out))
    assert fronts[dense] is network.hidden
    assert fronts[mlp] is network.narrow
    assert all(isinstance(layer, nn.Linear) for layer in fronts.values())


def test_dropout_of_the_networks_own_gives_the_same_values_again_and_others_in_the_next_pass() -> None:
    def scores() -> tuple[Tensor, Tensor]:
        torch.rand(3)  # what others draw does not matter
        inner = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 5))
        nn.init.ones_(inner[2].weight)
        nn.init.zeros_(inner[2].bias)
        network = SitedNetwork(inner, [], (3, 2, 2), seed=1)
        return network(torch.arange(24.0).view(2, 3, 2, 2)), network(torch.arange(24.0).view(2, 3, 2, 2))

    (first, second), (again, _) = scores(), scores()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_site_that_a_pattern_leaves_out_is_not_inserted() -> None:
    network, found = found_in("resnet18")
    insert_sites(network, chosen(found, ["branch"]))
    assert sum(isinstance(module, Site) for module in network.modules()) == 8


TIMM = {  # by the numbers of blocks and layers in their papers
    "resnet18": {"conv": 20, "branch": 8, "head": 1},
    "vit_tiny_patch16_224": {"conv": 1, "attention": 12, "dense": 12, "mlp": 12, "branch": 24, "head": 1},
    "mixer_s32_224": {"conv": 1, "dense": 16, "mlp": 16, "branch": 16, "head": 1},
}


@pytest.mark.parametrize("name", slow_but(TIMM, ["resnet18", "vit_tiny_patch16_224"]))
def test_networks_of_timm_have_the_places_of_their_blocks(name: str) -> None:
    timm: Any = importlib.import_module("timm")
    with torch.device("meta"):
        found = find_sites(timm.create_model(name, num_classes=5), torch.zeros(2, 3, 224, 224))
    assert Counter(site.place for site in found) == TIMM[name]
