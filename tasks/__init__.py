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
        "digits-convnet": "tasks.classification:DIGITS_CONVNET",
        "digits-mlp": "tasks.classification:DIGITS_MLP",
        "mnist-lenet": "tasks.classification:MNIST_LENET",
        "fashion-lenet": "tasks.classification:FASHION_LENET",
        "cifar10-zhai": "tasks.localdrop_tasks:CIFAR10_ZHAI",
        "cifar100-zhai": "tasks.localdrop_tasks:CIFAR100_ZHAI",
        "cifar10-zhai-width-200": "tasks.localdrop_tasks:CIFAR10_ZHAI_WIDTH_200",
        "cifar10-zhai-width-400": "tasks.localdrop_tasks:CIFAR10_ZHAI_WIDTH_400",
        "cifar10-zhai-width-800": "tasks.localdrop_tasks:CIFAR10_ZHAI_WIDTH_800",
        "cifar10-zhai-width-1600": "tasks.localdrop_tasks:CIFAR10_ZHAI_WIDTH_1600",
        "cifar10-fcn": "tasks.localdrop_tasks:CIFAR10_FCN",
        "cifar10-resnet50": "tasks.localdrop_tasks:CIFAR10_RESNET50",
        "cifar100-resnet50": "tasks.localdrop_tasks:CIFAR100_RESNET50",
        "imagenet-resnet50": "tasks.localdrop_tasks:IMAGENET_RESNET50",
        "cifar10-preact_resnet18": "tasks.localdrop_tasks:CIFAR10_PREACT_RESNET18",
        "cifar100-preact_resnet18": "tasks.localdrop_tasks:CIFAR100_PREACT_RESNET18",
        "imagenet-preact_resnet18": "tasks.localdrop_tasks:IMAGENET_PREACT_RESNET18",
        "cifar10-densenet121": "tasks.localdrop_tasks:CIFAR10_DENSENET121",
        "cifar100-densenet121": "tasks.localdrop_tasks:CIFAR100_DENSENET121",
        "imagenet-densenet121": "tasks.localdrop_tasks:IMAGENET_DENSENET121",
        "cifar10-dpn92": "tasks.localdrop_tasks:CIFAR10_DPN92",
        "cifar100-dpn92": "tasks.localdrop_tasks:CIFAR100_DPN92",
        "imagenet-dpn92": "tasks.localdrop_tasks:IMAGENET_DPN92",
        "cifar10-resnet50-augmented": "tasks.localdrop_tasks:CIFAR10_RESNET50_AUGMENTED",
        "cifar100-resnet50-augmented": "tasks.localdrop_tasks:CIFAR100_RESNET50_AUGMENTED",
        "cifar10-preact_resnet18-augmented": "tasks.localdrop_tasks:CIFAR10_PREACT_RESNET18_AUGMENTED",
        "cifar100-preact_resnet18-augmented": "tasks.localdrop_tasks:CIFAR100_PREACT_RESNET18_AUGMENTED",
        "cifar10-densenet121-augmented": "tasks.localdrop_tasks:CIFAR10_DENSENET121_AUGMENTED",
        "cifar100-densenet121-augmented": "tasks.localdrop_tasks:CIFAR100_DENSENET121_AUGMENTED",
        "cifar10-dpn92-augmented": "tasks.localdrop_tasks:CIFAR10_DPN92_AUGMENTED",
        "cifar100-dpn92-augmented": "tasks.localdrop_tasks:CIFAR100_DPN92_AUGMENTED",
        "cifar10-zhai-narrow": "tasks.localdrop_tasks:CIFAR10_ZHAI_NARROW",
        "cifar10-zhai-tang": "tasks.distortion_tasks:CIFAR10_ZHAI_TANG",
        "cifar100-zhai-tang": "tasks.distortion_tasks:CIFAR100_ZHAI_TANG",
        "cifar10-resnet56": "tasks.distortion_tasks:CIFAR10_RESNET56",
        "cifar100-resnet56": "tasks.distortion_tasks:CIFAR100_RESNET56",
        "imagenet-resnet50-tang": "tasks.distortion_tasks:IMAGENET_RESNET50_TANG",
        "cifar10-preact_resnet50": "tasks.leaderboard_tasks:CIFAR10_PREACT_RESNET50",
        "cifar100-preact_resnet50": "tasks.leaderboard_tasks:CIFAR100_PREACT_RESNET50",
        "cifar10-densenet_bc_100_12": "tasks.leaderboard_tasks:CIFAR10_DENSENET_BC",
        "cifar100-densenet_bc_100_12": "tasks.leaderboard_tasks:CIFAR100_DENSENET_BC",
        "cifar10-lenet": "tasks.leaderboard_tasks:CIFAR10_LENET",
        "cifar100-lenet": "tasks.leaderboard_tasks:CIFAR100_LENET",
        "cifar10-convnet_small": "tasks.leaderboard_tasks:CIFAR10_CONVNET",
        "cifar100-convnet_small": "tasks.leaderboard_tasks:CIFAR100_CONVNET",
        "cifar10-mlp": "tasks.leaderboard_tasks:CIFAR10_MLP",
        "cifar100-mlp": "tasks.leaderboard_tasks:CIFAR100_MLP",
        "cifar10-two_layer_mlp": "tasks.leaderboard_tasks:CIFAR10_TWO_LAYER_MLP",
        "cifar100-two_layer_mlp": "tasks.leaderboard_tasks:CIFAR100_TWO_LAYER_MLP",
        "shallow-linear-dropblock": "tasks.theory.shallow_linear:SHALLOW_LINEAR_DROPBLOCK",
        "shallow-linear-dropblock-keep-0.8": "tasks.theory.shallow_linear:SHALLOW_LINEAR_DROPBLOCK_KEEP_08",
        "structured-fig1": "tasks.theory.structured_tasks:STRUCTURED_FIG1",
        "structured-fig2": "tasks.theory.structured_tasks:STRUCTURED_FIG2",
        "structured-fig2-orthogonal": "tasks.theory.structured_tasks:STRUCTURED_FIG2_ORTHOGONAL",
        "structured-fig2-correlated": "tasks.theory.structured_tasks:STRUCTURED_FIG2_CORRELATED",
        "structured-fig3-mnist": "tasks.theory.feature_tasks:STRUCTURED_FIG3_MNIST",
        "structured-fig3-cifar10": "tasks.theory.feature_tasks:STRUCTURED_FIG3_CIFAR10",
        "structured-fig4": "tasks.theory.structured_tasks:STRUCTURED_FIG4",
        "thesis-fig2-1": "tasks.theory.shrinkage_tasks:THESIS_FIG2_1",
        "thesis-fig2-2": "tasks.theory.shrinkage_tasks:THESIS_FIG2_2",
        "thesis-fig2-3-width-20": "tasks.theory.shrinkage_tasks:THESIS_FIG2_3_WIDTH_20",
        "thesis-fig2-3-width-80": "tasks.theory.shrinkage_tasks:THESIS_FIG2_3_WIDTH_80",
        "thesis-fig3-2": "tasks.theory.deep_tasks:THESIS_FIG3_2",
        "thesis-fig3-3": "tasks.theory.deep_tasks:THESIS_FIG3_3",
    },
)
