"""The subject: what is measured. torch only; nothing here knows Ray, Optuna, Arrow or pandas.

Package `__init__` files hold tables and prose, never behaviour: importing them must not import torch, and the
code version of a trial leaves them out, so that a new line in a table does not make old trials stale.

Legend of shape letters at the end of tensor names: B batch, C channels, H height, W width, D features of a dense
layer or hidden units, O output units, K classes, L number of sites or layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.table import Table

if TYPE_CHECKING:
    from tasks.task import Task

TASKS: Table[Task] = Table(
    "task",
    "regarena.tasks",
    {
        "digits-convnet": "tasks.experiments.demos.tasks:DIGITS_CONVNET",
        "digits-mlp": "tasks.experiments.demos.tasks:DIGITS_MLP",
        "mnist-lenet": "tasks.experiments.demos.tasks:MNIST_LENET",
        "fashion-lenet": "tasks.experiments.demos.tasks:FASHION_LENET",
        "cifar10-zhai": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI",
        "cifar100-zhai": "tasks.experiments.localdrop.tasks:CIFAR100_ZHAI",
        "cifar10-zhai-width-200": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI_WIDTH_200",
        "cifar10-zhai-width-400": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI_WIDTH_400",
        "cifar10-zhai-width-800": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI_WIDTH_800",
        "cifar10-zhai-width-1600": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI_WIDTH_1600",
        "cifar10-fcn": "tasks.experiments.localdrop.tasks:CIFAR10_FCN",
        "cifar10-resnet50": "tasks.experiments.localdrop.tasks:CIFAR10_RESNET50",
        "cifar100-resnet50": "tasks.experiments.localdrop.tasks:CIFAR100_RESNET50",
        "imagenet-resnet50": "tasks.experiments.localdrop.tasks:IMAGENET_RESNET50",
        "cifar10-preact_resnet18": "tasks.experiments.localdrop.tasks:CIFAR10_PREACT_RESNET18",
        "cifar100-preact_resnet18": "tasks.experiments.localdrop.tasks:CIFAR100_PREACT_RESNET18",
        "imagenet-preact_resnet18": "tasks.experiments.localdrop.tasks:IMAGENET_PREACT_RESNET18",
        "cifar10-densenet121": "tasks.experiments.localdrop.tasks:CIFAR10_DENSENET121",
        "cifar100-densenet121": "tasks.experiments.localdrop.tasks:CIFAR100_DENSENET121",
        "imagenet-densenet121": "tasks.experiments.localdrop.tasks:IMAGENET_DENSENET121",
        "cifar10-dpn92": "tasks.experiments.localdrop.tasks:CIFAR10_DPN92",
        "cifar100-dpn92": "tasks.experiments.localdrop.tasks:CIFAR100_DPN92",
        "imagenet-dpn92": "tasks.experiments.localdrop.tasks:IMAGENET_DPN92",
        "cifar10-resnet50-augmented": "tasks.experiments.localdrop.tasks:CIFAR10_RESNET50_AUGMENTED",
        "cifar100-resnet50-augmented": "tasks.experiments.localdrop.tasks:CIFAR100_RESNET50_AUGMENTED",
        "cifar10-preact_resnet18-augmented": "tasks.experiments.localdrop.tasks:CIFAR10_PREACT_RESNET18_AUGMENTED",
        "cifar100-preact_resnet18-augmented": "tasks.experiments.localdrop.tasks:CIFAR100_PREACT_RESNET18_AUGMENTED",
        "cifar10-densenet121-augmented": "tasks.experiments.localdrop.tasks:CIFAR10_DENSENET121_AUGMENTED",
        "cifar100-densenet121-augmented": "tasks.experiments.localdrop.tasks:CIFAR100_DENSENET121_AUGMENTED",
        "cifar10-dpn92-augmented": "tasks.experiments.localdrop.tasks:CIFAR10_DPN92_AUGMENTED",
        "cifar100-dpn92-augmented": "tasks.experiments.localdrop.tasks:CIFAR100_DPN92_AUGMENTED",
        "cifar10-zhai-narrow": "tasks.experiments.localdrop.tasks:CIFAR10_ZHAI_NARROW",
        "cifar10-zhai-tang": "tasks.experiments.distortion.tasks:CIFAR10_ZHAI_TANG",
        "cifar100-zhai-tang": "tasks.experiments.distortion.tasks:CIFAR100_ZHAI_TANG",
        "cifar10-resnet56": "tasks.experiments.distortion.tasks:CIFAR10_RESNET56",
        "cifar100-resnet56": "tasks.experiments.distortion.tasks:CIFAR100_RESNET56",
        "imagenet-resnet50-tang": "tasks.experiments.distortion.tasks:IMAGENET_RESNET50_TANG",
        "cifar10-preact_resnet50": "tasks.experiments.leaderboard.tasks:CIFAR10_PREACT_RESNET50",
        "cifar100-preact_resnet50": "tasks.experiments.leaderboard.tasks:CIFAR100_PREACT_RESNET50",
        "cifar10-densenet_bc_100_12": "tasks.experiments.leaderboard.tasks:CIFAR10_DENSENET_BC",
        "cifar100-densenet_bc_100_12": "tasks.experiments.leaderboard.tasks:CIFAR100_DENSENET_BC",
        "cifar10-lenet": "tasks.experiments.leaderboard.tasks:CIFAR10_LENET",
        "cifar100-lenet": "tasks.experiments.leaderboard.tasks:CIFAR100_LENET",
        "cifar10-convnet_small": "tasks.experiments.leaderboard.tasks:CIFAR10_CONVNET",
        "cifar100-convnet_small": "tasks.experiments.leaderboard.tasks:CIFAR100_CONVNET",
        "cifar10-mlp": "tasks.experiments.leaderboard.tasks:CIFAR10_MLP",
        "cifar100-mlp": "tasks.experiments.leaderboard.tasks:CIFAR100_MLP",
        "cifar10-two_layer_mlp": "tasks.experiments.leaderboard.tasks:CIFAR10_TWO_LAYER_MLP",
        "cifar100-two_layer_mlp": "tasks.experiments.leaderboard.tasks:CIFAR100_TWO_LAYER_MLP",
        "shallow-linear-dropblock": "tasks.linear.shallow:SHALLOW_LINEAR_DROPBLOCK",
        "shallow-linear-dropblock-keep-0.8": "tasks.linear.shallow:SHALLOW_LINEAR_DROPBLOCK_KEEP_08",
        "structured-fig1": "tasks.experiments.structured.tasks:STRUCTURED_FIG1",
        "structured-fig2": "tasks.experiments.structured.tasks:STRUCTURED_FIG2",
        "structured-fig2-orthogonal": "tasks.experiments.structured.tasks:STRUCTURED_FIG2_ORTHOGONAL",
        "structured-fig2-correlated": "tasks.experiments.structured.tasks:STRUCTURED_FIG2_CORRELATED",
        "structured-fig3-mnist": "tasks.experiments.structured.features:STRUCTURED_FIG3_MNIST",
        "structured-fig3-cifar10": "tasks.experiments.structured.features:STRUCTURED_FIG3_CIFAR10",
        "structured-fig4": "tasks.experiments.structured.tasks:STRUCTURED_FIG4",
        "thesis-fig2-1": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_1",
        "thesis-fig2-2": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_2",
        "thesis-fig2-3-width-20": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_20",
        "thesis-fig2-3-width-80": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_80",
        "thesis-fig3-2": "tasks.experiments.thesis.deep:THESIS_FIG3_2",
        "thesis-fig3-3": "tasks.experiments.thesis.deep:THESIS_FIG3_3",
    },
)
