"""A network that declares no sites of its own, with sites found in it, and its own random draws made reproducible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.own.site_finder import FoundSite, insert_sites
from tasks.runtime.eager import eager
from tasks.runtime.streams import stream_seed
from tasks.sites import Site


class SitedNetwork(nn.Module):
    """`network` behind an input site, with the sites that were found in it.

    Dropout and stochastic depth of the network's own draw from torch's global generator. It is seeded before each
    training pass from the seed and the number of the pass, so that a trial gives the same values again, also after it
    was interrupted.

    Args:
        network: changed in place: sites are inserted.
        found: the sites, in order.
        shape: of one sample.
        seed: of the network's own draws.
    """

    def __init__(self, network: nn.Module, found: Sequence[FoundSite], shape: tuple[int, ...], seed: int) -> None:
        super().__init__()
        self.input = Site("input", group=0)
        self.network = network
        insert_sites(network, found)
        self._seed, self._num_passes = seed, 0
        self.input.shape = shape
        for name, module in self.named_modules():
            if isinstance(module, Site):
                module.name = name

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        if self.training:
            self._seed_own_draws()
        scores: Tensor = self.network(self.input(x_BCHW))
        return scores

    @eager
    def _seed_own_draws(self) -> None:
        torch.manual_seed(stream_seed(self._seed, f"network/{self._num_passes}"))
        self._num_passes += 1
