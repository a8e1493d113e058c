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
        "resnet50": "tasks.architectures.resnet50:ResNet50",
        "preact_resnet18": "tasks.architectures.preact_resnet:PreActResNet18",
        "preact_resnet18_normalised": "tasks.architectures.normalised:preact_resnet18_normalised",
        "preact_resnet50": "tasks.architectures.preact_resnet:PreActResNet50",
        "densenet121": "tasks.architectures.densenet:DenseNet121",
        "densenet_bc_100_12": "tasks.architectures.densenet:DenseNetBC100Growth12",
        "dpn92": "tasks.architectures.dpn92:DPN92",
        "two_layer_mlp": "tasks.architectures.two_layer_mlp:two_layer_mlp",
        "two_layer_relu": "tasks.architectures.two_layer_relu:TwoLayerReLU",
    },
    fault_of="tasks.examination:fault_of_architecture",
)
