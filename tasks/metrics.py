"""Metrics of a network's outputs, averaged over a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]


def scores_of(outputs_BK: Tensor) -> Tensor:
    """One score for each class, (B, K). A single output f is the margin of class 1 over class 0: scores 0 and f.

    >>> scores_of(torch.tensor([[3.0]])), scores_of(torch.tensor([[3.0, 5.0]]))
    (tensor([[0., 3.]]), tensor([[3., 5.]]))
    """
    return F.pad(outputs_BK, (1, 0)) if outputs_BK.shape[1] == 1 else outputs_BK


def accuracy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Fraction in [0, 1] of samples whose largest score is at the class with the largest target."""
    return (scores_of(outputs_BK).argmax(1) == targets_BK.argmax(1)).double().mean()


def clean_error(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """1 - accuracy: fraction in [0, 1] of samples that are classified wrongly, without an attack."""
    return 1 - accuracy(outputs_BK, targets_BK)


def top5_accuracy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Fraction in [0, 1] of samples whose class (that with the largest target) has one of the five largest scores."""
    scores_BK = scores_of(outputs_BK)
    best_B5 = scores_BK.topk(min(5, scores_BK.shape[1]), dim=1).indices
    return (best_B5 == targets_BK.argmax(1, keepdim=True)).any(1).double().mean()


def cross_entropy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the softmax of `outputs_BK` against class probabilities `targets_BK`.

    For a single output f it is the logistic loss, t_1 log(1 + e^-f) + t_0 log(1 + e^f), computed without cancellation.
    """
    if outputs_BK.shape[1] == 1:
        of_class_0, of_class_1 = targets_BK.unbind(1)
        margins = outputs_BK.squeeze(1)
        return (of_class_1 * F.softplus(-margins) + of_class_0 * F.softplus(margins)).mean()
    return F.cross_entropy(outputs_BK, targets_BK)


def squared_error(outputs_BD: Tensor, targets_BD: Tensor) -> Tensor:
    """Squared Euclidean distance of output and target, summed over units and averaged over samples."""
    return (outputs_BD - targets_BD).square().sum(1).mean()


def average(metrics: Mapping[str, Metric], outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The value of each metric on the outputs and targets of one whole split."""
    with torch.no_grad():
        return {name: float(metric(outputs, targets)) for name, metric in metrics.items()}
