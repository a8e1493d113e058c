"""Concrete dropout learns its drop rates by gradient descent (Gal, Hron and Kendall 2017, arXiv:1705.07832)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.learned import OfLastPass, relaxed_mask
from tasks.regularizers.parts.checks import check_at_least, check_rate
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, WeightLayer


@dataclass(frozen=True, kw_only=True)
class ConcreteDropout(Regularizer):
    """Dropout with one learned rate per site, through a mask that is differentiable in the rate; eval is the identity.

    The mask relaxes Ber(drop) to z = sigmoid((logit(drop) + logit(u)) / temperature), u uniform in [0, 1), and y =
    x (1 - z) / (1 - drop). The penalty is the Kullback-Leibler divergence divided by the number N of training samples:
    a weight penalty l^2 ||W||^2 / (2 (1 - drop)) on the layer that reads the site, minus the entropy K H(drop) of the
    mask of its K units, which pulls the rate towards 1/2. W is the layer's weight; the paper's M is W / (1 - drop).
    """

    initial_drop_rate: float = 0.1  # in [0, 1); 0 switches the method off
    temperature: float = 0.1  # >= 1e-3; at 0 the mask would be Bernoulli
    length_scale: float = 1e-2  # >= 0, l of the prior
    kl_weight: float = 1.0  # >= 0; 1 for a log likelihood, 2 for a squared error without the factor 1/2

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "hidden")
    off: ClassVar[dict[str, Scalar]] = {"initial_drop_rate": 0.0}
    formula: ClassVar[str] = "loss + (l^2 ||W||^2 / (2 (1 - drop)) - K H(drop)) / N, drop learned"
    source: ClassVar[str] = "Gal et al. 2017, eqs. 2 to 5; defaults of their released code"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "initial_drop_rate")
        check_at_least(self, "temperature", 1e-3)
        check_at_least(self, "length_scale", 0)
        check_at_least(self, "kl_weight", 0)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """One mask module per site, whose rate the network's optimizer learns; the divergence as penalty."""
        if self.initial_drop_rate == 0:
            return self
        masks = {}
        for site in self.chosen_sites(network):
            assert site.shape is not None
            masks[site] = ConcreteMask(self, context, context.masks(site.name), site.shape[0], site.next_layer)
        for site, mask in masks.items():
            site.fill(mask)
        return _Divergence(self, masks, context.num_train_samples)


class ConcreteMask(nn.Module):
    """A relaxed Bernoulli mask; `logit` of the drop rate is a parameter.

    Args:
        settings: temperature, initial rate and length scale.
        context: of the training.
        stream: of the draws.
        num_units: K of the site.
        layer: that reads the site, if any.
    """

    def __init__(
        self,
        settings: ConcreteDropout,
        context: Context,
        stream: MaskStream,
        num_units: int = 1,
        layer: WeightLayer | None = None,
    ) -> None:
        super().__init__()
        rate = settings.initial_drop_rate
        self.logit = nn.Parameter(torch.tensor(math.log(rate / (1 - rate)), device=context.device))
        self._temperature, self._length_scale, self._stream = settings.temperature, settings.length_scale, stream
        self._num_units, self._layer = num_units, (layer,)  # in a tuple, so that it is not registered twice
        self._of_last_pass = OfLastPass()

    def forward(self, x: Tensor) -> Tensor:
        """Masked and rescaled in training, `x` itself in eval mode."""
        if not self.training:
            return x
        if is_fused(x):
            return self._fused(x)
        uniform = self._stream.uniform(tuple(x.shape), dtype=x.dtype)
        dropped = torch.sigmoid((self.logit + torch.logit(uniform, eps=1e-7)) / self._temperature)
        multiplier = (1 - dropped) / torch.sigmoid(-self.logit)  # in 32 bits, since the logit is
        return (x * multiplier).to(x.dtype)

    def _fused(self, x: Tensor) -> Tensor:
        """Likewise, with the divergence, in two launches."""
        (layer,) = self._layer
        y, divergence = relaxed_mask(
            x,
            self.logit,
            self._stream,
            self._temperature,
            weight=None if layer is None else layer.weight,
            entropy_factor=self._num_units,
            norm_factor=self._length_scale**2 / 2,
        )
        self._of_last_pass.put(divergence)
        return y

    def divergence(self) -> Tensor:
        """The Kullback-Leibler term of the site, up to a constant; the fused kernel computes it with the mask."""
        computed, (layer,) = self._of_last_pass.take(), self._layer
        if computed is not None:
            return computed
        term = self.negative_entropy() * self._num_units
        if layer is None:
            return term
        return term + self._length_scale**2 / 2 * layer.weight.square().sum() / torch.sigmoid(-self.logit)

    def negative_entropy(self) -> Tensor:
        """Negative entropy of one unit's mask, d log d + (1 - d) log(1 - d) at drop rate d; <= 0, smallest at 1/2."""
        both = torch.stack([self.logit, -self.logit])
        return (torch.sigmoid(both) * F.logsigmoid(both)).sum()


@dataclass
class _Divergence(Hooks):
    settings: ConcreteDropout
    masks: dict[Site, ConcreteMask]
    num_train_samples: int

    def penalty(self, step: Step) -> Tensor:
        terms = [mask.divergence() for mask in self.masks.values()]
        return torch.stack(terms).sum() * (self.settings.kl_weight / self.num_train_samples)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return {
            f"drop_rate/{site.name}": float(torch.sigmoid(mask.logit.detach())) for site, mask in self.masks.items()
        }
