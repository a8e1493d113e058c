"""Penalties on the activations at sites and on the weights of the layers that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Hooks, Step
from tasks.sites import Site

OfLayer = Callable[[Tensor, Tensor], Tensor]  # weight (outputs x units), hidden units (B x units) -> penalty


class RecordedPenalty(Hooks):
    """The sum over sites of a function of the next layer's weight and the units there; fills the sites with recorders.

    The units are read in the number format of the forward pass, 16 bits under the switches bf16 and fp16. The penalty
    is computed in that of the weights, 32 bits: squares overflow in fp16 from 256 on.

    Args:
        sites: sites that a dense layer reads.
        of_layer: the penalty of one site.
    """

    def __init__(self, sites: Sequence[Site], of_layer: OfLayer) -> None:
        self._sites, self._of_layer = sites, of_layer
        self._recorders = [Recorder() for _ in sites]
        for site, recorder in zip(sites, self._recorders, strict=True):
            site.fill(recorder)

    def penalty(self, step: Step) -> Tensor:
        """The penalty for the units of the last forward pass."""
        return torch.stack(list(map(self._of_site, self._sites, self._recorders))).sum()

    def _of_site(self, site: Site, recorder: Recorder) -> Tensor:
        layer, hidden = site.next_layer, recorder.seen
        assert layer is not None
        assert hidden is not None
        recorder.seen = None  # frees the graph of this step
        return self._of_layer(layer.weight, hidden.to(layer.weight.dtype))


class Recorder(nn.Module):
    """The identity, which stores its last input in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Tensor | None = None

    def runs_in_graph(self, x: Tensor) -> bool:
        """True: an operator's input is cut from the graph of the network."""
        return True

    def forward(self, x: Tensor) -> Tensor:
        """`x` itself."""
        if self.training:
            self.seen = x
        return x
