"""The linear networks of the theory of dropout: tied, two-layer and deep, without biases, with hidden sites."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.sites import Site, chain_next_layers


class TiedAutoencoder(nn.Module):
    """x -> U (site (U' x)): an autoencoder with the same weight matrix in both layers.

    Entries of U (inputs x hidden) are drawn from N(0, deviation^2).
    """

    def __init__(self, num_inputs: int, num_hidden: int, deviation: float, generator: torch.Generator) -> None:
        super().__init__()
        self.site = Site("hidden")
        self.weight = nn.Parameter(deviation * torch.randn(num_inputs, num_hidden, generator=generator))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Predictions (B, inputs) of inputs (B, inputs)."""
        return F.linear(self.site(x_BD @ self.weight), self.weight)

    def factor(self) -> Tensor:
        """U (inputs x hidden) in float64."""
        return self.weight.detach().double()


class DeepLinear(nn.Module):
    """x -> W_{k+1} site_k (W_k ... site_1 (W_1 x)): k hidden layers, each followed by a site.

    Entries of W_i are drawn from U(-b, b), b = gain sqrt(3 / d_{i-1}): at gain 1 a layer keeps the mean square of its
    inputs.

    Args:
        widths: d_0..d_{k+1}, from the inputs to the outputs.
        gain: >= 0.
        generator: of the initial weights.
    """

    def __init__(self, widths: Sequence[int], gain: float, generator: torch.Generator) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):  # torch's layers draw weights from the global generator
            for inputs, outputs in itertools.pairwise(widths):
                modules += [nn.Linear(inputs, outputs, bias=False), Site("hidden")]
        self.layers = nn.Sequential(*modules[:-1])
        chain_next_layers(self)
        with torch.no_grad():
            for layer in self.linear_layers():
                bound = gain * math.sqrt(3 / layer.in_features)
                layer.weight.copy_(bound * (2 * torch.rand(layer.weight.shape, generator=generator) - 1))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Predictions (B, d_{k+1}) of inputs (B, d_0)."""
        predictions: Tensor = self.layers(x_BD)
        return predictions

    def linear_layers(self) -> list[nn.Linear]:
        """The weight layers, from the inputs on."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def weights(self) -> list[Tensor]:
        """W_1..W_{k+1} in float64."""
        return [layer.weight.detach().double() for layer in self.linear_layers()]


class LinearPair(nn.Module):
    """x -> U (site (V^T x)), without biases: the two-layer network of the theory of dropout.

    Weights are drawn from N(0, 1): V (inputs x hidden) and U (outputs x hidden), held by two linear layers.
    """

    def __init__(self, num_inputs: int, num_hidden: int, num_outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch's layers draw weights from the global generator
            self.first = nn.Linear(num_inputs, num_hidden, bias=False)
            self.site = Site("hidden")
            self.second = nn.Linear(num_hidden, num_outputs, bias=False)
        chain_next_layers(self)
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Predictions (B, outputs) of inputs (B, inputs)."""
        predictions: Tensor = self.second(self.site(self.first(x_BD)))
        return predictions

    def linear_layers(self) -> list[nn.Linear]:
        """The weight layers, from the inputs on."""
        return [self.first, self.second]

    def factors(self) -> tuple[Tensor, Tensor]:
        """U (outputs x hidden) and V (inputs x hidden) in float64."""
        return self.second.weight.detach().double(), self.first.weight.detach().T.double()
