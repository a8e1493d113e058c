"""LeNet with a top dense layer of any width (Mianjy and Arora 2020, section 6; widths of LeCun et al. 1998)."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.sites import Site, chain_next_layers


class LeNet(nn.Module):
    """conv6 5x5 - pool - conv16 5x5 - pool - dense 120 - dense m - dense K, ReLU after all but the last.

    The paper drops units of the last hidden layer (width m) only; there are sites after every ReLU, and the regularizer
    chooses among them. For 28x28 images with one channel and ten classes: 33,422 + 131 m parameters.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width, at least 16 (28 in the paper).
        width: m, units of the last hidden layer.
    """

    def __init__(self, *, num_classes: int, in_channels: int, image_size: int, width: int = 500) -> None:
        super().__init__()
        map_size = ((image_size - 4) // 2 - 4) // 2
        if map_size < 1:
            raise ValueError(f"LeNet takes images of at least 16 pixels, got {image_size}.")
        self.input = Site("input", group=0)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5),
            nn.ReLU(),
            Site("conv", group=1),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            Site("conv", group=2),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * map_size**2, 120),
            nn.ReLU(),
            Site("dense", group=3),
            nn.Linear(120, width),
            nn.ReLU(),
            Site("dense", group=4),
            nn.Linear(width, num_classes),
        )
        chain_next_layers(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        scores: Tensor = self.classifier(self.features(self.input(x_BCHW)))
        return scores
