"""Multi-layer perceptron on flattened images."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.sites import Site, chain_next_layers


class MLP(nn.Module):
    """input - (dense - ReLU) x depth - dense, with a dense site after each ReLU.

    Args:
        num_classes: number of outputs.
        in_channels, image_size: shape of one input, flattened to in_channels * image_size^2 features.
        width: units of each hidden layer.
        depth: hidden layers.
    """

    def __init__(
        self, *, num_classes: int, in_channels: int, image_size: int, width: int = 128, depth: int = 2
    ) -> None:
        super().__init__()
        fan_in = in_channels * image_size**2
        self.input = Site("input", group=0)
        layers: list[nn.Module] = [nn.Flatten()]
        for group in range(1, depth + 1):
            layers += [nn.Linear(fan_in, width), nn.ReLU(), Site("dense", group=group)]
            fan_in = width
        self.layers = nn.Sequential(*layers, nn.Linear(fan_in, num_classes))
        chain_next_layers(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        scores: Tensor = self.layers(self.input(x_BCHW))
        return scores
