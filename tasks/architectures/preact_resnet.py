"""Pre-activation ResNets with 18 or 50 layers (He et al. 2016b, arXiv:1603.05027)."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tasks.architectures.preactivation import PreActBasicBlock, PreActBottleneck
from tasks.architectures.residual import ResidualNetwork, norm_and_relu, stages
from tasks.architectures.stems import Stem, check_size, residual_stem

STEM_CHANNELS = 64


class PreActResNet18(ResidualNetwork):
    """stem - 4 groups of 2 basic blocks with 64, 128, 256 and 512 channels - mean - dense.

    Sites: the input; one conv site right behind each 3x3 conv layer of a block, so that BN and ReLU follow the mask
    (Lu et al. 2021, figure 3: conv - mask - BN - ReLU); a branch site where the branch ends. With the 3x3 stem, for
    colour images and 10 classes: 11,171,146 parameters, and 11,172,170 with the last norm that the definition has and
    the form known from CIFAR-10 repositories leaves out (then the mean is over the sum of the last block as it is).

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first group; `7x7` leaves a quarter; `by_size` chooses.
        final_norm: whether BN and ReLU follow the last block.
        first_group: conv sites stand in this group (1 to 4) and those behind it.
        pooled_site: whether there is a dense site at the 512 features that the dense layer reads.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

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
        super().__init__(
            num_classes=num_classes,
            stem=residual_stem(stem, in_channels, STEM_CHANNELS, image_size, has_norm=False),
            blocks=stages(PreActBasicBlock, STEM_CHANNELS, (64, 128, 256, 512), (2, 2, 2, 2)),
            end=nn.Sequential(*norm_and_relu(512)) if final_norm else nn.Sequential(),
            num_features=512,
            num_groups=4,
            first_group=first_group,
            pooled_site=pooled_site,
        )


class PreActResNet50(ResidualNetwork):
    """stem - 4 groups of 3, 4, 6 and 3 bottlenecks with 256, 512, 1024 and 2048 channels - mean - dense.

    Sites: the input; one conv site right behind the 3x3 conv layer of each block, so that BN and ReLU follow the mask
    (Lu et al. 2021, figure 3, and section 5.3: 3x3 kernels only); a branch site where the branch ends. With the 3x3
    stem, for colour images and 10 classes: 23,509,066 parameters without the last norm.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 8 with the 3x3 stem and 32 with the 7x7 one.
        stem: `3x3` keeps the size of the image in the first group; `7x7` leaves a quarter; `by_size` chooses.
        final_norm: whether BN and ReLU follow the last block.
        first_group: conv sites stand in this group (1 to 4) and those behind it.
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
        final_norm: bool = False,
        first_group: int = 1,
        pooled_site: bool = False,
    ) -> None:
        check_size(type(self).__name__, image_size, stem)
        super().__init__(
            num_classes=num_classes,
            stem=residual_stem(stem, in_channels, STEM_CHANNELS, image_size, has_norm=False),
            blocks=stages(PreActBottleneck, STEM_CHANNELS, (256, 512, 1024, 2048), (3, 4, 6, 3)),
            end=nn.Sequential(*norm_and_relu(2048)) if final_norm else nn.Sequential(),
            num_features=2048,
            num_groups=4,
            first_group=first_group,
            pooled_site=pooled_site,
        )
