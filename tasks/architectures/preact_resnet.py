"""Pre-activation ResNets with 18 or 50 layers (He et al. 2016b, arXiv:1603.05027)."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tasks.architectures.preactivation import PreActBasicBlock, PreActBottleneck
from tasks.architectures.residual import ResidualNetwork, norm_and_relu, stages
from tasks.architectures.stems import Stem, check_size, residual_stem

STEM_CHANNELS = 64


class _PreActResNet(ResidualNetwork):
    """The common part of both networks, which document the arguments."""

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    block: ClassVar[type[PreActBasicBlock | PreActBottleneck]]
    channels: ClassVar[tuple[int, ...]]  # output channels of the blocks of each group
    num_blocks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        stem: Stem = "by_size",
        final_norm: bool = False,
        first_group: int = 1,
        pooled_site: bool = False,
    ) -> None:
        check_size(type(self).__name__, image_size, stem)
        num_features = self.channels[-1]
        super().__init__(
            num_classes=num_classes,
            stem=residual_stem(stem, in_channels, STEM_CHANNELS, image_size, has_norm=False),
            blocks=stages(self.block, STEM_CHANNELS, self.channels, self.num_blocks),
            end=nn.Sequential(*norm_and_relu(num_features)) if final_norm else nn.Sequential(),
            num_features=num_features,
            num_groups=len(self.channels),
            first_group=first_group,
            pooled_site=pooled_site,
        )


class PreActResNet18(_PreActResNet):
    """stem - 4 groups of 2 basic blocks with 64, 128, 256 and 512 channels - mean - dense.

    Sites: the input; one conv site directly after each 3x3 conv layer of a block, so that BN and ReLU follow the mask
    (Lu et al. 2021, figure 3: conv - mask - BN - ReLU); a branch site where the branch ends. With the 3x3 stem, for
    colour images and 10 classes: 11,171,146 parameters; with `final_norm` 11,172,170. He et al. have the final norm;
    public CIFAR-10 repositories leave it out and average the output of the last block.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first group; `7x7` leaves a quarter; `by_size` chooses.
        final_norm: whether BN and ReLU follow the last block.
        first_group: the first group (1 to 4) that has conv sites.
        pooled_site: whether there is a dense site at the 512 features that the dense layer reads.
    """

    block = PreActBasicBlock
    channels = (64, 128, 256, 512)
    num_blocks = (2, 2, 2, 2)


class PreActResNet50(_PreActResNet):
    """stem - 4 groups of 3, 4, 6 and 3 bottlenecks with 256, 512, 1024 and 2048 channels - mean - dense.

    Sites: the input; one conv site directly after the 3x3 conv layer of each block, so that BN and ReLU follow the mask
    (Lu et al. 2021, figure 3, and section 5.3: 3x3 kernels only); a branch site where the branch ends. With the 3x3
    stem, for colour images and 10 classes: 23,509,066 parameters without the last norm.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first group; `7x7` leaves a quarter; `by_size` chooses.
        final_norm: whether BN and ReLU follow the last block.
        first_group: the first group (1 to 4) that has conv sites.
        pooled_site: whether there is a dense site at the 2048 features that the dense layer reads.
    """

    block = PreActBottleneck
    channels = (256, 512, 1024, 2048)
    num_blocks = (3, 4, 6, 3)
