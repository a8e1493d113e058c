"""Three 5x5 conv layers and two wide dense ones: the first model of Lu et al. 2021, from Zhai and Wang 2018."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from tasks.sites import Site, chain_next_layers

CHANNELS = (96, 128, 256)
MIN_IMAGE_SIZE = 15  # the smallest from which three poolings leave one pixel

LastMap = Literal["conv", "dense"]
Places = Literal["all", "dense"]


class ZhaiCNN(nn.Module):
    """[conv 5x5 - ReLU - maxpool 3x3, stride 2] of 96, 128 and 256 channels, then dense 2048, dense 2048, dense K.

    Pooling is not padded: 32 pixels become 15, 7 and 3, so that the first dense layer reads 2304 features. There is no
    batch norm. Sites are after ReLU and pooling, directly before the layer that reads them (Zhai and Wang 2018, section
    4: dropout before every conv and dense layer and on the input). Tang et al. 2020 distort the outputs of the dense
    layers. For 32x32 colour images: 10,071,562 parameters with 10 classes, 10,255,972 with 100.

    Weights have the uniform initialisation of Glorot and Bengio 2010; biases start at 0.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images, at least 15.
        width: units of each dense layer (Lu et al. 2021, figure 1a).
        channel_divisor: divides the channels of the conv layers, for a smaller network.
        last_map: kind of the site after the third pooling: `conv` as in Lu et al. 2021, who drop blocks after all three
            conv layers; `dense` as in Zhai and Wang 2018, who treat the input of the first dense layer as dense units
            (with the keep rate 0.5 of these).
        places: `all` sites, or only those after `dense` layers, as in table 1 of Tang et al. 2020 and the part of Zhai
            and Wang's table 2 that it repeats.
    """

    example_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: int = 2048,
        channel_divisor: int = 1,
        last_map: LastMap = "conv",
        places: Places = "all",
    ) -> None:
        super().__init__()
        if image_size < MIN_IMAGE_SIZE:
            raise ValueError(f"ZhaiCNN takes images of at least {MIN_IMAGE_SIZE} pixels, got {image_size}.")
        if last_map not in get_args(LastMap):
            raise ValueError(f"ZhaiCNN.last_map must be one of {', '.join(get_args(LastMap))}, got {last_map!r}.")
        if places not in get_args(Places):
            raise ValueError(f"ZhaiCNN.places must be one of {', '.join(get_args(Places))}, got {places!r}.")
        everywhere = places == "all"
        if not 1 <= channel_divisor <= min(CHANNELS):
            raise ValueError(f"ZhaiCNN.channel_divisor must be from 1 to {min(CHANNELS)}, got {channel_divisor}.")
        self.input: nn.Module = Site("input", group=0) if everywhere else nn.Identity()
        layers: list[nn.Module] = []
        fan_in, map_size = in_channels, image_size
        for group, full in enumerate(CHANNELS, start=1):
            channels = full // channel_divisor
            layers += [nn.Conv2d(fan_in, channels, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2)]
            if everywhere and (group < len(CHANNELS) or last_map == "conv"):
                layers.append(Site("conv", group=group))
            fan_in, map_size = channels, (map_size - 3) // 2 + 1
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            *([Site("dense", group=3)] if everywhere and last_map == "dense" else []),
            nn.Linear(fan_in * map_size**2, width),
            nn.ReLU(inplace=True),
            Site("dense", group=4),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            Site("dense", group=5),
            nn.Linear(width, num_classes),
        )
        chain_next_layers(self)
        _glorot(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        scores: Tensor = self.classifier(self.features(self.input(x_BCHW)))
        return scores


def _glorot(network: nn.Module) -> None:
    """Draw all weights from U(-a, a) with a = sqrt(6 / (fan in + fan out))."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
