"""Adversarial training with attacks on the reflected loss (Mianjy's thesis, section 6.2 and Algorithm 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.regularizers.adversarial_training import AdversarialTraining, AttackedLoss


@dataclass(frozen=True, kw_only=True)
class ReflectedAdversarialTraining(AdversarialTraining):
    """Adversarial training whose attacks maximise l_-(z) = -l(-z), which has large gradients where z is large.

    z is the margin of the true class; with more than two classes the attack maximises log p of the likeliest wrong
    class (section 6.5.3), unless `reflection` says otherwise.

    It is `adversarial_training` with another default of `loss`, registered as a separate regularizer so that tables
    compare both. It is the only regularizer that derives from another one.
    """

    loss: AttackedLoss = "reflected"

    formula: ClassVar[str] = "x <- argmax_{||x' - x|| <= radius} -loss(-margin(f(x'), y))"
    source: ClassVar[str] = (
        "Mianjy's thesis, section 6.2 and Algorithm 6, section 6.5.3 for many classes; defaults of R-PGD-inf in 6.5.2"
    )
