"""A probe that logs a bound on the network's Rademacher complexity during training, which it does not change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_rate
from tasks.regularizers.parts.joint_rates import joint_rates
from tasks.sites import Site, WeightLayer, sites_of
from tasks.theory.rademacher import BoundVariant, convolutional_log_term, dense_log_term, rademacher_log_bound


@dataclass(frozen=True, kw_only=True)
class RademacherProbe(Regularizer):
    """Logs the decimal logarithm of LocalDrop's Rademacher bound every `every_epochs` epochs; training is unchanged.

    Combine it with a regularizer: `localdrop+rademacher_probe` logs the bound and the error. Every conv and dense layer
    contributes one factor: the norm of the keep rates of what it reads, times the sum of its singular values
    beyond the first h. The keep rates are the factors of the sites in eval mode; those of several sites that one layer
    reads are multiplied. Where they are 1 (no mask, or masks that are rescaled in training) the norm is left out, as in
    the bounds without dropout. If pooling lies between site and layer, the norm for a dense layer is over the features
    that it reads, with the mean square of the site's rates; for a conv layer it is over the map at the site. B is the
    norm of all augmented inputs of the epoch.
    """

    untouched_dense_fraction: float = 0.0  # in [0, 1], h as a fraction of each dense layer's singular values
    untouched_conv: int = 0  # >= 0, h of each kernel
    delta: float = 1.0  # >= 0, bound on the mean squared output of every layer
    variant: BoundVariant = "derived"
    every_epochs: int = 1  # >= 1

    off: ClassVar[dict[str, Scalar]] = {"every_epochs": 10**9}
    only_measures: ClassVar[bool] = True
    formula: ClassVar[str] = "k R_L, R_l = sqrt(delta) + 2 T_l R_(l-1), T_l = ||theta_(l-1)|| sum_{j>h} sigma_j(W_l)"
    source: ClassVar[str] = "Lu et al. 2021, theorems 1 and 2 and section 3.4; figure 2"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "untouched_dense_fraction", below_one=False)
        check_count(self, "untouched_conv", 0)
        check_at_least(self, "delta", 0)
        check_choice(self, "variant", get_args(BoundVariant))
        check_count(self, "every_epochs", 1)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without a layer."""
        if any(isinstance(module, nn.Linear | nn.Conv2d) for module in network.modules()):
            return None
        return "RademacherProbe needs a conv or dense layer; the network has none."

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The hooks of the probe, which read the weights and change nothing."""
        return _Probe(self)


@torch.no_grad()
def log_bound_of(network: nn.Module, settings: RademacherProbe, data_norm: float, num_examples: int, k: int) -> float:
    """Natural logarithm of the bound for the current weights of `network`."""
    rates_read = _rates_read(network)
    terms, sizes = [], []
    for layer in (module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)):
        rates = rates_read.get(layer)
        weight = layer.weight.double()
        if isinstance(layer, nn.Conv2d):
            terms.append(convolutional_log_term(weight, rates, settings.untouched_conv, layer.groups))
            sizes.append(weight.numel())
        else:
            h = round(settings.untouched_dense_fraction * min(weight.shape))
            # The layer may read fewer features than the site has, after pooling: keep the mean square of the rates.
            vector = None if rates is None else rates.square().mean().sqrt().expand(weight.shape[1])
            terms.append(dense_log_term(weight, vector, h))
            sizes.append(1)
    printed_sizes = sizes if settings.variant == "printed" else None
    return float(rademacher_log_bound(terms, data_norm, num_examples, k, settings.delta, printed_sizes))


def _rates_read(network: nn.Module) -> dict[WeightLayer, Tensor]:
    """For each layer that reads masked sites, the product of their keep rates."""
    read: dict[WeightLayer, list[Tensor]] = {}
    for site in sites_of(network):
        rates = None if site.next_layer is None else _multipliers(site, site.next_layer.weight.device)
        if site.next_layer is not None and rates is not None:
            read.setdefault(site.next_layer, []).append(rates)
    return {layer: joint_rates(of_sites) for layer, of_sites in read.items()}


def _multipliers(site: Site, device: torch.device) -> Tensor | None:
    """The factors of one sample at the site in eval mode; None where all are 1."""
    if not len(site.fillings) or site.shape is None:
        return None
    was_training = site.training
    rates: Tensor = site.eval()(torch.ones(1, *site.shape, device=device))[0].double()
    site.train(was_training)
    return None if bool((rates == 1).all()) else rates


class _Probe(Hooks):
    """Sums the squares of the inputs of an epoch, then computes the bound."""

    def __init__(self, settings: RademacherProbe) -> None:
        self._settings = settings
        self._squares: list[Tensor] = []
        self._num_examples, self._num_classes = 0, 1

    def after_step(self, step: Step) -> None:
        if step.batch is not None and step.epoch % self._settings.every_epochs == 0:
            self._squares.append(step.batch.inputs.double().square().sum())
            self._num_examples += len(step.batch.inputs)
            self._num_classes = step.batch.targets[0].numel()

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        if not self._squares:
            return {}
        data_norm = float(torch.stack(self._squares).sum().sqrt())
        log_bound = log_bound_of(network, self._settings, data_norm, self._num_examples, self._num_classes)
        self._squares, self._num_examples = [], 0
        return {"rademacher_probe.log10_bound": log_bound / math.log(10)}

    def period_epochs(self) -> int:
        return self._settings.every_epochs
