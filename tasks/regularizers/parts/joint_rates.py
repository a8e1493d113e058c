"""The keep rates of what a weight layer reads: those of all masked sites in front of it, multiplied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tasks.sites import Site, WeightLayer


class HasRates(Protocol):
    """Masks with keep rates."""

    def rates(self) -> Tensor:
        """Keep rates in [0, 1], of one sample at a site."""


def joint_rates(of_sites: Iterable[Tensor], order: float = 2) -> Tensor:
    """The product of the rates at the sites that one layer reads, from the first site to the last.

    With pooling between two sites the shapes differ; the rates before it count by their power mean of this order.
    """
    first, *others = of_sites
    for rates in others:
        if first.shape != rates.shape:
            first = torch.linalg.vector_norm(first, order) / first.numel() ** (1 / order)
        first = first * rates
    return first


@dataclass(frozen=True)
class JointRates:
    """The masks of several sites that one layer reads."""

    of_sites: Sequence[HasRates]
    order: float = 2

    def rates(self) -> Tensor:
        """Their joint rates."""
        return joint_rates([each.rates() for each in self.of_sites], self.order)


def masks_read(masks: Mapping[Site, HasRates], order: float = 2) -> dict[WeightLayer, HasRates]:
    """For each layer that reads masked sites, their masks; `order` is that of `joint_rates`."""
    read: dict[WeightLayer, list[HasRates]] = {}
    for site, mask in masks.items():
        if site.next_layer is not None:
            read.setdefault(site.next_layer, []).append(mask)
    return {layer: JointRates(of_sites, order) if of_sites[1:] else of_sites[0] for layer, of_sites in read.items()}
