"""DPN-92: blocks that add to some channels and append others (Chen et al. 2017, arXiv:1707.01629)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.architectures.residual import Block, ResidualNetwork, conv1x1, conv3x3
from tasks.architectures.stems import Stem, check_size, residual_stem
from tasks.sites import Site

STEM_CHANNELS = 64
CARDINALITY = 32  # groups of the 3x3 conv layers


class Stage(NamedTuple):
    """Channels of the blocks of one group, and the number of its blocks."""

    inner: int  # channels of the first two conv layers
    residual: int  # channels to which each block adds
    appended: int  # channels that each block appends
    num_blocks: int


STAGES = (Stage(96, 256, 16, 3), Stage(192, 512, 32, 4), Stage(384, 1024, 24, 20), Stage(768, 2048, 128, 3))


class DPN92(ResidualNetwork):
    """stem - 4 groups of 3, 4, 20 and 3 dual path blocks - mean - dense.

    Norm and ReLU follow each conv layer, as in public CIFAR-10 repositories (in Chen et al. they come before it). With
    the 3x3 stem, for colour images and 10 classes: 34,236,634 parameters, 34,467,124 with 100. Sites: the input; one
    conv site directly after the 3x3 conv layer of each block, before BN and ReLU (Lu et al. 2021, figure 3: conv - mask
    - BN - ReLU); a branch site at the channels that are added, without the appended ones.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first group; `7x7` leaves a quarter (Chen et al., table 1);
            `by_size` chooses.
        first_group: the first group (1 to 4) that has conv sites.
        pooled_site: whether there is a dense site at the 2560 features that the dense layer reads.
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
        check_size(type(self).__name__, image_size, stem)
        blocks: list[DualPathBlock] = []
        channels = STEM_CHANNELS
        for group, stage in enumerate(STAGES, start=1):
            for index in range(stage.num_blocks):
                blocks.append(DualPathBlock(channels, stage, group, is_first=index == 0))
                channels = blocks[-1].out_channels
        super().__init__(
            num_classes=num_classes,
            stem=residual_stem(stem, in_channels, STEM_CHANNELS, image_size, has_norm=True),
            blocks=blocks,
            end=nn.Sequential(),
            num_features=channels,
            num_groups=len(STAGES),
            first_group=first_group,
            pooled_site=pooled_site,
        )


class DualPathBlock(Block):
    """ReLU([s_r + site(y_r), s_a, y_a]) with y = BN(conv1x1(ReLU(BN(site(conv3x3(ReLU(BN(conv1x1(x))))))))).

    s is the shortcut's output, r the first `residual` channels and a the others. The first block of a group has a 1x1
    conv layer and BN as shortcut, which also changes the size; in the others it is the identity.
    """

    def __init__(self, in_channels: int, stage: Stage, group: int, *, is_first: bool) -> None:
        super().__init__()
        stride = 2 if is_first and group > 1 else 1
        new_channels = stage.residual + stage.appended
        self.num_residual = stage.residual
        self.out_channels = (new_channels if is_first else in_channels) + stage.appended
        self.conv1 = conv1x1(in_channels, stage.inner)
        self.norm1 = nn.BatchNorm2d(stage.inner)
        self.conv2 = conv3x3(stage.inner, stage.inner, stride, groups=CARDINALITY)
        conv3 = conv1x1(stage.inner, new_channels)
        self.behind2 = Site("conv", group=group, next_layer=conv3)
        self.norm2 = nn.BatchNorm2d(stage.inner)
        self.conv3 = conv3
        self.norm3 = nn.BatchNorm2d(new_channels)
        self.branch = Site("branch", group=group)
        self.shortcut = nn.Sequential()  # the identity
        if is_first:
            self.shortcut = nn.Sequential(conv1x1(in_channels, new_channels, stride), nn.BatchNorm2d(new_channels))

    @property
    def ends(self) -> Sequence[Site]:
        """Empty: the next block reads the branch concatenated with other channels, so that no single layer reads it."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """The maps after ReLU: first the sum, then the other channels of the shortcut, then the appended ones."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = F.relu(self.norm2(self.behind2(self.conv2(y))), inplace=True)
        y = self.norm3(self.conv3(y))
        shortcut, r = self.shortcut(x), self.num_residual
        added = shortcut[:, :r] + self.branch(y[:, :r])
        return F.relu(torch.cat([added, shortcut[:, r:], y[:, r:]], 1), inplace=True)
