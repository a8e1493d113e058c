"""Label smoothing mixes the target with the uniform distribution (Szegedy et al. 2016, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.regularizers.base import Batch, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_rate


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Regularizer):
    """Trains towards (1 - amount) onehot + amount / K instead of the class itself. Needs class targets."""

    amount: float = 0.1  # in [0, 1)

    off: ClassVar[dict[str, Scalar]] = {"amount": 0.0}
    needs_class_targets: ClassVar[bool] = True
    formula: ClassVar[str] = "y <- (1 - amount) y + amount / K"
    source: ClassVar[str] = "Szegedy et al. 2016, section 7"

    def __post_init__(self) -> None:
        """Check the amount."""
        check_rate(self, "amount")

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """The batch with smoothed targets."""
        if self.amount == 0:
            return batch
        return Batch(batch.inputs, batch.targets * (1 - self.amount) + self.amount / batch.targets.shape[1])
