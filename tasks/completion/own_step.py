"""The SGD step of a factor model by `tasks.theory.completion_kernels`, with the masks of the regularizer's modules."""

from __future__ import annotations

from typing import Protocol as Interface
from typing import runtime_checkable

from torch import Tensor, nn

from tasks.completion.factor_model import FactorModel
from tasks.regularizers.base import Batch, Step
from tasks.theory.completion_kernels import completion_step
from tasks.training import OwnStep


@runtime_checkable
class Masking(Interface):
    """A filling of a site that only multiplies by masks and divides by a constant, and returns the masks it draws."""

    @property
    def divisor(self) -> float:
        """The divisor of kept units in the next step, in (0, 1]."""

    def next_mask(self, shape: tuple[int, ...]) -> Tensor | None:
        """The mask (True: kept) of the next step for activations of `shape`; None if nothing is dropped.

        Its batch dimension is 1 if all samples share a mask.
        """


def own_step(network: nn.Module) -> OwnStep | None:
    """The step by the kernel, if the hidden site is empty or has one filling that only masks; else None."""
    assert isinstance(network, FactorModel)
    fillings = list(network.site.fillings)
    if len(fillings) > 1 or not all(isinstance(filling, Masking) for filling in fillings):
        return None
    U, V = network.factors()

    def step(batch: Batch, step: Step) -> Tensor:
        rows, columns = batch.inputs.T.contiguous()
        mask, divisor = None, 1.0
        for filling in fillings:
            assert isinstance(filling, Masking)
            mask, divisor = filling.next_mask((len(rows), U.shape[1])), filling.divisor
        if mask is not None and len(mask) == 1:
            mask = mask[0]
        targets = batch.targets.squeeze(1)
        return completion_step(U, V, rows, columns, targets, step.learning_rate, mask, divisor)

    return step
