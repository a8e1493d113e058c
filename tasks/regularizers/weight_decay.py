"""Weight decay pulls every weight towards zero (Krogh and Hertz 1991; coupled form of SGD)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tasks.regularizers.base import OptimizerSettings, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_at_least


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Regularizer):
    """Steps along gradient + rate * weight, so that weights without a gradient shrink geometrically.

    Under plain SGD it equals the penalty rate / 2 * ||w||^2; with the optimizer `adamw` the decay is decoupled from the
    gradient (see `OptimizerSettings`). The rate is added to the protocol's own weight decay, and applies to all trained
    parameters of the network, biases and norms included, but not to parameters that other regularizers add.
    """

    rate: float = 5e-4  # >= 0; Tang et al. 2020, experiments on conv layers

    off: ClassVar[dict[str, Scalar]] = {"rate": 0.0}
    formula: ClassVar[str] = "w <- w - learning_rate (gradient + rate w)"
    source: ClassVar[str] = "Krogh and Hertz 1991, eq. 2; default of Tang et al. 2020, experiments on conv layers"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_at_least(self, "rate", 0)

    def optimizer_settings(self, settings: OptimizerSettings) -> OptimizerSettings:
        """The same optimizer with this rate added."""
        return replace(settings, weight_decay=settings.weight_decay + self.rate)
