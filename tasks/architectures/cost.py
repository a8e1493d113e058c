"""The size of a network and the number of operations for one input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Layers with weights, parameters, and multiply-adds of one forward pass on one input."""

    num_conv_layers: int
    num_dense_layers: int
    num_parameters: int
    num_multiply_adds: int  # of conv and dense layers; biases, norms, activations and pooling are not counted


@torch.no_grad()
def cost_of(network: nn.Module, example: Tensor) -> Cost:
    """Count the layers of `network`, its parameters, and its multiply-adds on `example` in eval mode.

    For each output value, a conv layer needs one multiply-add per weight of its kernel, (input channels / groups) x
    height x width, and a dense layer one per input unit. A layer that is used twice counts twice.

    Args:
        network: any module; its mode is restored.
        example: a batch of inputs; counts are divided by its size.

    Example:
        >>> cost_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2)), torch.zeros(1, 3, 3, 3))
        Cost(num_conv_layers=1, num_dense_layers=1, num_parameters=242, num_multiply_adds=232)
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output.numel() * layer.weight[0].numel()

    handles = [layer.register_forward_hook(count) for layer in layers]
    was_training = network.training
    network.eval()
    network(example)
    network.train(was_training)
    for handle in handles:
        handle.remove()
    num_conv_layers = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    return Cost(
        num_conv_layers=num_conv_layers,
        num_dense_layers=len(layers) - num_conv_layers,
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        num_multiply_adds=total // len(example),
    )
