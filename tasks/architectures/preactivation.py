"""Residual blocks with norm and ReLU before each conv layer (He et al. 2016b, arXiv:1603.05027, figure 4e)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tasks.architectures.residual import Block, conv1x1, conv3x3
from tasks.sites import Site

EXPANSION = 4  # of the channels, from the inner layers of a bottleneck to its output


class PreActBasicBlock(Block):
    """x + site(conv3x3(ReLU(BN(site(conv3x3(ReLU(BN(x)))))))).

    A site is directly after each conv layer, so that BN and ReLU follow the mask: conv - mask - BN - ReLU - conv. Where
    the shape changes, the shortcut is a 1x1 conv layer without norm that reads ReLU(BN(x)), as in He et al. 2016b.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, group: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        conv2 = conv3x3(out_channels, out_channels)
        self.behind1 = Site("conv", group=group, next_layer=conv2)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv2
        self.behind2 = Site("conv", group=group)
        self.branch = Site("branch", group=group)
        self.shortcut = _bare_shortcut(in_channels, out_channels, stride)

    @property
    def ends(self) -> Sequence[Site]:
        """Both sites after the second conv layer."""
        return (self.behind2, self.branch)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, without a last activation."""
        activated = F.relu(self.norm1(x), inplace=True)
        y = self.behind1(self.conv1(activated))
        y = self.behind2(self.conv2(F.relu(self.norm2(y), inplace=True)))
        return _add(self.branch(y), x, activated, self.shortcut)


class PreActBottleneck(Block):
    """x + conv1x1(ReLU(BN(site(conv3x3(ReLU(BN(conv1x1(ReLU(BN(x)))))))))).

    A site is directly after the 3x3 conv layer, so that BN and ReLU follow the mask; 1x1 layers have none (Lu et al.
    2021, figure 3 and section 5.3). The shortcut is that of the basic block.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, group: int) -> None:
        super().__init__()
        width = out_channels // EXPANSION
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv1x1(in_channels, width)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        conv3 = conv1x1(width, out_channels)
        self.behind2 = Site("conv", group=group, next_layer=conv3)
        self.norm3 = nn.BatchNorm2d(width)
        self.conv3 = conv3
        self.branch = Site("branch", group=group)
        self.shortcut = _bare_shortcut(in_channels, out_channels, stride)

    @property
    def ends(self) -> Sequence[Site]:
        """The branch site."""
        return (self.branch,)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, without a last activation."""
        activated = F.relu(self.norm1(x), inplace=True)
        y = self.conv1(activated)
        y = self.behind2(self.conv2(F.relu(self.norm2(y), inplace=True)))
        y = self.conv3(F.relu(self.norm3(y), inplace=True))
        return _add(self.branch(y), x, activated, self.shortcut)


def _bare_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv1x1(in_channels, out_channels, stride)


def _add(y: Tensor, x: Tensor, activated: Tensor, shortcut: nn.Module) -> Tensor:
    """Branch plus shortcut; a conv layer as shortcut reads the activated input, the identity the input itself."""
    total: Tensor = y + shortcut(activated if isinstance(shortcut, nn.Conv2d) else x)
    return total
