"""Which of our tasks repeats the protocol of a row of a paper's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.papers.sources import SOURCES

if TYPE_CHECKING:
    import pandas as pd

AUGMENTED = "-augmented"
DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ILSVRC-2012": "imagenet"}
_BY_PAPER = {source.paper: source for source in SOURCES}


def tasks_of(paper: str, dataset: str, architecture: str) -> tuple[str, ...]:
    """The tasks that repeat a protocol, first the one as printed; empty if there is none.

    >>> tasks_of("localdrop", "CIFAR-10", "ZhaiCNN"), tasks_of("feature_map_distortion", "CIFAR-10", "ZhaiCNN")
    (('cifar10-zhai',), ('cifar10-zhai-tang',))
    >>> tasks_of("localdrop", "CIFAR-10", "DPN-92")
    ('cifar10-dpn92', 'cifar10-dpn92-augmented')
    """
    source = _BY_PAPER[paper]
    if architecture not in source.networks or dataset not in DATASETS:
        return ()
    task = f"{DATASETS[dataset]}-{source.networks[architecture]}"
    is_twofold = architecture in source.also_augmented and dataset.startswith("CIFAR")
    return (task, f"{task}{AUGMENTED}") if is_twofold else (task,)


def hold_out_note(paper: str, architecture: str, fractions: pd.Series[float]) -> str:
    """A sentence on the share of the training images that our trials held out, from their `validation_fraction`."""
    known = sorted(set(fractions.dropna()))
    if not known:
        return "The rows do not say how many training images were held out for validation; the paper may differ."
    says = architecture in _BY_PAPER[paper].says_held_out
    said = "as in the paper" if says else "the paper does not say"
    trained = " or ".join(f"{100 * (1 - fraction):.3g} %" for fraction in known)
    held_out = " or ".join(f"{100 * fraction:.3g} %" for fraction in known)
    return f"Ours trained on {trained} of the training images and held out {held_out} for validation ({said})."
