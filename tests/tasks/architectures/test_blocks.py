"""Blocks and networks compute their formulas, and masks stand between conv layer and norm."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock as TorchvisionBlock

from tasks.architectures import ARCHITECTURES
from tasks.architectures.dpn92 import DualPathBlock, Stage
from tasks.architectures.preactivation import PreActBasicBlock, PreActBottleneck
from tasks.architectures.resnet56 import BLOCKS, BasicBlock
from tasks.architectures.zhai_cnn import ZhaiCNN
from tasks.sites import Site, WeightLayer, measure_sites, sites_of

WALKED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "zhai_cnn": ("zhai_cnn", 16, {"width": 16, "channel_divisor": 16}),
    "zhai_cnn-dense": ("zhai_cnn", 16, {"width": 16, "channel_divisor": 16, "last_map": "dense"}),
    "option_a": ("resnet56", 8, {"pooled_site": True}),
    "conv_shortcut": ("resnet56", 8, {"variant": "conv_shortcut"}),
    "pre_activation": ("resnet56", 8, {"variant": "pre_activation"}),
    "resnet50-behind_norm": ("resnet50", 8, {"places": "behind_norm"}),
    "preact_resnet50": ("preact_resnet50", 8, {}),
}


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def images(channels: int = 8, size: int = 6) -> Tensor:
    return torch.randn(2, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def with_drawn_norms(block: nn.Module) -> Any:
    """The block in float64 and eval mode, with norms that are not the identity."""
    generator = torch.Generator().manual_seed(1)
    for module in block.double().modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return block.eval()


@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (4, 2)])
def test_the_basic_block_is_torchvisions(in_channels: int, stride: int) -> None:
    block = with_drawn_norms(BLOCKS["conv_shortcut"](in_channels, 8, stride, 1))
    downsample = block.shortcut if len(block.shortcut) else None
    reference = TorchvisionBlock(in_channels, 8, stride, downsample)
    names = {"norm1": "bn1", "norm2": "bn2", "shortcut": "downsample"}
    state = {names.get(k.split(".")[0], k.split(".")[0]) + k[k.index(".") :]: v for k, v in block.state_dict().items()}
    reference.load_state_dict(state)
    x = images(in_channels)
    torch.testing.assert_close(block(x), reference.double().eval()(x))


@pytest.mark.parametrize("size", [6, 5])
def test_option_a_takes_every_second_pixel_and_fills_with_zeros(size: int) -> None:
    x = images(4, size)
    shortcut = BLOCKS["option_a"](4, 8, 2, 2).shortcut(x)
    assert torch.equal(shortcut[:, :4], F.max_pool2d(x, 1, stride=2))
    assert not shortcut[:, 4:].any()
    assert isinstance(BLOCKS["option_a"](8, 8, 1, 1).shortcut, nn.Identity)


@pytest.mark.parametrize("in_channels", [8, 4], ids=["identity", "projection"])
def test_the_preactivation_basic_block_is_its_formula(in_channels: int) -> None:
    b = with_drawn_norms(PreActBasicBlock(in_channels, 8, 1 if in_channels == 8 else 2, 1))
    x = images(in_channels)
    a = b.norm1(x).relu()
    expected = b.conv2(b.norm2(b.conv1(a)).relu()) + (x if in_channels == 8 else b.shortcut(a))
    torch.testing.assert_close(b(x), expected)


@pytest.mark.parametrize("in_channels", [8, 4], ids=["identity", "projection"])
def test_the_preactivation_bottleneck_is_its_formula(in_channels: int) -> None:
    b = with_drawn_norms(PreActBottleneck(in_channels, 8, 1 if in_channels == 8 else 2, 1))
    x = images(in_channels)
    a = b.norm1(x).relu()
    expected = b.conv3(b.norm3(b.conv2(b.norm2(b.conv1(a)).relu())).relu())
    torch.testing.assert_close(b(x), expected + (x if in_channels == 8 else b.shortcut(a)))
    assert b.conv1.out_channels == 8 // 4


def test_dual_path_blocks_add_to_the_first_channels_and_append_the_others() -> None:
    stage = Stage(inner=32, residual=8, appended=3, num_blocks=2)
    first = with_drawn_norms(DualPathBlock(4, stage, group=2, is_first=True))
    second = with_drawn_norms(DualPathBlock(first.out_channels, stage, group=2, is_first=False))
    assert (first.out_channels, second.out_channels) == (8 + 2 * 3, 8 + 3 * 3)

    def branch(b: Any, x: Tensor) -> Tensor:
        y: Tensor = b.norm3(b.conv3(b.norm2(b.conv2(b.norm1(b.conv1(x)).relu())).relu()))
        return y

    x = images(4)
    y, s = branch(first, x), first.shortcut(x)
    x1 = torch.cat([s[:, :8] + y[:, :8], s[:, 8:], y[:, 8:]], 1).relu()
    torch.testing.assert_close(first(x), x1)
    y = branch(second, x1)
    torch.testing.assert_close(second(x1), torch.cat([x1[:, :8] + y[:, :8], x1[:, 8:], y[:, 8:]], 1).relu())


def test_the_cnn_of_zhai_and_wang_is_its_formula() -> None:
    torch.manual_seed(0)
    network = ZhaiCNN(num_classes=3, in_channels=2, image_size=20, width=5, channel_divisor=32).double()
    convs = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    fc1, fc2, fc3 = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    x = maps = images(2, 20)
    for conv, size in zip(convs, (9, 4, 1), strict=True):
        maps = F.max_pool2d(F.conv2d(maps, conv.weight, conv.bias, padding=2).relu(), 3, 2)
        assert maps.shape[-1] == size
    torch.testing.assert_close(network(x), fc3(fc2(fc1(maps.flatten(1)).relu()).relu()))


@pytest.mark.parametrize(
    ("block", "order"),
    [
        (
            BasicBlock(2, 2, 1, 1, nn.Identity()),
            ["conv1", "behind1", "norm1", "conv2", "behind2", "norm2", "branch", "shortcut"],
        ),
        (
            PreActBasicBlock(2, 2, 1, 1),
            ["norm1", "conv1", "behind1", "norm2", "conv2", "behind2", "branch", "shortcut"],
        ),
        (
            PreActBottleneck(4, 4, 1, 1),
            ["norm1", "conv1", "norm2", "conv2", "behind2", "norm3", "conv3", "branch", "shortcut"],
        ),
    ],
    ids=["basic", "pre_activation", "pre_activation_bottleneck"],
)
def test_masks_stand_right_behind_the_conv_layer_and_in_front_of_the_norm(block: nn.Module, order: list[str]) -> None:
    reached: list[str] = []
    for name, child in block.named_children():
        child.register_forward_hook(lambda *_, name=name: reached.append(name))
    block(torch.zeros(2, block.get_submodule("conv1").weight.shape[1], 4, 4))
    assert reached == order


@cache
def walked(name: str) -> nn.Module:
    architecture, size, options = WALKED[name]
    torch.manual_seed(0)
    network = ARCHITECTURES[architecture](num_classes=3, in_channels=1, image_size=size, **options).eval()
    measure_sites(network, torch.zeros(1, 1, size, size))
    return network


@pytest.mark.parametrize("name", WALKED)
def test_the_next_layer_of_a_site_is_the_first_whose_input_changes_with_it(name: str) -> None:
    network = walked(name)
    sites = [site for site in sites_of(network) if site.next_layer is not None]
    for site in sites[:: max(1, len(sites) // 8)]:
        plain = inputs_of_layers(network)
        site.fill(Shift())
        shifted = inputs_of_layers(network)
        del site.fillings[-1]
        first = next(layer for layer, x in plain.items() if not torch.equal(x, shifted[layer]))
        assert first is site.next_layer, site.name


@pytest.mark.parametrize("name", ["conv_shortcut", "pre_activation", "resnet50-behind_norm", "preact_resnet50"])
def test_where_a_conv_layer_of_the_shortcut_reads_a_site_too_it_has_no_next_layer(name: str) -> None:
    sites = sites_of(walked(name), ["conv", "branch"])
    without = [site.name for site in sites if site.next_layer is None]
    ends = [site.name for site, behind in pairwise(sites) if site.group < behind.group]
    assert set(ends) <= set(without)
    assert {network_block(name) for name in without} == {network_block(name) for name in ends}


def inputs_of_layers(network: nn.Module) -> dict[WeightLayer, Tensor]:
    """What each conv and dense layer reads, in the order in which they are reached."""
    seen: dict[WeightLayer, Tensor] = {}

    def see(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        seen[layer] = inputs[0].clone()

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_pre_hook(see) for layer in layers]
    (size,) = {site.shape[-1] for site in sites_of(network, ["input"]) if site.shape}
    with torch.no_grad():
        network(torch.ones(1, 1, size, size))
    for handle in handles:
        handle.remove()
    return seen


def network_block(site_name: str) -> str:
    return site_name.rpartition(".")[0]


def test_sites_are_the_only_difference_from_the_plain_network() -> None:
    for name in WALKED:
        network = walked(name)
        (size,) = {site.shape[-1] for site in sites_of(network, ["input"]) if site.shape}
        x = torch.randn(2, 1, size, size)
        with_sites = network(x)
        kept = {site_name: module for site_name, module in network.named_modules() if isinstance(module, Site)}
        for site_name in kept:
            network.set_submodule(site_name, nn.Identity())
        assert torch.equal(network(x), with_sites)
        for site_name, site in kept.items():
            network.set_submodule(site_name, site)
