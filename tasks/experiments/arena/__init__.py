"""The arena: every contestant on tasks in which networks overfit, with few images and wrong labels."""

TASKS = {
    "digits-200-convnet": "tasks.experiments.arena.tasks:DIGITS_200_CONVNET",
    "digits-200-mlp": "tasks.experiments.arena.tasks:DIGITS_200_MLP",
    "digits-200-noisy-convnet": "tasks.experiments.arena.tasks:DIGITS_200_NOISY_CONVNET",
    "mnist-1k-lenet": "tasks.experiments.arena.tasks:MNIST_1K_LENET",
    "fashion-1k-lenet": "tasks.experiments.arena.tasks:FASHION_1K_LENET",
    "fashion-1k-noisy-lenet": "tasks.experiments.arena.tasks:FASHION_1K_NOISY_LENET",
    "cifar10-1k-convnet": "tasks.experiments.arena.tasks:CIFAR10_1K_CONVNET",
    "cifar10-1k-resnet8": "tasks.experiments.arena.tasks:CIFAR10_1K_RESNET8",
}
SUITES = {
    "arena": "tasks.experiments.arena.suites:ARENA",
}
