"""Variational dropout learns the variance of Gaussian dropout noise (Kingma et al. 2015, arXiv:1506.02557)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.learned import OfLastPass, learned_noise
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_rate
from tasks.regularizers.parts.local_reparametrization import Normals, with_noise
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, WeightLayer

Form = Literal["A", "B"]
KL_POLYNOMIAL = (1.161451241083230, -1.502041176441722, 0.586299206427007)  # Kingma et al. 2015, eq. 14


@dataclass(frozen=True, kw_only=True)
class VariationalDropout(Regularizer):
    """Gaussian noise of learned variance alpha in (0, 1) per unit (per channel of maps), and its divergence as penalty.

    The penalty is (kl_weight / number of training samples) sum KL(alpha), where KL is the divergence from the
    log-uniform prior, which decreases with alpha; with kl_weight 1 the objective is the variational bound. The sum has
    a term for every random variable: the factors in form `A`, the weights in form `B`.

    * form `A`: every activation is multiplied by 1 + sqrt(alpha) eps, eps ~ N(0, 1); one term for each alpha;
    * form `B`: the weights that read the unit are independent N(w, alpha w^2): sqrt(x^2 (alpha o W^2)) eps is added to
      the next layer's output, and each alpha has a term for each of its weights. Sites without a `next_layer` are left
      out.

    alpha = sigmoid(alpha_speed a), where the network's optimizer learns a without weight decay: under gradient descent
    the logit changes alpha_speed^2 times as fast as it would with a speed of 1. Eval is the identity.
    """

    initial_alpha: float = 0.5  # in [0, 1); drop_rate / (1 - drop_rate) of the dropout with this variance
    kl_weight: float = 1.0  # >= 0
    form: Form = "A"
    alpha_speed: float = 10.0  # >= 1e-6

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "conv")
    off: ClassVar[dict[str, Scalar]] = {"initial_alpha": 0.0}
    formula: ClassVar[str] = "y = x (1 + sqrt(alpha) eps); loss - (w / N) sum (log(alpha) / 2 + sum_i c_i alpha^i)"
    source: ClassVar[str] = "Kingma et al. 2015, sections 3.1 and 3.2, eq. 14; neuron-wise as in Zhai and Wang 2018"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "initial_alpha")
        check_at_least(self, "kl_weight", 0)
        check_choice(self, "form", get_args(Form))
        check_at_least(self, "alpha_speed", 1e-6)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Noise with a learned variance at every site, or on every layer that reads one."""
        if self.initial_alpha == 0:
            return self
        last = {site.next_layer: site for site in self.chosen_sites(network)}  # a layer may read several sites
        noises: list[LearnedNoise] = []
        for site in self.chosen_sites(network):
            stream, layer = context.masks(site.name), site.next_layer
            if self.form == "A":
                noises.append(ActivationNoise(self, site, stream))
            elif layer is not None and last[layer] is site:
                noises.append(WeightNoise(self, site, layer, stream))
                layer.register_forward_hook(noises[-1].perturb)
            else:
                continue
            site.fill(noises[-1].to(context.device))
        return _Divergence(noises, self.kl_weight / context.num_train_samples)


def kl_divergence(logit: Tensor) -> Tensor:
    """KL of N(1, alpha) noise from the log-uniform prior, up to a constant, for alpha = sigmoid(logit).

    A polynomial fit for alpha in (0, 1]. Its derivative in alpha has a relative error below 4 % for alpha from 0.02 to
    0.9, and an absolute error below 0.06 from there to 1.
    """
    alpha = logit.sigmoid()
    c1, c2, c3 = KL_POLYNOMIAL
    return -(0.5 * F.logsigmoid(logit) + alpha * (c1 + alpha * (c2 + alpha * c3)))


class LearnedNoise(nn.Module):
    """Holds the logits of alpha; the identity at its site, unless a subclass overrides `forward`."""

    num_sharing = 1  # number of random variables with the same alpha

    def __init__(self, settings: VariationalDropout, name: str, num_units: int, stream: MaskStream) -> None:
        super().__init__()
        self.name, self._stream, self._speed = name, stream, settings.alpha_speed
        start = math.log(settings.initial_alpha / (1 - settings.initial_alpha)) / settings.alpha_speed
        self.scaled_logit = nn.Parameter(torch.full((num_units,), start))

    def logit(self) -> Tensor:
        """Logit of alpha, one per unit."""
        return self._speed * self.scaled_logit

    def divergence(self) -> Tensor:
        """The sum of KL over all random variables."""
        return self.num_sharing * kl_divergence(self.logit()).sum()

    def forget_pass(self) -> None:
        """Free what the last pass left for a penalty."""

    def forward(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def perturb(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the layer that reads the site; returns the changed output."""
        return output


class ActivationNoise(LearnedNoise):
    """Form A at one site: one alpha per unit of a dense layer or channel of maps."""

    def __init__(self, settings: VariationalDropout, site: Site, stream: MaskStream) -> None:
        assert site.shape is not None
        super().__init__(settings, site.name, site.shape[0], stream)
        self._of_last_pass = OfLastPass()

    def divergence(self) -> Tensor:
        """As of every noise; the fused kernel computes it with the noise."""
        computed = self._of_last_pass.take()
        return super().divergence() if computed is None else computed

    def forget_pass(self) -> None:
        """Free the divergence of the last pass, and its graph."""
        self._of_last_pass.take()

    def forward(self, x: Tensor) -> Tensor:
        """Noisy in training, `x` itself in eval mode."""
        if not self.training:
            return x
        if is_fused(x):
            y, divergence = learned_noise(x, self.scaled_logit, self._stream, self._speed, KL_POLYNOMIAL)
            self._of_last_pass.put(divergence)
            return y
        size = self.logit().sigmoid().sqrt().view(-1, *[1] * (x.dim() - 2))
        factors = 1 + size * self._stream.normal(tuple(x.shape), x.dtype)
        return (x * factors).to(x.dtype)  # the factors have 32 bits, and so would all that follows


class WeightNoise(LearnedNoise):
    """Form B on the layer that reads one site: one alpha per input unit or channel of that layer."""

    def __init__(self, settings: VariationalDropout, site: Site, layer: WeightLayer, stream: MaskStream) -> None:
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        super().__init__(settings, site.name, layer.weight.shape[1] * groups, stream)
        self.num_sharing = layer.weight.numel() // len(self.scaled_logit)
        self._groups, self._normals = groups, Normals(stream)

    def perturb(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """The output with the noise of the weights, in training."""
        if not self.training:
            return output
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        weight = layer.weight
        grouped = weight.square().view(self._groups, -1, *weight.shape[1:])
        alpha = self.logit().sigmoid().view(self._groups, 1, -1, *[1] * (weight.dim() - 2))
        return with_noise(layer, inputs[0], output, (grouped * alpha).view(weight.shape), self._normals)


@dataclass(frozen=True)
class _Divergence(Hooks):
    """The penalty; logs the mean alpha of every site."""

    noises: Sequence[LearnedNoise]
    weight: float

    def penalty(self, step: Step) -> Tensor | None:
        if self.weight == 0 or not self.noises:
            for noise in self.noises:
                noise.forget_pass()
            return None
        return self.weight * torch.stack([noise.divergence() for noise in self.noises]).sum()

    @torch.no_grad()
    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return {
            f"variational_dropout.alpha/{noise.name}": float(noise.logit().sigmoid().mean()) for noise in self.noises
        }
