"""Which task of ours repeats the protocol of which row of a paper's table.

Two papers may train one network by different protocols (Lu et al. and Tang et al. both train the net of Zhai and Wang
on CIFAR), so a reported value belongs to the one task that repeats its own paper's protocol, and to no other.
"""

from __future__ import annotations

DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ILSVRC-2012": "imagenet"}

_TASKS: dict[tuple[str, str], str] = {  # (paper, network as the paper calls it): the task after the data set's name
    ("localdrop", "ZhaiCNN"): "zhai",
    ("localdrop", "ResNet-50"): "resnet50",
    ("localdrop", "DenseNet"): "densenet121",
    ("localdrop", "PreActResNet"): "preact_resnet18",
    ("localdrop", "DPN-92"): "dpn92",
    ("feature_map_distortion", "ZhaiCNN"): "zhai-tang",
    ("feature_map_distortion", "ResNet-56"): "resnet56",
    ("feature_map_distortion", "ResNet-50"): "resnet50-tang",
}


def task_of(paper: str, dataset: str, architecture: str) -> str | None:
    """The task that repeats it, None where there is none.

    >>> task_of("localdrop", "CIFAR-10", "ZhaiCNN"), task_of("feature_map_distortion", "CIFAR-10", "ZhaiCNN")
    ('cifar10-zhai', 'cifar10-zhai-tang')
    """
    network = _TASKS.get((paper, architecture))
    return None if network is None or dataset not in DATASETS else f"{DATASETS[dataset]}-{network}"


WIDTH_TASKS: dict[str, int] = {  # Lu et al. 2021, figure 1a: units of each dense layer of the first model
    "cifar10-zhai-width-200": 200,
    "cifar10-zhai-width-400": 400,
    "cifar10-zhai-width-800": 800,
    "cifar10-zhai-width-1600": 1600,
    "cifar10-zhai": 2048,
}
