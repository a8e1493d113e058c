"""Corollary 4 of Mianjy's thesis as an experiment: the robust error of adversarial training of a halfspace."""

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
    """Algorithm 6 on f(x) = w.x, with one new point per step, for the number of steps in Corollary 4.

    Points have ||x|| = 1 and y v.x >= margin. An attack moves a point by at most `radius`; for a halfspace the optimal
    perturbation is -radius y w / ||w||, to which attacks on the reflected loss converge. The initial w has the norm
    1 / margin and a random direction. The runs differ in their training points and initial weights.

    Metrics: `robust_error`, the fraction of test points that an attack of this radius makes wrong, averaged over runs
    at the evaluation where this average is smallest, and its `standard_error` over runs; `robust_error_at_first`, the
    average before training; `bound`, 2 epsilon; `num_steps`.
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
        """Train all runs at once."""
        proved = halfspace_convergence(1.0, self.margin, self.radius, self.epsilon)
        num_steps = math.ceil(proved.num_steps)
        generator = torch_stream(0, "data/halfspaces")
        test_labels = torch.arange(self.num_test) % 2
        test = draw_points(test_labels, self.dimension, self.margin, generator) * (2 * test_labels - 1)[:, None]
        weights = torch.randn(self.num_runs, self.dimension, generator=generator, dtype=torch.float64)
        weights /= self.margin * weights.norm(dim=1, keepdim=True)
        errors = [self._robust_errors(weights, test)]
        # A halfspace without bias depends on y x only, so that all points can have the label 1.
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

    def _robust_errors(self, weights: Tensor, signed: Tensor) -> Tensor:
        """For each run, the fraction of points y x (rows of `signed`) with w.(y x) < radius ||w||."""
        errors: Tensor = (weights @ signed.mT < self.radius * weights.norm(dim=1, keepdim=True)).double().mean(1)
        return errors


THESIS_COROLLARY_4 = Halfspaces(
    protocol=calculation_protocol(
        "Mianjy's thesis, section 6.3, Corollary 4 and algorithm 6 (not run there: radius 0.1, margin 0.5, epsilon 0.2 "
        "and points on the unit sphere of 10 dimensions are ours)"
    )
)
"""Adversarial training of halfspaces for the number of steps in Corollary 4: a calculation."""
