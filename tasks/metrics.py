"""Metrics of a network's outputs, averaged over a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]


def accuracy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Fraction in [0, 1] of samples whose largest output is at the class with the largest target."""
    return (outputs_BK.argmax(1) == targets_BK.argmax(1)).double().mean()


def top5_accuracy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Fraction in [0, 1] of samples whose class, that with the largest target, has one of the five largest outputs."""
    best_B5 = outputs_BK.topk(min(5, outputs_BK.shape[1]), dim=1).indices
    return (best_B5 == targets_BK.argmax(1, keepdim=True)).any(1).double().mean()


def cross_entropy(outputs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the softmax of `outputs_BK` against class probabilities `targets_BK`."""
    return F.cross_entropy(outputs_BK, targets_BK)


def squared_error(outputs_BD: Tensor, targets_BD: Tensor) -> Tensor:
    """Squared Euclidean distance of output and target, summed over units and averaged over samples."""
    return (outputs_BD - targets_BD).square().sum(1).mean()


def average(metrics: Mapping[str, Metric], outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Every metric on the whole of a split at once."""
    with torch.no_grad():
        return {name: float(metric(outputs, targets)) for name, metric in metrics.items()}
