"""ResNet-56 for small images (He et al. 2016a, arXiv:1512.03385, section 4.2), in three forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from tasks.architectures.preactivation import PreActBasicBlock
from tasks.architectures.residual import Block, MakeBlock, ResidualNetwork, conv1x1, conv3x3, norm_and_relu, stages
from tasks.sites import Site

CHANNELS = (16, 32, 64)
NUM_BLOCKS = 9  # in each group, of two conv layers each; with the first and the dense one: 56 layers

Variant = Literal["option_a", "conv_shortcut", "pre_activation"]


class ResNet56(ResidualNetwork):
    """conv3x3 - 3 groups of 9 blocks of two 3x3 conv layers with 16, 32 and 64 channels - mean - dense.

    Sites: the input; one conv site directly after each conv layer of a block (Tang et al. 2020, experiments on conv
    layers, which use the last group only: `first_group=3`); a branch site where the branch ends. BN and ReLU follow the
    mask, as in figure 3 of Lu et al. 2021: conv - mask - BN - ReLU. Variants, with their numbers of parameters for
    colour images and 10 classes:

    * `option_a` (853,018): BN and ReLU after each conv layer; where the shape changes, the shortcut takes every second
      pixel and fills the new channels with zeros (He et al. 2016a, option A).
    * `conv_shortcut` (855,770): the same with a 1x1 conv layer and BN as shortcut where the shape changes (option B).
    * `pre_activation` (855,578): BN and ReLU before each conv layer, a bare 1x1 conv shortcut, and a last BN and
      ReLU (He et al. 2016b), as in the released code of Tang et al. 2020.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 4; the last map has a quarter of it.
        variant: see above.
        blocks_per_group: n for a network of 6 n + 2 layers.
        channel_divisor: divides the channels of all groups, for a smaller network.
        first_group: the first group (1 to 3) that has conv sites.
        pooled_site: whether there is a dense site at the 64 features that the dense layer reads.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        variant: Variant = "option_a",
        blocks_per_group: int = NUM_BLOCKS,
        channel_divisor: int = 1,
        first_group: int = 1,
        pooled_site: bool = False,
    ) -> None:
        if image_size < 4:
            raise ValueError(f"ResNet56 takes images of at least 4 pixels, got {image_size}.")
        if variant not in BLOCKS:
            raise ValueError(f"ResNet56.variant must be one of {', '.join(BLOCKS)}, got {variant!r}.")
        if blocks_per_group < 1:
            raise ValueError(f"ResNet56.blocks_per_group must be at least 1, got {blocks_per_group}.")
        if not 1 <= channel_divisor <= min(CHANNELS):
            raise ValueError(f"ResNet56.channel_divisor must be from 1 to {min(CHANNELS)}, got {channel_divisor}.")
        channels = tuple(full // channel_divisor for full in CHANNELS)
        stem: list[nn.Module] = [conv3x3(in_channels, channels[0])]
        end: list[nn.Module] = []
        if variant == "pre_activation":  # blocks begin with norm and ReLU; none of them follows the last sum
            end += norm_and_relu(channels[-1])
        else:
            stem += norm_and_relu(channels[0])
        super().__init__(
            num_classes=num_classes,
            stem=nn.Sequential(*stem),
            blocks=stages(BLOCKS[variant], channels[0], channels, (blocks_per_group,) * len(channels)),
            end=nn.Sequential(*end),
            num_features=channels[-1],
            num_groups=len(channels),
            first_group=first_group,
            pooled_site=pooled_site,
        )


class BasicBlock(Block):
    """ReLU(shortcut(x) + site(BN(site(conv3x3(ReLU(BN(site(conv3x3(x))))))))): He et al. 2016a, figure 5 left."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, group: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        conv2 = conv3x3(out_channels, out_channels)
        self.behind1 = Site("conv", group=group, next_layer=conv2)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv2
        self.behind2 = Site("conv", group=group)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.branch = Site("branch", group=group)
        self.shortcut = shortcut

    @property
    def ends(self) -> Sequence[Site]:
        """Both sites after the second conv layer."""
        return (self.behind2, self.branch)

    def forward(self, x: Tensor) -> Tensor:
        """The sum after ReLU."""
        y = F.relu(self.norm1(self.behind1(self.conv1(x))), inplace=True)
        y = self.branch(self.norm2(self.behind2(self.conv2(y))))
        return F.relu(y + self.shortcut(x), inplace=True)


class PaddedShortcut(nn.Module):
    """Every second pixel, with zeros in the added channels."""

    def __init__(self, num_new_channels: int) -> None:
        super().__init__()
        self.num_new_channels = num_new_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + new, ceil(H / 2), ceil(W / 2))."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.num_new_channels))


def _padded(in_channels: int, out_channels: int, stride: int, group: int) -> Block:
    shortcut = nn.Identity() if stride == 1 else PaddedShortcut(out_channels - in_channels)
    return BasicBlock(in_channels, out_channels, stride, group, shortcut)


def _projected(in_channels: int, out_channels: int, stride: int, group: int) -> Block:
    shortcut = nn.Sequential()  # the identity
    if stride > 1:
        shortcut = nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))
    return BasicBlock(in_channels, out_channels, stride, group, shortcut)


BLOCKS: Mapping[str, MakeBlock] = {
    "option_a": _padded,
    "conv_shortcut": _projected,
    "pre_activation": PreActBasicBlock,
}
