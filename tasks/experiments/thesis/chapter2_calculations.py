"""Theorem 7 of Mianjy's thesis from random starts, and its equalizing rotations: calculations without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.calculation import Calculation, calculation_protocol
from tasks.protocols import Protocol
from tasks.runtime.streams import torch_stream
from tasks.theory.landscape import critical_points, least_curvature, tied_objective
from tasks.theory.linear import equalizer, landscape_condition, shrinkage_threshold, universal_equalizer

_OPTIMAL = 1e-6  # of the objective, relative to ||M||^2, within which a critical point is a global optimum
_DOWNWARDS = -1e-3  # largest curvature that counts as that of a strict saddle


@dataclass(frozen=True, kw_only=True)
class CriticalPoints(Calculation):
    """Critical points of dropout's objective with tied weights, found from random starts.

    The searches minimise the squared gradient, so that they converge to minima and saddles. Metrics are sums over three
    problems that satisfy the condition of Theorem 7: `critical_points` found; of these, `global_optima`,
    `strict_saddles` (with negative curvature), and `spurious`, which are neither. The theorem says that there are no
    spurious ones.
    """

    protocol: Protocol
    num_starts: int = 60
    metric: str = "spurious"
    higher_is_better: bool = False

    def readings(self, scale: str) -> Mapping[str, float]:
        """Counts over all problems."""
        counts = dict.fromkeys(("critical_points", "global_optima", "strict_saddles", "spurious"), 0.0)
        for eigenvalues, width, lam in (((3.0, 2.0, 1.0), 2, 0.05), ((3.0, 2.0, 1.0), 2, 0.6), ((4.0, 2.0), 1, 0.3)):
            values = torch.tensor(eigenvalues, dtype=torch.float64)
            assert bool(landscape_condition(values, width, lam))
            for name, count in self._counts(values, width, lam).items():
                counts[name] += count
        return counts

    def _counts(self, eigenvalues: Tensor, width: int, lam: float) -> dict[str, int]:
        M = torch.diag(eigenvalues)
        generator = torch_stream(0, f"data/theorem7/{width}/{lam}")
        sizes = torch.linspace(0.2, 1.7, self.num_starts, dtype=torch.float64)[:, None, None]
        starts = sizes * torch.randn(self.num_starts, len(eigenvalues), width, generator=generator, dtype=torch.float64)
        points = critical_points(M, starts, lam)
        shrunk, _ = shrinkage_threshold(eigenvalues, width, lam)
        optimum = (eigenvalues - shrunk).square().sum() + lam / width * shrunk.sum().square()
        is_global = tied_objective(M, points, lam) - optimum <= _OPTIMAL * eigenvalues.square().sum()
        is_saddle = ~is_global & (least_curvature(M, points, lam) < _DOWNWARDS)
        return {
            "critical_points": len(points),
            "global_optima": int(is_global.sum()),
            "strict_saddles": int(is_saddle.sum()),
            "spurious": int((~is_global & ~is_saddle).sum()),
        }


@dataclass(frozen=True, kw_only=True)
class Equalizers(Calculation):
    """Rotations Q for which the columns of UQ have equal norms, by two constructions, for random U of five widths r.

    Metrics: `unevenness/recursive/r` and `unevenness/universal/r`, the largest relative deviation of a squared column
    norm from their mean; `largest_error`, the largest of these and of the relative changes of UU'.
    """

    protocol: Protocol
    metric: str = "largest_error"
    higher_is_better: bool = False

    def readings(self, scale: str) -> Mapping[str, float]:
        """Both constructions at each width."""
        numbers, errors = {}, []
        generator = torch_stream(0, "data/equalizers")
        for width in (1, 2, 4, 8, 16):
            U = torch.randn(6, width, generator=generator, dtype=torch.float64)
            for name, rotation in (("recursive", equalizer(U)), ("universal", universal_equalizer(U))):
                turned = U @ rotation
                squares = turned.square().sum(0)
                numbers[f"unevenness/{name}/{width}"] = float((squares / squares.mean() - 1).abs().max())
                errors.append(float((turned @ turned.mT - U @ U.mT).norm() / (U @ U.mT).norm()))
        return {"largest_error": max(*numbers.values(), *errors), **numbers}


THESIS_THEOREM_7 = CriticalPoints(
    protocol=calculation_protocol("Mianjy's thesis, section 2.3.2, Theorem 7 (60 random starts for each problem)")
)
"""Critical points of dropout with tied weights from random starts: optima and strict saddles, a calculation."""

THESIS_EQUALIZERS = Equalizers(
    protocol=calculation_protocol(
        "Mianjy's thesis, section 2.3, Theorem 1 with algorithm 2, and the universal rotation"
    )
)
"""Rotations that equalize the hidden units of a network, recursive and universal: a calculation."""
