"""A site knows the layer that reads it, without owning it."""

from __future__ import annotations

from torch import nn

from tasks.architectures.convnet_small import ConvNetSmall


def test_each_site_of_a_chain_knows_the_layer_behind_it() -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    assert network.input.next_layer is network.stem[0]
    assert network.joined.next_layer is network.classifier[2]
    assert network.classifier[4].next_layer is network.classifier[5]


def test_the_layer_behind_a_site_is_not_registered_twice() -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    names = [name for name, _ in network.named_modules(remove_duplicate=False)]
    assert not [name for name in names if "next_layer" in name]
    assert all(isinstance(child, nn.ModuleList) for child in network.input.children())
