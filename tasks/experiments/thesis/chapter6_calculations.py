"""Figures 6-1 and 6-2 of Mianjy's thesis, and its counterexample to greedy targets: calculations without training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tasks.attacks.grid import grid_search
from tasks.attacks.loss import LOSS_NAMES, greedy_target, logistic_loss, reflected_loss
from tasks.calculation import Calculation, calculation_protocol
from tasks.protocols import Protocol

TOP = (10, 100, 1000)


@dataclass(frozen=True, kw_only=True)
class LossCurves(Calculation):
    """The logistic loss and its reflection over the margin z, and whether they enclose the 0-1 loss.

    Metrics: `logistic_loss/z`, `reflected_loss/z` and `zero_one_loss/z` on a grid of margins, and `largest_violation`,
    the largest amount by which reflected <= 0-1 <= logistic / log(2) is violated: 0 if it holds.
    """

    protocol: Protocol
    largest_margin: float = 3.0
    num_margins: int = 61
    metric: str = "largest_violation"
    higher_is_better: bool = False

    def readings(self, scale: str) -> Mapping[str, float]:
        """All three losses."""
        half = self.num_margins // 2  # on each side of 0, which is one of the margins exactly
        z = self.largest_margin * torch.arange(-half, half + 1, dtype=torch.float64) / half
        curves = {
            "logistic_loss": logistic_loss(z),
            "reflected_loss": reflected_loss(z),
            "zero_one_loss": (z < 0).double(),
        }
        above = curves["zero_one_loss"] - curves["logistic_loss"] / math.log(2)
        below = curves["reflected_loss"] - curves["zero_one_loss"]
        numbers = {
            f"{name}/{float(margin):.2f}": float(value)
            for name, values in curves.items()
            for margin, value in zip(z, values, strict=True)
        }
        return {"largest_violation": float(torch.maximum(above, below).clamp(min=0).max()), **numbers}


@dataclass(frozen=True, kw_only=True)
class GridOfPerturbations(Calculation):
    """Label flips among the perturbations with the largest losses, and the example in which greedy targets fail.

    Metrics: `flips_in_top_k/loss` for k = 10, 100 and 1000 and the four losses of `tasks.attacks.loss`; the numbers of
    `feasible` points of the grid and of `flips` among them. For the example f = Wx with the rows (2, 0), (1, 0),
    (0, 10) of W at x = (1, 0) within the l_2 ball of radius 0.3: the smallest margin to the greedy target,
    `smallest_margin/greedy`, and to the third class, `smallest_margin/other`; negative if an attack can succeed.

    The value is `flips_in_top_100/margin`: the loss that figure 6-2 calls reflected.
    """

    protocol: Protocol
    num_points: int = 800
    metric: str = "flips_in_top_100/margin"
    higher_is_better: bool = True

    def readings(self, scale: str) -> Mapping[str, float]:
        """All four losses on one grid."""
        found = {name: grid_search((3.0, 2.0, 1.0), 0.51, 0.7078, self.num_points, name, TOP) for name in LOSS_NAMES}
        flips = {
            f"flips_in_top_{k}/{name}": float(search.flips_in_top[k]) for name, search in found.items() for k in TOP
        }
        whole = {"feasible": float(found["margin"].feasible), "flips": float(found["margin"].flips)}
        return {**flips, **whole, **_greedy_example()}


def _greedy_example(radius: float = 0.3) -> dict[str, float]:
    """Minima of f_1 - f_j over the ball: the value at the centre minus the radius times the norm of the gradient."""
    weights, point = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 10.0]]), torch.tensor([1.0, 0.0])
    slopes = weights[0] - weights[1:]
    smallest = slopes @ point - radius * slopes.norm(dim=1)
    greedy = int(greedy_target((weights @ point)[None], torch.tensor([0]))[0]) - 1
    return {
        "smallest_margin/greedy": float(smallest[greedy]),
        "smallest_margin/other": float(smallest[1 - greedy]),
    }


THESIS_FIG6_1 = LossCurves(protocol=calculation_protocol("Mianjy's thesis, section 6.2, figure 6-1"))
"""The logistic loss and its reflection about the origin, and the 0-1 loss between them: a calculation."""

THESIS_FIG6_2 = GridOfPerturbations(
    protocol=calculation_protocol(
        "Mianjy's thesis, section 6.5.1, figure 6-2 (800^3 points on an open interval, whose place is not given: here "
        "with both ends; the reflected loss of three classes is not defined there: all four forms are counted)"
    )
)
"""Label flips among the 10, 100 and 1000 perturbations of largest loss on a grid of 800^3 points: a calculation."""
