"""Every contestant on every architecture."""

TASKS = {
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
}
SUITES = {
    "leaderboard": "tasks.experiments.leaderboard.suites:LEADERBOARD",
}
