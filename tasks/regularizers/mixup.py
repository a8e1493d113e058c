"""Mixup trains on blends of pairs of examples (Zhang et al. 2018, arXiv:1710.09412, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.regularizers.base import Batch, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least


@dataclass(frozen=True, kw_only=True)
class Mixup(Regularizer):
    """Replaces (x, y) by lam (x, y) + (1 - lam)(x', y'), with one lam ~ Beta(alpha, alpha) per batch.

    The partner of an example is its neighbour in the batch, which is in random order already. Needs class targets.
    """

    alpha: float = 1.0  # >= 0; larger blends more evenly, 0 is off

    off: ClassVar[dict[str, Scalar]] = {"alpha": 0.0}
    needs_class_targets: ClassVar[bool] = True
    formula: ClassVar[str] = "(x, y) <- lam (x, y) + (1 - lam)(x', y'), lam ~ Beta(alpha, alpha)"
    source: ClassVar[str] = "Zhang et al. 2018, section 2; alpha = 1 for CIFAR in section 3.2"

    def __post_init__(self) -> None:
        """Check alpha."""
        check_at_least(self, "alpha", 0)

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """The batch with every example blended."""
        if self.alpha == 0:
            return batch
        return blend(batch, float(step.rng.beta(self.alpha, self.alpha)))


def blend(batch: Batch, lam: float) -> Batch:
    """Lam times each example plus 1 - lam times its neighbour in the batch."""
    return Batch(*(tensor * lam + tensor.roll(1, 0) * (1 - lam) for tensor in batch))
