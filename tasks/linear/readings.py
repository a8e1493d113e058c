"""Shared measurements of linear networks: the stochastic objective of the regularizer's modules, evenness of norms."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.metrics import squared_error
from tasks.sites import sites_of

NUM_PASSES = 64  # forward passes over all samples, each with new masks, whose mean is one measurement


class Sampled(NamedTuple):
    """A mean over random masks and the standard error of that mean."""

    mean: float
    error: float


@torch.no_grad()
def stochastic_objective(network: nn.Module, inputs: Tensor, targets: Tensor, num_passes: int = NUM_PASSES) -> Sampled:
    """Squared error summed over all samples, in training mode, averaged over passes with new masks.

    A copy of the network's modules draws the masks, so that a measurement does not change the masks of training.
    """
    copied = copy.deepcopy(network).train()
    losses = [float(squared_error(copied(inputs), targets)) * len(inputs) for _ in range(num_passes)]
    values = torch.tensor(losses, dtype=torch.float64)
    return Sampled(float(values.mean()), float(values.std(correction=min(1, num_passes - 1))) / math.sqrt(num_passes))


@torch.no_grad()
def kept_fraction(network: nn.Module, num_samples: int) -> float:
    """Fraction of hidden units that the first site keeps in training mode, counted on an input of ones."""
    (site, *_) = sites_of(copy.deepcopy(network).train(), ["hidden"])
    assert site.shape is not None
    device = next(network.parameters()).device
    return float((site(torch.ones(num_samples, *site.shape, device=device)) != 0).double().mean())


def block_norms(U: Tensor, hidden: Tensor, block_size: int) -> Tensor:
    """||U_i G_i||_F for each block i of U (outputs x units) and G = `hidden` (units x N), from their Gram matrices."""
    outgoing = U.T.reshape(-1, block_size, len(U))
    incoming = hidden.reshape(-1, block_size, hidden.shape[1])
    products = (outgoing @ outgoing.mT) * (incoming @ incoming.mT)
    return products.sum((1, 2)).clamp(min=0).sqrt()


def unevenness(values: Tensor) -> float:
    """Standard deviation of the values over their mean: 0 where all are equal.

    >>> unevenness(torch.tensor([1.0, 1.0])), unevenness(torch.tensor([0.0, 2.0]))
    (0.0, 1.0)
    """
    return float(values.std(correction=0) / values.mean())
