"""LocalDrop learns keep rates and shrinks small singular values of layers (Lu et al. 2021, arXiv:2103.00719)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_rate
from tasks.regularizers.parts.keep_rate_steps import KeepRateSteps
from tasks.regularizers.parts.localdrop_sites import BlockKeep, Keep, KeepScaling, UnitKeep
from tasks.regularizers.parts.spectral_tails import Norm, Shrinkage, charged_tails
from tasks.sites import Site, sites_of
from tasks.theory.drop_rates import KeepForm


@dataclass(frozen=True, kw_only=True)
class LocalDrop(Regularizer):
    """Alternates training with learned keep rates and shrinkage of the small singular values of the weights.

    The loss summed over the n training samples gets the penalty lam * Reg (eq. 11), the mean loss lam / n * Reg.
    Reg = sum_l ||theta_(l-1)|| sum_{j > h} sigma_j(W_l), theta the keep rates of what the layer l reads: one per unit
    for dense layers (and for the features of an input that a dense layer reads), a matrix for conv layers that follows
    from one learned DropBlock rate per site (`form`: its exact marginals, or the paper's union bound). Three
    kinds of steps alternate:

    * every step: gradient descent on the weights with sampled masks, without the penalty;
    * every `keep_interval_steps`: one gradient step on the keep rates, on the mean loss of the network with the rates
      themselves as multipliers, plus lam / n * Reg; then projection of the keep rates of units to [0.001, 1], of the
      drop rates of blocks to [0, 0.5]. In the paper the interval is 1; the default is larger, for speed, since such a
      step costs about as much as one on the weights. For speed, too, the sums of singular values in Reg are computed at
      the first such step of an epoch and used until its end;
    * every `m` epochs at scale `paper`, and at the same fractions of a shorter training: the singular values beyond the
      first h of each layer but the output become max(sigma_j - C, 0), C = lam ||theta||, the proximal step on the
      penalty. A layer that reads no masked site has C = lam. (Eq. 24 prints sigma_j - C without the clamp. No variant
      offers that: a value below C would become C - sigma_j, which is larger than sigma_j below C / 2.) The paper does
      not give its k1, the epoch before which nothing is shrunk; here it is m.

    Reg includes the output layer: its singular values count in the penalty on the rates that it reads, but are not
    shrunk (line 10 of the algorithm). h depends on the kind of layer: `h_dense_fraction` of the rank of dense layers;
    `h_conv` of the three singular values of a 3x3 kernel, and k - 3 more for a k x k kernel, so that equally many are
    shrunk (1x1 kernels are never shrunk). A block larger than the map is cut to it.

    With `scaling` none, as in the paper, masks are not rescaled in training and eval multiplies by the rates; where
    rates start at 1/2, activations are then halved at the beginning of training. With `start`, the output of a dense or
    input site is divided by the initial keep rate, in training and in eval mode, so that before training the network in
    eval mode equals the unregularized one.

    With the printed norm `l2`, C is large compared with usual weights, so that shrinkage is nearly truncation; `rms`
    divides by the square root of the number of rates.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs at scale paper from one shrinkage to the next
    h_dense_fraction: float = 2000 / 2048  # in [0, 1], fraction of the singular values that is not shrunk
    h_conv: int = 2  # >= 0, of a 3x3 kernel; at or above 3: off
    block_size: int = 7  # >= 1, cut to the map
    unit_drop_rate: float = 0.5  # in [0, 1), initial value of the learned rates of dense units
    input_drop_rate: float = 0.1  # in [0, 1), likewise for the features of an input that a dense layer reads
    keep_interval_steps: int = 10  # >= 1; 1 in the paper
    c_norm: Norm = "l2"
    form: KeepForm = "exact"
    scaling: KeepScaling = "none"

    acts_on: ClassVar[tuple[str, ...]] = ("conv", "dense")
    also_acts_on: ClassVar[str] = "an input that a dense layer reads"
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {
        "lam": 0.0,
        "unit_drop_rate": 0.0,
        "input_drop_rate": 0.0,
        "keep_interval_steps": 10**9,
    }
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "mean loss + lam / n sum_l ||theta_(l-1)|| sum_{j>h} sigma_j(W_l)"
    source: ClassVar[str] = "Lu et al. 2021, eqs. 10, 16, 22 and algorithm 1; eq. 24 with the missing clamp at zero"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_count(self, "m", 1)
        check_rate(self, "h_dense_fraction", below_one=False)
        check_count(self, "h_conv", 0)
        check_count(self, "block_size", 1)
        check_rate(self, "unit_drop_rate")
        check_rate(self, "input_drop_rate")
        check_count(self, "keep_interval_steps", 1)
        check_choice(self, "c_norm", get_args(Norm))
        check_choice(self, "form", get_args(KeepForm))
        check_choice(self, "scaling", get_args(KeepScaling))

    def period_epochs(self) -> int:
        """Epochs from one shrinkage to the next, at scale `paper`."""
        return self.m

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Learned masks at the sites, and the layers whose singular values are penalised or shrunk."""
        inputs = [site for site in sites_of(network, ("input",)) if isinstance(site.next_layer, nn.Linear)]
        keeps = {}
        for site in inputs + self.chosen_sites(network):
            keeps[site] = self._keep(site, context)
            site.fill(keeps[site])
        tails = charged_tails(network, keeps, self.h_dense_fraction, self.h_conv, self.c_norm)
        shrinkage = Shrinkage(lam=self.lam, every_epochs=context.scaled_epochs(self.m), tails=tails)
        return Alternation.of(list(keeps.values()), shrinkage, self.keep_interval_steps, context.num_train_samples)

    def _keep(self, site: Site, context: Context) -> Keep:
        stream = context.masks(site.name)
        if site.kind == "conv":
            return BlockKeep(site, self.block_size, self.form, stream, context.device)
        drop_rate = self.input_drop_rate if site.kind == "input" else self.unit_drop_rate
        return UnitKeep(site, 1 - drop_rate, stream, context.device, self.scaling)


@dataclass(frozen=True, kw_only=True)
class Alternation(Hooks):
    """Both parts of LocalDrop: steps on the keep rates, and shrinkage of the weights."""

    steps: KeepRateSteps
    shrinkage: Shrinkage

    @classmethod
    def of(cls, keeps: list[Keep], shrinkage: Shrinkage, interval_steps: int, num_samples: int) -> Alternation:
        """Both parts, where the steps on the rates use the penalty that the shrinkage computes.

        `num_samples` is the number of training samples, over which the paper's loss is summed.
        """
        steps = KeepRateSteps(
            label="localdrop",
            keeps=keeps,
            interval_steps=interval_steps,
            penalty_of_rates=lambda _: shrinkage.penalty_of_rates(num_samples),
        )
        return cls(steps=steps, shrinkage=shrinkage)

    def after_step(self, step: Step) -> None:
        """The step on the keep rates (stage one of the algorithm)."""
        self.steps.after_step(step)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """The shrinkage (stage two of the algorithm); returns what both parts log."""
        return {**self.steps.after_epoch(epoch, network), **self.shrinkage.after_epoch(epoch, network)}

    def period_steps(self) -> int:
        """The period of the steps on the keep rates."""
        return self.steps.period_steps()

    def period_epochs(self) -> int:
        """The period of the shrinkage."""
        return self.shrinkage.period_epochs()
