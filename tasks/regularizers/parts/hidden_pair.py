"""The two linear layers around a hidden site, for penalties on their product U V^T over the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Hooks, Step
from tasks.sites import Site, front_layers, sites_of

SpectralFunction = Callable[[Tensor, int], Tensor]  # singular values of U V^T X / sqrt(N), width of the pair -> penalty


class HiddenPair:
    """The layer V^T before a hidden site, the layer U after it, and the second moment of the inputs X seen in training.

    The singular values of U V^T X / sqrt(N) are those of U V^T R for any R with R R^T = X X^T / N, so only the second
    moment of the inputs is needed. It is taken at the end of each epoch, of all inputs since training began: after one
    epoch it is exact, X X^T / N. Within the first epoch R is computed from the inputs so far, whenever their number has
    doubled. Inputs that other trained layers make change during training: their moment is that of the last epoch.

    If the layer before the site has a bias b, V^T X + b is meant by V^T X: X gets a row of ones, and V^T the column b.
    Biases of the layer after it are ignored.
    """

    def __init__(self, front: nn.Linear, behind: nn.Linear) -> None:
        self.width = front.out_features
        self._front, self._behind = front, behind
        size = front.in_features + (front.bias is not None)
        self._sum = torch.zeros(size, size, dtype=torch.float64, device=front.weight.device)
        self._num_inputs = self._num_at_root = 0
        self._is_changing = self._ended_epoch = False
        self._root = torch.empty(0)
        front.register_forward_pre_hook(self._see)

    def singular_values(self) -> Tensor:
        """The singular values of U V^T X / sqrt(N), differentiable in both layers' weights and in the bias before."""
        if not self._ended_epoch and self._num_inputs >= 2 * self._num_at_root:
            self._take_root()
        weight, bias = self._front.weight, self._front.bias
        augmented = weight if bias is None else torch.cat([weight, bias[:, None]], 1)
        singular_values: Tensor = torch.linalg.svdvals(self._behind.weight @ (augmented @ self._root))
        return singular_values

    def end_epoch(self) -> None:
        """Take the second moment of the inputs seen."""
        if not self._num_inputs:
            return
        self._take_root()
        self._ended_epoch = True
        if self._is_changing:
            self._sum.zero_()
            self._num_inputs = 0

    def _take_root(self) -> None:
        self._num_at_root = self._num_inputs
        eigenvalues, eigenvectors = torch.linalg.eigh(self._sum / self._num_inputs)
        self._root = (eigenvectors * eigenvalues.clamp(min=0).sqrt()).to(self._front.weight.dtype)

    @torch.no_grad()
    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            x = inputs[0].double()
            if self._front.bias is not None:
                x = torch.cat([x, x.new_ones(len(x), 1)], 1)
            self._sum += x.mT @ x
            self._num_inputs += len(x)
            self._is_changing = inputs[0].requires_grad


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

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """Take the second moments of the inputs."""
        for pair in self._pairs:
            pair.end_epoch()
        return {}
