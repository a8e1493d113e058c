"""Noise on weights whose variance is learned, by the fused kernels; see `parts.local_reparametrization`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tasks.regularizers.fused import weight_operators as operators
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.memory import dense, with_strides
from tasks.regularizers.parts.local_reparametrization import FLOOR, with_weights
from tasks.runtime.passes import Draw
from tasks.runtime.streams import MaskStream
from tasks.sites import WeightLayer

FLOOR_OF_SQUARES = 1e-8  # added to w^2: the logarithm has no value at 0


class SparseLaw(NamedTuple):
    """The constants of `weight_kernels`."""

    speed: float
    limit: float
    fit: tuple[float, float, float]  # k1, k2, k3

    @property
    def arguments(self) -> list[float]:
        """As the kernels take them."""
        return [self.speed, self.limit, FLOOR_OF_SQUARES, *self.fit]


def can_be_fused(layer: WeightLayer, x: Tensor, hook: Callable[..., Any]) -> bool:
    """Whether the noise of this layer can be fused: nothing but its own product is between `x` and the hook's output.

    The backward pass then asks the product for the gradients of x, the weight and the bias only; a layer of another
    class, and forward hooks that run before `hook`, may have more.
    """
    is_plain = type(layer) in (nn.Linear, nn.Conv2d) and next(iter(layer._forward_hooks.values())) == hook
    return is_plain and is_fused(x) and is_fused(layer.weight)


def noisy_output(
    layer: WeightLayer, x: Tensor, mean: Tensor, scaled: Tensor, stream: MaskStream, law: SparseLaw
) -> tuple[Tensor, Tensor]:
    """The output `mean` of `layer` on `x` with the noise of its weights, and their divergences, to be summed.

    Forward there are two launches and the product that gives the variance; backward two launches and the products of
    both gradients. The gradients through the mean are taken here, so that no launches are needed to add them to the
    others.

    Args:
        layer: a plain layer.
        x: its input.
        mean: its output, with the graph of its product.
        scaled: parameter with the shape of the weight; log variance = speed scaled.
        stream: of the draws, one for each output.
        law: see there.
    """
    product = _Product(layer, x, mean, stream.next_draw(), law)
    y, divergences = _NoisyOutput.apply(x, layer.weight, layer.bias, scaled, product)
    return y, divergences


class _Product(NamedTuple):
    """What is no input of the graph of `_NoisyOutput`: the mean's own graph is inside of it."""

    layer: WeightLayer
    x: Tensor
    mean: Tensor
    draw: Draw
    law: SparseLaw


class _NoisyOutput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, scaled: Tensor, product: _Product
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        mean = product.mean.detach()
        x, weight, scaled = dense(x), dense(weight), dense(scaled)
        squares, variances, divergences = operators.prepare_noise(x, weight, scaled, mean.dtype, product.law.arguments)
        with torch.enable_grad():
            leaves = squares.requires_grad_(ctx.needs_input_grad[0]), variances.requires_grad_()
            variance = with_weights(product.layer, *leaves, None)
        spread = with_strides(variance.detach(), mean.stride())
        y: Tensor = operators.add_noise(mean, spread, *product.draw, FLOOR)
        ctx.product, ctx.leaves, ctx.variance = product, leaves, variance
        ctx.save_for_backward(x, weight, scaled, spread)
        return y, divergences

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, of_divergences: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, scaled, spread = ctx.saved_tensors
        product, needs_x = ctx.product, ctx.needs_input_grad[0]
        parts = _OfProducts() if gradient is None else _of_products(ctx, gradient, spread)
        of_weight, of_scaled, *of_x = operators.finish_weights(
            x, parts.of_squares, parts.of_x, weight, scaled, parts.of_variances, parts.of_weight, of_divergences,
            needs_x and gradient is not None, product.law.arguments,
        )  # fmt: skip
        return of_x[0] if of_x else None, of_weight, parts.of_bias, of_scaled, None


class _OfProducts(NamedTuple):
    """Gradients through the two products, in the order of memory of what they are for."""

    of_squares: Tensor | None = None
    of_variances: Tensor | None = None
    of_x: Tensor | None = None
    of_weight: Tensor | None = None
    of_bias: Tensor | None = None


def _of_products(ctx: Any, gradient: Tensor, spread: Tensor) -> _OfProducts:
    product, (squares, variances) = ctx.product, ctx.leaves
    layer, mean = product.layer, product.mean
    gradient = with_strides(gradient, mean.stride())
    of_spread = with_strides(
        operators.add_noise_backward(gradient, spread, *product.draw, FLOOR), ctx.variance.stride()
    )
    through_noise = _gradients(ctx.variance, [squares, variances], of_spread)
    through_mean = _gradients(mean, [product.x, layer.weight, layer.bias], gradient)
    return _OfProducts(
        of_squares=_ordered(through_noise[0], squares),
        of_variances=_ordered(through_noise[1], variances),
        of_x=_ordered(through_mean[0], squares),
        of_weight=_ordered(through_mean[1], variances),
        of_bias=through_mean[2],
    )


def _ordered(gradient: Tensor | None, like: Tensor) -> Tensor | None:
    return None if gradient is None else with_strides(gradient, like.stride())


def _gradients(output: Tensor, inputs: list[Tensor | None], gradient: Tensor) -> list[Tensor | None]:
    """The gradient for each input; None for those that need none."""
    needed = [each for each in inputs if each is not None and each.requires_grad]
    found = iter(torch.autograd.grad(output, needed, gradient) if needed else ())
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]
