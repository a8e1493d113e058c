"""The two linear layers around a hidden site, for penalties on their product U V^T over the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Hooks, Step
from tasks.sites import Site, front_layers, sites_of

SpectralFunction = Callable[[Tensor, int], Tensor]  # singular values of U V^T X / sqrt(N), width of the pair -> penalty


class HiddenPair:
    """The layer V^T before a hidden site, the layer U after it, and the second moment of the inputs X seen in training.

    The singular values of U V^T X / sqrt(N) are those of U V^T R for any R with R R^T = X X^T / N, so only the second
    moment of the inputs is needed. It is averaged over all inputs since training began, since that of a single batch
    would give too small a norm. R is recomputed whenever the number of inputs has doubled, which is rarely at the end
    of an epoch: R R^T approaches X X^T / N over the epochs (for 1,000 Gaussian inputs of 100 dimensions the relative
    error is about 0.2 after one epoch, 0.05 after five and 0.01 after thirty). Inputs of a layer above others change
    during training; they are averaged in the same way. Biases are ignored.
    """

    def __init__(self, front: nn.Linear, behind: nn.Linear) -> None:
        self.width = front.out_features
        self._front, self._behind = front, behind
        self._sum = torch.zeros(front.in_features, front.in_features, dtype=torch.float64, device=front.weight.device)
        self._num_inputs = self._num_at_root = 0
        self._root = torch.empty(0)
        front.register_forward_pre_hook(self._see)

    def singular_values(self) -> Tensor:
        """The singular values of U V^T X / sqrt(N), differentiable in both layers' weights."""
        if self._num_inputs >= 2 * self._num_at_root:
            self._num_at_root = self._num_inputs
            eigenvalues, eigenvectors = torch.linalg.eigh(self._sum / self._num_inputs)
            self._root = (eigenvectors * eigenvalues.clamp(min=0).sqrt()).to(self._front.weight.dtype)
        product = self._behind.weight @ (self._front.weight @ self._root)
        singular_values: Tensor = torch.linalg.svdvals(product)
        return singular_values

    @torch.no_grad()
    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            x = inputs[0].double()
            self._sum += x.mT @ x
            self._num_inputs += len(x)


def paired_sites(network: nn.Module) -> list[Site]:
    """The hidden sites that have a dense layer on both sides."""
    fronts = front_layers(network)
    sites = sites_of(network, ("hidden",))
    return [site for site in sites if site in fronts and isinstance(site.next_layer, nn.Linear)]


def hidden_pairs(network: nn.Module) -> list[HiddenPair]:
    """The two layers around each of `paired_sites`."""
    fronts = front_layers(network)
    return [
        HiddenPair(fronts[site], site.next_layer)
        for site in paired_sites(network)
        if isinstance(site.next_layer, nn.Linear)
    ]


class SpectralPenalty(Hooks):
    """The sum over hidden pairs of a function of their singular values."""

    def __init__(self, pairs: Sequence[HiddenPair], function: SpectralFunction) -> None:
        self._pairs, self._function = pairs, function

    def penalty(self, step: Step) -> Tensor:
        """The penalty at the current weights."""
        return torch.stack([self._function(pair.singular_values(), pair.width) for pair in self._pairs]).sum()
