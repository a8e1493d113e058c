"""One hidden layer of 100 ReLU units, the network of the thesis's experiments with attacks on MNIST."""

from __future__ import annotations

from tasks.architectures.mlp import MLP


def two_layer_mlp(*, num_classes: int, in_channels: int, image_size: int, width: int = 100) -> MLP:
    """Input - dense - ReLU - dense, with a dense site at the hidden units (Mianjy's thesis, section 6.5.2).

    For 28x28 images with one channel: 78,702 parameters with two outputs, 78,601 with one (the margin of two classes).

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images.
        width: hidden units.
    """
    return MLP(num_classes=num_classes, in_channels=in_channels, image_size=image_size, width=width, depth=1)
