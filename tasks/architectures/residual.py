"""Shared parts of residual networks: blocks in stages, a head, and the layer that reads each site."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from tasks.sites import Site, WeightLayer


class Block(nn.Module, ABC):
    """One residual block: a branch, which starts with `conv1`, plus `shortcut` of the block's input."""

    conv1: nn.Conv2d
    shortcut: nn.Module

    @property
    @abstractmethod
    def ends(self) -> Sequence[Site]:
        """The sites of the branch with no weight layer after them: the next block reads them."""


MakeBlock = Callable[[int, int, int, int], Block]
"""(input channels, output channels, stride, group) -> a block."""


class ResidualNetwork(nn.Module):
    """input - stem - blocks - end - mean over the map - dense.

    Args:
        num_classes: number of outputs.
        stem: the layers before the first block.
        blocks: the residual blocks in order.
        end: the layers between the last block and the mean, such as a last norm and ReLU.
        num_features: output channels of `end`.
        num_groups: number of stages of blocks.
        first_group: conv sites of the groups before it are left out.
        pooled_site: whether the pooled features have a dense site.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        stem: nn.Module,
        blocks: Sequence[Block],
        end: nn.Module,
        num_features: int,
        num_groups: int,
        first_group: int,
        pooled_site: bool,
    ) -> None:
        super().__init__()
        self.input = Site("input", group=0, next_layer=next(m for m in stem.modules() if isinstance(m, nn.Conv2d)))
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.end = end
        classifier = nn.Linear(num_features, num_classes)
        self.pooled = Site("dense", group=num_groups + 1, next_layer=classifier) if pooled_site else nn.Identity()
        self.classifier = classifier
        link_ends([block.ends for block in blocks], [sole_reader(block) for block in blocks], classifier)
        leave_out_conv_sites(self, first_group, num_groups)
        he_initialise(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        maps = self.end(self.blocks(self.stem(self.input(x_BCHW))))
        scores: Tensor = self.classifier(self.pooled(maps.mean((2, 3))))
        return scores


def stages(make_block: MakeBlock, in_channels: int, channels: Sequence[int], num_blocks: Sequence[int]) -> list[Block]:
    """The blocks of all stages; the first block of each stage but the first halves the map.

    Args:
        make_block: makes one block.
        in_channels: output channels of the stem.
        channels: output channels of the blocks of each stage.
        num_blocks: number of blocks of each stage.
    """
    blocks = []
    for group, (out_channels, number) in enumerate(zip(channels, num_blocks, strict=True), start=1):
        for index in range(number):
            stride = 2 if group > 1 and index == 0 else 1
            blocks.append(make_block(in_channels, out_channels, stride, group))
            in_channels = out_channels
    return blocks


def sole_reader(block: Block) -> nn.Conv2d | None:
    """The only conv layer that reads a block's input; None where a conv layer of the shortcut reads it too."""
    return None if any(isinstance(module, nn.Conv2d) for module in block.shortcut.modules()) else block.conv1


def link_ends(ends: Iterable[Iterable[Site]], readers: Sequence[WeightLayer | None], classifier: nn.Linear) -> None:
    """Set `next_layer` of each block's end sites: the sole reader of the next block, or the classifier for the last.

    The output of a block also passes through the next block's shortcut, to later layers; its `next_layer` is the first
    weight layer that reads it, as in the released code of Tang et al. 2020.
    """
    for sites, reader in zip(ends, [*readers[1:], classifier], strict=True):
        for site in sites:
            site.next_layer = reader


def leave_out_conv_sites(network: nn.Module, first_group: int, num_groups: int) -> None:
    """Remove the conv sites of the groups before `first_group` from `network`; branch sites stay.

    Raises:
        ValueError: for a group that the network does not have.
    """
    if not 1 <= first_group <= num_groups:
        raise ValueError(f"first_group must be from 1 to {num_groups} (the groups of the network), got {first_group}.")
    for name, module in list(network.named_modules()):
        if isinstance(module, Site) and module.kind == "conv" and module.group < first_group:
            network.set_submodule(name, nn.Identity())


def he_initialise(network: nn.Module) -> None:
    """Draw conv weights from N(0, 2 / fan out), which keeps the size of gradients through ReLUs (He et al. 2015)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, *, groups: int = 1) -> nn.Conv2d:
    """A 3x3 conv layer that keeps the size of the map at stride 1, without bias, since a norm follows."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 conv layer without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


def norm_and_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    """Batch norm and a ReLU in place, which is safe: the backward pass of batch norm does not need its output."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
