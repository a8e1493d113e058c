"""Small tasks and suites to begin with."""

TASKS = {
    "digits-convnet": "tasks.experiments.demos.tasks:DIGITS_CONVNET",
    "digits-mlp": "tasks.experiments.demos.tasks:DIGITS_MLP",
    "mnist-lenet": "tasks.experiments.demos.tasks:MNIST_LENET",
    "fashion-lenet": "tasks.experiments.demos.tasks:FASHION_LENET",
}
SUITES = {
    "quickstart": "tasks.experiments.demos.suites:QUICKSTART",
    "mnist-demo": "tasks.experiments.demos.suites:MNIST_DEMO",
    "zoo": "tasks.experiments.demos.suites:ZOO",
    "zoo-mnist": "tasks.experiments.demos.suites:ZOO_MNIST",
    "cifar-demo": "tasks.experiments.demos.suites:CIFAR_DEMO",
}
