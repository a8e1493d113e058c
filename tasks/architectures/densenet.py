"""DenseNets as torchvision builds them, with sites (Huang et al. 2017, arXiv:1608.06993)."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn
from torchvision.models import densenet as torchvision_densenet

from tasks.architectures.residual import leave_out_conv_sites
from tasks.architectures.stems import Stem, check_size, first_conv, is_small
from tasks.sites import Site

STEM_BEHIND_CONV = ("norm0", "relu0", "pool0")  # torchvision's layers between the first conv layer and the blocks


class SitedDenseNet(nn.Sequential):
    """torchvision's DenseNet as a sequence of its own modules, so that its weights can be loaded.

    Sites: the input, and one conv site directly after the 3x3 conv layer of each dense layer, at the maps that it adds
    (Lu et al. 2021, figure 3 and section 5.3: after 3x3 conv layers, before BN and ReLU). BN and ReLU come before each
    conv layer: BN - ReLU - conv1x1 - BN - ReLU - conv3x3 - mask. All later layers of the block read these maps, so that
    the conv sites have no `next_layer`.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        small: whether the stem is a single 3x3 conv layer: without norm, since every block begins with one.
        growth_rate: maps that each layer adds.
        num_layers: of each dense block.
        num_stem_channels: channels of the first conv layer.
        first_group: the first dense block (from 1) that has conv sites.
        pooled_site: whether there is a dense site at the features that the dense layer reads.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        small: bool,
        growth_rate: int,
        num_layers: tuple[int, ...],
        num_stem_channels: int,
        first_group: int,
        pooled_site: bool,
    ) -> None:
        network = torchvision_densenet.DenseNet(
            growth_rate, num_layers, num_init_features=num_stem_channels, num_classes=num_classes
        )
        features, classifier = network.features, network.classifier
        if small or in_channels != features.conv0.in_channels:
            features.conv0 = first_conv(in_channels, num_stem_channels, small=small)
        for name in STEM_BEHIND_CONV if small else ():
            delattr(features, name)
        for group in range(1, len(num_layers) + 1):
            for layer in features.get_submodule(f"denseblock{group}").children():
                layer.behind = Site("conv", group=group)
                layer.register_forward_hook(_through_site)
        pooled = Site("dense", group=len(num_layers) + 1, next_layer=classifier) if pooled_site else nn.Identity()
        super().__init__(
            OrderedDict(
                input=Site("input", group=0, next_layer=features.conv0),
                features=features,
                relu=nn.ReLU(inplace=True),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                pooled=pooled,
                classifier=classifier,
            )
        )
        leave_out_conv_sites(self, first_group, len(num_layers))


class DenseNet121(SitedDenseNet):
    """Four dense blocks of 6, 12, 24 and 16 layers, each layer adding 32 maps.

    With the 3x3 stem: 6,956,298 parameters for colour images and 10 classes, 7,048,548 with 100; with the 7x7 stem and
    1000 classes 7,978,856, torchvision's. Sites: the input, and conv sites after the 3x3 conv layers, before the
    BN and ReLU of the layers that read them (Lu et al. 2021, figure 3).

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first block; `7x7` is torchvision's; `by_size` chooses.
        first_group: the first dense block (1 to 4) that has conv sites.
        pooled_site: whether there is a dense site at the 1024 features that the dense layer reads.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        stem: Stem = "by_size",
        first_group: int = 1,
        pooled_site: bool = False,
    ) -> None:
        small = is_small(stem, image_size)
        check_size("DenseNet121", image_size, stem)
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            small=small,
            growth_rate=32,
            num_layers=(6, 12, 24, 16),
            num_stem_channels=64,
            first_group=first_group,
            pooled_site=pooled_site,
        )


class DenseNetBC100Growth12(SitedDenseNet):
    """DenseNet-BC of 100 layers for small images: three dense blocks of 16 layers, each layer adding 12 maps.

    For colour images and 10 classes: 769,162 parameters (0.8 million in table 2 of Huang et al. 2017). Sites: the
    input, and conv sites after the 3x3 conv layers, before the BN and ReLU of the layers that read them.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 4; the last map has a quarter of it.
        first_group: the first dense block (1 to 3) that has conv sites.
        pooled_site: whether there is a dense site at the 342 features that the dense layer reads.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def __init__(
        self, *, num_classes: int, in_channels: int, image_size: int, first_group: int = 1, pooled_site: bool = False
    ) -> None:
        if image_size < 4:
            raise ValueError(f"DenseNetBC100Growth12 takes images of at least 4 pixels, got {image_size}.")
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            small=True,
            growth_rate=12,
            num_layers=(16, 16, 16),
            num_stem_channels=24,
            first_group=first_group,
            pooled_site=pooled_site,
        )


def _through_site(layer: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
    """Forward hook of a dense layer, which ends in its 3x3 conv layer: passes the output through the site.

    It takes the site from the layer, so that a copied layer uses its copied site.
    """
    masked: Tensor = layer.get_submodule("behind")(output)
    return masked
