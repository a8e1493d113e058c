"""A small conv net for 8x8 to 32x32 images: two conv layers, the second on a residual branch, and one dense layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.sites import Site, chain_next_layers


class ConvNetSmall(nn.Module):
    """conv3x3 - ReLU - [x + conv3x3(x)] - ReLU - maxpool2 - dense - ReLU - dense.

    It has a site of every kind that an image network can have: the input, a conv site after each ReLU of the maps, a
    branch site on the residual branch, and a dense site; so every regularizer can be tried on it in seconds.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images; even, at least 4.
        channels: of both conv layers.
        width: units of the dense layer.
    """

    def __init__(
        self, *, num_classes: int, in_channels: int, image_size: int, channels: int = 16, width: int = 64
    ) -> None:
        super().__init__()
        if image_size < 4 or image_size % 2:
            raise ValueError(f"ConvNetSmall takes images of even size >= 4, got {image_size}.")
        self.input = Site("input", group=0)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(), Site("conv", group=1))
        self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), Site("branch", group=2))
        self.joined = Site("conv", group=2)
        self.classifier = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(channels * (image_size // 2) ** 2, width),
            nn.ReLU(),
            Site("dense", group=3),
            nn.Linear(width, num_classes),
        )
        chain_next_layers(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        x = self.stem(self.input(x_BCHW))
        x = self.joined(torch.relu(x + self.branch(x)))
        scores: Tensor = self.classifier(x)
        return scores
