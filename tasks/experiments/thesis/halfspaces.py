"""Corollary 4 of Mianjy's thesis run: adversarial training of a halfspace reaches the robust error that is proved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.calculation import Calculation, calculation_protocol
from tasks.datasets.separable import draw_points
from tasks.protocols import Protocol
from tasks.runtime.streams import torch_stream
from tasks.theory.adversarial_bounds import halfspace_convergence


@dataclass(frozen=True, kw_only=True)
class Halfspaces(Calculation):
    """Algorithm 6 on f(x) = w.x, one fresh point a step, for as many steps as Corollary 4 asks for.

    Points have ||x|| = 1 and y v.x >= margin. An attack moves a point by up to `radius`; for a halfspace the worst one
    is -radius y w / ||w||, which is where attacks on the reflected loss come to. The first w has the norm 1 / margin
    and a random direction. All runs are of one calculation, and differ by their points.

    Readings: `robust_error`, the share of test points within the attack's reach, in the mean over runs at the step
    where that is least; `robust_error_at_first` before training; `standard_error` over runs of the former; `bound`,
    2 epsilon; `num_steps`.
    """

    protocol: Protocol
    dimension: int = 10
    margin: float = 0.5
    radius: float = 0.1
    epsilon: float = 0.2
    num_runs: int = 20
    num_test: int = 2000
    metric: str = "robust_error"
    higher_is_better: bool = False

    def readings(self, scale: str) -> Mapping[str, float]:
        """All runs at once."""
        proved = halfspace_convergence(1.0, self.margin, self.radius, self.epsilon)
        num_steps = math.ceil(proved.num_steps)
        generator = torch_stream(0, "data/halfspaces")
        test_labels = torch.arange(self.num_test) % 2
        test = draw_points(test_labels, self.dimension, self.margin, generator) * (2 * test_labels - 1)[:, None]
        weights = torch.randn(self.num_runs, self.dimension, generator=generator, dtype=torch.float64)
        weights /= self.margin * weights.norm(dim=1, keepdim=True)
        errors = [self._robust_errors(weights, test)]
        # The label of a point only turns it over: y x is all that a halfspace without bias sees.
        ones = torch.ones(self.num_runs, dtype=torch.int64)
        for step in range(1, num_steps + 1):
            points = draw_points(ones, self.dimension, self.margin, generator)
            attacked = points - self.radius * weights / weights.norm(dim=1, keepdim=True)
            slopes = torch.sigmoid(-(weights * attacked).sum(1, keepdim=True))
            weights = weights + proved.step_size * slopes * attacked
            if step % 100 == 0 or step == num_steps:
                errors.append(self._robust_errors(weights, test))
        means = torch.stack(errors).mean(1)
        best = errors[int(means.argmin())]
        return {
            "robust_error": float(means.min()),
            "robust_error_at_first": float(means[0]),
            "standard_error": float(best.std() / math.sqrt(self.num_runs)),
            "bound": proved.error,
            "num_steps": float(num_steps),
        }

    def _robust_errors(self, weights: Tensor, turned: Tensor) -> Tensor:
        """Of each run: the share of points y x with w.(y x) < radius ||w||."""
        errors: Tensor = (weights @ turned.mT < self.radius * weights.norm(dim=1, keepdim=True)).double().mean(1)
        return errors


THESIS_COROLLARY_4 = Halfspaces(
    protocol=calculation_protocol(
        "Mianjy's thesis, section 6.3, Corollary 4 and algorithm 6 (not run there: radius 0.1, margin 0.5, epsilon 0.2 "
        "and points on the unit sphere of 10 dimensions are ours)"
    )
)
"""Adversarial training of halfspaces for as many steps as Corollary 4 asks for: a calculation."""
