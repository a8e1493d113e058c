"""Feature map distortion (Tang et al. 2020): its tables and figures."""

TASKS = {
    "cifar10-zhai-tang": "tasks.experiments.distortion.tasks:CIFAR10_ZHAI_TANG",
    "cifar100-zhai-tang": "tasks.experiments.distortion.tasks:CIFAR100_ZHAI_TANG",
    "cifar10-resnet56": "tasks.experiments.distortion.tasks:CIFAR10_RESNET56",
    "cifar100-resnet56": "tasks.experiments.distortion.tasks:CIFAR100_RESNET56",
    "imagenet-resnet50-tang": "tasks.experiments.distortion.tasks:IMAGENET_RESNET50_TANG",
}
SUITES = {
    "distortion-table1": "tasks.experiments.distortion.suites:DISTORTION_TABLE1",
    "distortion-table2": "tasks.experiments.distortion.suites:DISTORTION_TABLE2",
    "distortion-table3": "tasks.experiments.distortion.suites:DISTORTION_TABLE3",
    "distortion-fig1": "tasks.experiments.distortion.suites:DISTORTION_FIG1",
    "distortion-fig2": "tasks.experiments.distortion.suites:DISTORTION_FIG2",
}
