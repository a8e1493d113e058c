"""Sparse variational dropout learns noise variances and prunes weights (Molchanov et al. 2017, arXiv:1701.05369)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.fused.learned import OfLastPass
from tasks.regularizers.fused.weights import SparseLaw, can_be_fused, noisy_output
from tasks.regularizers.parts.checks import check_at_least, check_between, check_number
from tasks.regularizers.parts.local_reparametrization import Normals, with_noise, with_weights
from tasks.runtime.streams import MaskStream
from tasks.sites import WeightLayer

NO_NOISE = -100.0  # a standard deviation of exp(-50) is below the rounding error of usual weights
KL_SIGMOID = (0.63576, 1.87320, 1.48695)  # Molchanov et al. 2017, eq. 14
LARGEST_LOG_ALPHA = 8.0


@dataclass(frozen=True, kw_only=True)
class SparseVariationalDropout(Regularizer):
    """Every weight that reads a site gets Gaussian noise with a learned variance; weights with large noise are pruned.

    With variance sigma^2 of a weight w and alpha = sigma^2 / w^2, the penalty is (kl_weight r / N) sum KL(alpha) for N
    training samples, KL the divergence from the log-uniform prior; r is 0 until the fraction `warmup_start` of
    training, then grows linearly to 1 at `warmup_end`. Noise is drawn at the layer's outputs (local
    reparametrisation). In eval mode there is no noise, and weights with log alpha > prune_log_alpha are set to 0.

    log sigma^2 is log_variance_speed times the parameter that the network's optimizer learns, so that under plain
    gradient descent it changes log_variance_speed^2 times as fast. (The paper uses Adam, whose step does not depend on
    the size of the gradient.)
    """

    kl_weight: float = 1.0  # >= 0
    initial_log_variance: float = -10.0  # >= -100; -100 switches the method off
    prune_log_alpha: float = 3.0  # in [-8, 8]: log alpha is clipped there
    warmup_start: float = 0.025  # from 0 to warmup_end: epoch 5 of 200
    warmup_end: float = 0.1  # from warmup_start to 1: epoch 20 of 200
    log_variance_speed: float = 10.0  # >= 1e-6

    acts_on: ClassVar[tuple[str, ...]] = ("input", "conv", "dense")
    acts_on_tokens: ClassVar[bool] = True
    needs_layer_behind: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"initial_log_variance": NO_NOISE}
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "y = x W + sqrt(x^2 sigma^2) eps; loss + (w r / N) sum KL(alpha), alpha = sigma^2 / W^2"
    source: ClassVar[str] = "Molchanov et al. 2017, sections 3.2 and 4, eq. 14; warm-up of the authors' code"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "kl_weight", 0)
        check_at_least(self, "initial_log_variance", NO_NOISE)
        check_between(self, "prune_log_alpha", -LARGEST_LOG_ALPHA, LARGEST_LOG_ALPHA)
        for field in ("warmup_start", "warmup_end"):
            check_number(self, field)
        if not 0 <= self.warmup_start <= self.warmup_end <= 1:
            raise ValueError(
                "SparseVariationalDropout.warmup_start and SparseVariationalDropout.warmup_end must lie in [0, 1] and "
                f"in this order, got {self.warmup_start} and {self.warmup_end}."
            )
        check_at_least(self, "log_variance_speed", 1e-6)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """A variance for every weight of every layer that reads a site."""
        if self.initial_log_variance == NO_NOISE:
            return self
        noises = {}
        for site in self.chosen_sites(network):
            layer = site.next_layer
            if layer is not None and layer not in noises:
                noises[layer] = SparseNoise(site.name, layer, self, context.masks(site.name)).to(context.device)
                layer.register_forward_hook(noises[layer].perturb)
                site.fill(noises[layer])
        return _Divergence(self, list(noises.values()), self.kl_weight / context.num_train_samples)


def kl_divergence(log_alpha: Tensor) -> Tensor:
    """KL of N(w, alpha w^2) from the log-uniform prior, by a fit with an error below 0.01; goes to 0 as alpha grows."""
    k1, k2, k3 = KL_SIGMOID
    return k1 - k1 * torch.sigmoid(k2 + k3 * log_alpha) + 0.5 * F.softplus(-log_alpha)


class SparseNoise(nn.Module):
    """Holds log sigma^2 of one layer's weights. It is the identity at its site, and changes the next layer's output."""

    def __init__(self, name: str, layer: WeightLayer, settings: SparseVariationalDropout, stream: MaskStream) -> None:
        super().__init__()
        self.name, self._layer = name, (layer,)  # in a tuple, so that it is not registered twice
        self._stream, self._normals = stream, Normals(stream)
        self._of_last_pass = OfLastPass()
        self._prune_log_alpha, self._speed = settings.prune_log_alpha, settings.log_variance_speed
        start = settings.initial_log_variance / settings.log_variance_speed
        self.scaled_log_variance = nn.Parameter(torch.full_like(layer.weight, start))

    def forward(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def log_alpha(self) -> Tensor:
        """Log of sigma^2 / W^2, clipped to [-8, 8], of every weight."""
        log_variance = self._speed * self.scaled_log_variance
        log_alpha = log_variance - (self._layer[0].weight.square() + 1e-8).log()
        return log_alpha.clamp(-LARGEST_LOG_ALPHA, LARGEST_LOG_ALPHA)

    def divergences(self) -> Tensor:
        """Numbers (n,) whose sum is that of KL over the weights; the fused kernel computes them with the noise."""
        computed = self._of_last_pass.take()
        return kl_divergence(self.log_alpha()).sum()[None] if computed is None else computed

    def forget_pass(self) -> None:
        """Free the graph of the last pass, which no penalty asks for."""
        self._of_last_pass.take()

    def perturb(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the layer: its output with noise in training, with pruned weights in eval mode."""
        (layer,) = self._layer
        if self.training and not torch.compiler.is_compiling() and can_be_fused(layer, inputs[0], self.perturb):
            law = SparseLaw(self._speed, LARGEST_LOG_ALPHA, KL_SIGMOID)
            output, divergences = noisy_output(layer, inputs[0], output, self.scaled_log_variance, self._stream, law)
            self._of_last_pass.put(divergences)
            return output
        if self.training:
            variance = self.log_alpha().exp() * layer.weight.square()
            return with_noise(layer, inputs[0], output, variance, self._normals)
        return with_weights(layer, inputs[0], layer.weight * (self.log_alpha() <= self._prune_log_alpha), layer.bias)


@dataclass(frozen=True)
class _Divergence(Hooks):
    """The penalty; logs the fraction of pruned weights."""

    settings: SparseVariationalDropout
    noises: Sequence[SparseNoise]
    weight: float

    def penalty(self, step: Step) -> Tensor | None:
        start, end = self.settings.warmup_start, self.settings.warmup_end
        if step.progress < start or self.weight == 0 or not self.noises:
            for noise in self.noises:
                noise.forget_pass()
            return None
        share = 1.0 if step.progress >= end else (step.progress - start) / (end - start)
        return share * self.weight * torch.cat([noise.divergences() for noise in self.noises]).sum()

    @torch.no_grad()
    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return {
            f"sparse_variational_dropout.pruned/{noise.name}": float(
                (noise.log_alpha() > self.settings.prune_log_alpha).float().mean()
            )
            for noise in self.noises
        }
