"""ResNet-50 as torchvision builds it, with sites (He et al. 2016a, arXiv:1512.03385, table 1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from tasks.architectures.residual import leave_out_conv_sites, link_ends
from tasks.architectures.stems import Stem, first_conv, is_small
from tasks.sites import Site

NUM_BLOCKS = (3, 4, 6, 3)

Places = Literal["behind_conv", "behind_norm"]


class ResNet50(nn.Sequential):
    """torchvision's ResNet-50 as a sequence of its own modules, so that its weights can be loaded.

    With the 3x3 stem: 23,520,842 parameters for colour images and 10 classes, 23,705,252 with 100; with the 7x7 stem
    and 1000 classes 25,557,032, torchvision's. Sites: the input; a branch site where the branch of a block ends; and
    conv sites in one of two sets of `places`:

    * `behind_conv`: directly after the 3x3 conv layer of each block, before its BN and ReLU (Lu et al. 2021, figure
      3: conv - mask - BN - ReLU; section 5.3: 3x3 kernels only).
    * `behind_norm`: after BN and ReLU of the first and the second conv layer, after BN of the third, and on the
      shortcut (Ghiasi et al. 2018, section 4.1 and their released code; Tang et al. 2020, experiments on ImageNet).
      They use the last two groups (`first_group=3`), with a quarter of the drop rate in group 3.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images.
        stem: `3x3` keeps the size of the image up to the second group; `7x7` is torchvision's; `by_size` chooses.
        places: see above.
        first_group: the first group (1 to 4) that has conv sites.
        pooled_site: whether there is a dense site at the 2048 features that the dense layer reads.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        stem: Stem = "by_size",
        places: Places = "behind_conv",
        first_group: int = 1,
        pooled_site: bool = False,
    ) -> None:
        if places not in get_args(Places):
            raise ValueError(f"ResNet50.places must be one of {', '.join(get_args(Places))}, got {places!r}.")
        small = is_small(stem, image_size)
        network = ResNet(SitedBottleneck, list(NUM_BLOCKS), num_classes=num_classes)
        if small or in_channels != network.conv1.in_channels:
            network.conv1 = first_conv(in_channels, network.conv1.out_channels, small=small)
        if small:
            network.maxpool = nn.Identity()
        _place_sites(network, places)
        parts = dict(network.named_children())
        classifier = parts.pop("fc")
        pooled = Site("dense", group=len(NUM_BLOCKS) + 1, next_layer=classifier) if pooled_site else nn.Identity()
        super().__init__(
            OrderedDict(
                input=Site("input", group=0, next_layer=network.conv1),
                **parts,
                flatten=nn.Flatten(),
                pooled=pooled,
                fc=classifier,
            )
        )
        leave_out_conv_sites(self, first_group, len(NUM_BLOCKS))


class SitedBottleneck(Bottleneck):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's bottleneck with a module for every possible site: the identity, until `place` sets a site."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.active1: nn.Module = nn.Identity()
        self.behind2: nn.Module = nn.Identity()
        self.active2: nn.Module = nn.Identity()
        self.normed3: nn.Module = nn.Identity()
        self.branch: nn.Module = nn.Identity()
        self.skip: nn.Module = nn.Identity()

    def place(self, places: Places, group: int) -> None:
        """Put conv sites at `places`, and a branch site."""
        if places == "behind_conv":
            self.behind2 = Site("conv", group=group, next_layer=self.conv3)
        else:
            self.active1 = Site("conv", group=group, next_layer=self.conv2)
            self.active2 = Site("conv", group=group, next_layer=self.conv3)
            self.normed3 = Site("conv", group=group)
            self.skip = Site("conv", group=group)
        self.branch = Site("branch", group=group)

    @property
    def ends(self) -> Iterator[Site]:
        """The sites that the next block reads."""
        return (place for place in (self.normed3, self.branch, self.skip) if isinstance(place, Site))

    def forward(self, x: Tensor) -> Tensor:
        """What torchvision's bottleneck computes, passing through the sites."""
        y = self.active1(self.relu(self.bn1(self.conv1(x))))
        y = self.active2(self.relu(self.bn2(self.behind2(self.conv2(y)))))
        y = self.branch(self.normed3(self.bn3(self.conv3(y))))
        shortcut = self.skip(x if self.downsample is None else self.downsample(x))
        activated: Tensor = self.relu(y + shortcut)
        return activated


def _place_sites(network: Any, places: Places) -> None:
    """Add sites to all blocks of torchvision's network, and link each to the layers that read it."""
    stages = (network.layer1, network.layer2, network.layer3, network.layer4)
    for group, stage in enumerate(stages, start=1):
        for block in stage:
            block.place(places, group)
    blocks = [block for stage in stages for block in stage]
    readers = [block.conv1 if block.downsample is None else None for block in blocks]
    link_ends([block.ends for block in blocks], readers, network.fc)
