"""Figure 5-1 of Mianjy's thesis: a calculation without training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tasks.attacks.loss import logistic_loss
from tasks.calculation import Calculation, calculation_protocol
from tasks.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class LinearBound(Calculation):
    """The logistic loss over margins z <= 0, and the line 1 - z / ln 2 that bounds it there (eq. 5.13).

    Metrics: `base_2_loss/z` = log2(1 + e^-z), `natural_loss/z` = ln(1 + e^-z) and `linear_bound/z` on a grid of
    margins, and `largest_violation`, the largest amount by which the larger loss exceeds the line: 0 if the bound
    holds. At z = 0 the line equals the loss to base 2.
    """

    protocol: Protocol
    smallest_margin: float = -4.0
    num_margins: int = 81
    metric: str = "largest_violation"
    higher_is_better: bool = False

    def readings(self, scale: str) -> Mapping[str, float]:
        """Both losses and the line."""
        z = torch.linspace(self.smallest_margin, 0, self.num_margins, dtype=torch.float64)
        natural = logistic_loss(z)
        curves = {
            "base_2_loss": natural / math.log(2),
            "natural_loss": natural,
            "linear_bound": 1 - z / math.log(2),
        }
        above = (curves["base_2_loss"] - curves["linear_bound"]).max()
        rounding = 4 * torch.finfo(z.dtype).eps
        numbers = {
            f"{name}/{float(margin):.2f}": float(value)
            for name, values in curves.items()
            for margin, value in zip(z, values, strict=True)
        }
        return {"largest_violation": float(above) if float(above) > rounding else 0.0, **numbers}


THESIS_FIG5_1 = LinearBound(
    protocol=calculation_protocol(
        "Mianjy's thesis, section 5.4, figure 5-1 (the base of the logarithm is not given there; the bound is on the "
        "loss to base 2, which is at least the 0-1 loss, and that to base e lies below it as well)"
    )
)
"""The logistic loss for margins below 0 under its linear bound: a calculation."""
