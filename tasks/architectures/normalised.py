"""Networks that take grey levels from 0 to 1 and normalise them inside, as is usual for adversarial attacks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.architectures.preact_resnet import PreActResNet18

CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


class Normalised(nn.Module):
    """f((x - mean) / std) for a network f, channel by channel; its sites are those of f.

    Args:
        network: f.
        mean, std: of each channel, in the units of x.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Outputs (B, K) of images (B, C, H, W)."""
        outputs: Tensor = self.network((x_BCHW - self.mean) / self.std)
        return outputs


def preact_resnet18_normalised(*, num_classes: int, in_channels: int, image_size: int) -> Normalised:
    """PreActResNet-18 with a final norm, which first normalises images by the mean and std of CIFAR-10's channels.

    For colour images and 10 classes: 11,172,170 parameters (Mianjy's thesis, section 6.5.3, which follows Rice et al.
    2020). Train it with the preprocessing `unit`.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images; unless there are 3, each is normalised by the average of the three.
        image_size: height and width of the images, at least 8.
    """
    network = PreActResNet18(num_classes=num_classes, in_channels=in_channels, image_size=image_size, final_norm=True)
    if in_channels == 3:
        return Normalised(network, CIFAR10_MEAN, CIFAR10_STD)
    mean, std = (sum(values) / len(values) for values in (CIFAR10_MEAN, CIFAR10_STD))
    return Normalised(network, (mean,) * in_channels, (std,) * in_channels)
