"""LocalDrop learns keep rates and trims the spectrum of every layer (Lu et al. 2021, arXiv:2103.00719)."""

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
    """Alternates descent with dropout of learned keep rates and shrinkage of the small singular values of the weights.

    The loss, summed over the n training samples, is charged with lam * Reg (eq. 11); beside the mean loss of a batch
    that is lam / n * Reg. Reg = sum_l ||theta_(l-1)|| sum_{j > h} sigma_j(W_l), theta the keep rates of what the layer
    l reads: one per unit for dense layers (and for the features of an input that a dense layer reads), a matrix
    for conv layers that follows from one learned DropBlock rate per site (`form`: its exact marginals, or the paper's
    union bound). Three things alternate:

    * every step: descent on the weights with sampled masks, the penalty left aside;
    * every `keep_interval_steps`: one gradient step on the keep rates, on the mean loss of the network with the rates
      themselves as multipliers, plus lam / n * Reg; then projection to [0.001, 1], drop rates to [0, 0.5]. The paper
      takes one with every step on the weights, that is 1; the default is ours, for speed, since such a step costs
      about as much as one on the weights;
    * every `m` epochs at scale `paper`, at the same share of a shorter training: the singular values beyond the first h
      of each layer but the output are shrunk by C = lam ||theta|| and stop at zero, which is the proximal step on the
      penalty. A layer that reads no masked site has C = lam. (Eq. 24 prints the difference without the stop. No variant
      offers that: a value below C would come back as the rest, C minus itself, and below C / 2 larger than before.) The
      paper's k1, the epoch before which nothing is shrunk, is not given there; here it is m.

    The sum is over all layers, the output included: its singular values are charged to the rates that it reads, though
    never shrunk (line 10 of the algorithm). h is counted per layer kind: `h_dense_fraction` of the rank of dense
    layers; `h_conv` of the three singular values of a 3x3 kernel, and k - 3 more of a k x k one, so that as many are
    shrunk (1x1 kernels are always left alone). A block larger than the map is cut to it.

    With the `scaling` none, the paper's, masks are not rescaled in training and eval multiplies by the rates: training
    begins with everything halved behind dense sites whose rates start at 1/2. With `start`, what a dense or input site
    lets through is divided by its keep rate at the start, in training and in eval mode: evaluated before training, the
    network is the unregularized one.

    With the printed norm `l2`, C is large against usual weights, so that shrinkage is nearly truncation; `rms` divides
    by the square root of the number of rates.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs at scale paper from one shrinkage to the next
    h_dense_fraction: float = 2000 / 2048  # in [0, 1], share of the singular values that is left alone
    h_conv: int = 2  # >= 0, of a 3x3 kernel; at or above 3: off
    block_size: int = 7  # >= 1, cut to the map
    unit_drop_rate: float = 0.5  # in [0, 1), where the learned rates of dense units start
    input_drop_rate: float = 0.1  # in [0, 1), likewise for the features of an input that a dense layer reads
    keep_interval_steps: int = 10  # >= 1; 1 in the paper
    c_norm: Norm = "l2"
    form: KeepForm = "exact"
    scaling: KeepScaling = "none"

    acts_on: ClassVar[tuple[str, ...]] = ("conv", "dense")
    also_acts_on: ClassVar[str] = "an input that a dense layer reads"
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
        """From one shrinkage to the next, at scale `paper`."""
        return self.m

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Learned masks at the sites, and every layer to charge, or to shrink as well."""
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
        """The two parts, the first charged with the penalty that the second keeps account of.

        `num_samples` is the number of training samples over which the paper's loss is summed.
        """
        steps = KeepRateSteps(
            label="localdrop",
            keeps=keeps,
            interval_steps=interval_steps,
            penalty_of_rates=lambda _: shrinkage.penalty_of_rates(num_samples),
        )
        return cls(steps=steps, shrinkage=shrinkage)

    def after_step(self, step: Step) -> None:
        """Stage one, second block."""
        self.steps.after_step(step)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """Stage two, and what both parts log."""
        return {**self.steps.after_epoch(epoch, network), **self.shrinkage.after_epoch(epoch, network)}

    def period_steps(self) -> int:
        """That of the first part."""
        return self.steps.period_steps()

    def period_epochs(self) -> int:
        """That of stage two."""
        return self.shrinkage.period_epochs()
