"""Noise whose size is learned, by the fused kernels: what regularizers call where `choice.is_fused` says so.

Each function returns the noisy values and the divergence of the noise from its prior, so that the backward pass knows
the gradients of both and adds them in the kernel that sums over the batch: one launch forward and two backward, where
autograd would launch kernels for every term and to add up what a parameter gets from the network and from the penalty.
A compiled network differentiates the two outputs in two passes, so that nothing is freed after the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tasks.regularizers.fused import learned_operators as operators
from tasks.regularizers.fused.memory import dense, with_strides
from tasks.runtime.passes import Draw
from tasks.runtime.state import State
from tasks.runtime.streams import MaskStream


class OfLastPass:
    """What a forward pass left for the penalty of the same step: a divergence with its graph, or nothing.

    It is no state: a copy and a restored training begin with nothing.
    """

    def __init__(self) -> None:
        self._divergence: Tensor | None = None

    def put(self, divergence: Tensor) -> None:
        """Keep the divergence of this pass in place of an earlier one."""
        self._divergence = divergence if divergence.requires_grad else None

    def take(self) -> Tensor | None:
        """The divergence, once."""
        divergence, self._divergence = self._divergence, None
        return divergence

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Forget the last pass."""
        self._divergence = None

    def __deepcopy__(self, memo: dict[int, object]) -> OfLastPass:
        """Another one, with nothing."""
        return OfLastPass()

    def __reduce__(self) -> tuple[type[OfLastPass], tuple[()]]:
        """Likewise."""
        return OfLastPass, ()


def learned_noise(
    x: Tensor, scaled_logit: Tensor, stream: MaskStream, speed: float, polynomial: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """The product x (1 + sqrt(alpha) normal) and the sum of - log(alpha) / 2 - c1 alpha - c2 alpha^2 - c3 alpha^3.

    Args:
        x: units (B, D) or maps (B, C, H, W).
        scaled_logit: (D,) or (C,); alpha = sigmoid(speed scaled_logit).
        stream: of the draws, one for each element.
        speed: factor of the logit.
        polynomial: c1, c2, c3.
    """
    y, divergence = _LearnedNoise.apply(dense(x), scaled_logit, _NoiseLaw(stream.next_draw(), speed, list(polynomial)))
    return y, divergence


def relaxed_mask(
    x: Tensor,
    logit: Tensor,
    stream: MaskStream,
    temperature: float,
    *,
    weight: Tensor | None,
    entropy_factor: float,
    norm_factor: float,
) -> tuple[Tensor, Tensor]:
    """The product x (1 - z) / (1 - d), z = sigmoid((logit + logit(u)) / temperature), d = sigmoid(logit); a divergence.

    The divergence is entropy_factor (d log d + (1 - d) log(1 - d)) + norm_factor ||weight||^2 / (1 - d), without the
    second term if there is no weight.

    Args:
        x: of any shape.
        logit: of the drop rate, 0-dim.
        stream: of the uniform numbers u, one for each element.
        temperature: > 0.
        weight: of the layer that reads x, if any.
        entropy_factor: number of units.
        norm_factor: half the square of the prior's length scale.
    """
    law = _MaskLaw(stream.next_draw(), temperature, entropy_factor, norm_factor)
    y, divergence = _RelaxedMask.apply(dense(x), logit, None if weight is None else dense(weight), law)
    return y, divergence


class _NoiseLaw(NamedTuple):
    draw: Draw
    speed: float
    polynomial: list[float]


class _MaskLaw(NamedTuple):
    draw: Draw
    temperature: float
    entropy_factor: float
    norm_factor: float


class _LearnedNoise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scaled_logit: Tensor, law: _NoiseLaw) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.law, ctx.kept = law, _Kept.of(x, scaled_logit)
        outputs: tuple[Tensor, Tensor] = operators.add_learned_noise(
            x, scaled_logit, *law.draw, law.speed, law.polynomial
        )
        return outputs

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None, of_divergence: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None]:
        x, logits = ctx.kept.unchanged()
        law, of_x, sums = ctx.law, None, None
        if gradient is not None:
            gradient = with_strides(gradient, x.stride())
            of_x, sums = operators.scale_units_backward(gradient, x, logits, *law.draw, law.speed, 1.0, False)
        of_logits = operators.finish_noise(sums, logits, of_divergence, law.speed, law.polynomial)
        return of_x, of_logits, None


class _RelaxedMask(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, logit: Tensor, weight: Tensor | None, law: _MaskLaw) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        norm = None if weight is None else torch.linalg.vector_norm(weight)
        ctx.law, ctx.norm = law, norm
        ctx.kept = _Kept.of(x, logit) if weight is None else _Kept.of(x, logit, weight)
        outputs: tuple[Tensor, Tensor] = operators.relax_mask(
            x, logit, norm, *law.draw, law.temperature, law.entropy_factor, law.norm_factor
        )
        return outputs

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None, of_divergence: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, logit, *weights = ctx.kept.unchanged()
        law, of_x, sums = ctx.law, None, None
        if gradient is not None:
            gradient = with_strides(gradient, x.stride())
            of_x, sums = operators.scale_units_backward(gradient, x, logit, *law.draw, 1.0, law.temperature, True)
        weight = weights[0] if weights and ctx.needs_input_grad[2] and of_divergence is not None else None
        of_logit, *of_weight = operators.finish_mask(
            sums, logit, ctx.norm, weight, of_divergence, law.entropy_factor, law.norm_factor
        )
        return of_x, of_logit, of_weight[0] if of_weight else None, None


class _Kept(NamedTuple):
    """Tensors for the backward pass, and the versions of their content.

    Torch's own way to keep them would free them after the first of two backward passes.
    """

    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]

    @classmethod
    def of(cls, *tensors: Tensor) -> _Kept:
        """These, as they are now."""
        return cls(tensors, tuple(each._version for each in tensors))

    def unchanged(self) -> tuple[Tensor, ...]:
        """The tensors.

        Raises:
            RuntimeError: if one was changed in place since.
        """
        if tuple(each._version for each in self.tensors) != self.versions:
            raise RuntimeError("A tensor that the gradient of learned noise needs was changed in place; change a copy.")
        return self.tensors
