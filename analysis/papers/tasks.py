"""Which task of ours repeats the protocol of which row of a paper's table.

Two papers may train one network by different protocols (Lu et al. and Tang et al. both train the net of Zhai and Wang
on CIFAR), so a reported value belongs to the task that repeats its own paper's protocol, and to no other. Where a
paper says one protocol and its numbers look like another, both are tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

AUGMENTED = "-augmented"
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


_AUGMENTED = {("localdrop", network) for network in ("ResNet-50", "DenseNet", "PreActResNet", "DPN-92")}


def tasks_of(paper: str, dataset: str, architecture: str) -> tuple[str, ...]:
    """The tasks that repeat it, that of the protocol as printed first; none where it is not repeated.

    LocalDrop's deep networks on CIFAR stand twice: without augmentation, as its text says, and with it, since its
    baselines equal public results that have it.

    >>> tasks_of("localdrop", "CIFAR-10", "ZhaiCNN"), tasks_of("feature_map_distortion", "CIFAR-10", "ZhaiCNN")
    (('cifar10-zhai',), ('cifar10-zhai-tang',))
    >>> tasks_of("localdrop", "CIFAR-10", "DPN-92")
    ('cifar10-dpn92', 'cifar10-dpn92-augmented')
    """
    network = _TASKS.get((paper, architecture))
    if network is None or dataset not in DATASETS:
        return ()
    task = f"{DATASETS[dataset]}-{network}"
    is_twofold = (paper, architecture) in _AUGMENTED and dataset.startswith("CIFAR")
    return (task, f"{task}{AUGMENTED}") if is_twofold else (task,)


_HELD_OUT_BY_THE_PAPER = ("cifar10-zhai-tang", "cifar100-zhai-tang")


def hold_out_note(task: str, fractions: pd.Series[float]) -> str:
    """What our trainings of a paper's row did not see, from the rows' `validation_fraction`."""
    known = sorted(set(fractions.dropna()))
    if not known:
        return "The rows do not say how many training images were held out to select by; the paper's may be others."
    said = "as in the paper" if task in _HELD_OUT_BY_THE_PAPER else "of which the paper says nothing"
    trained = " or ".join(f"{100 * (1 - fraction):.3g} %" for fraction in known)
    held_out = " or ".join(f"{100 * fraction:.3g} %" for fraction in known)
    return f"Ours trained on {trained} of the training images and held out {held_out} to select by, {said}."


WIDTH_TASKS: dict[str, int] = {  # Lu et al. 2021, figure 1a: units of each dense layer of the first model
    "cifar10-zhai-width-200": 200,
    "cifar10-zhai-width-400": 400,
    "cifar10-zhai-width-800": 800,
    "cifar10-zhai-width-1600": 1600,
    "cifar10-zhai": 2048,
}
