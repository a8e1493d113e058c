"""Networks with sites: `ARCHITECTURES[name](num_classes=..., in_channels=..., image_size=...)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.table import Table

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: Table[Callable[..., nn.Module]] = Table(
    "architecture",
    "regarena.architectures",
    {
        "convnet_small": "tasks.architectures.convnet_small:ConvNetSmall",
        "mlp": "tasks.architectures.mlp:MLP",
        "lenet": "tasks.architectures.lenet:LeNet",
        "zhai_cnn": "tasks.architectures.zhai_cnn:ZhaiCNN",
        "resnet56": "tasks.architectures.resnet56:ResNet56",
    },
)
