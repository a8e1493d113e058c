"""Batches of new samples at every step: x ~ N(0, I), y = Mx. No sample is used twice, as in the theory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tasks.datasets.batches import Batches, Split
from tasks.regularizers.base import Batch
from tasks.runtime.streams import torch_stream


class FreshBatches(Batches):
    """`steps_per_epoch` batches of `batch_size` samples in each epoch; epochs only set the times of evaluation.

    Args:
        linear_map: M (outputs x inputs), on the device of training.
        batch_size: samples per step.
        steps_per_epoch: steps per epoch.
        seed: of the samples.
    """

    def __init__(self, linear_map: Tensor, batch_size: int, steps_per_epoch: int, seed: int) -> None:
        num_outputs, num_inputs = linear_map.shape
        num_samples = batch_size * steps_per_epoch
        # One zero, expanded to the number of samples: the split only holds their number and device.
        zero = torch.zeros(1, 1, device=linear_map.device)
        split = Split(inputs=zero.expand(num_samples, num_inputs), targets=zero.expand(num_samples, num_outputs))
        super().__init__(split, batch_size, seed)
        self._linear_map, self._samples = linear_map, torch_stream(seed, "samples", linear_map.device)

    def epoch(self) -> Iterator[Batch]:
        """The next batches of the stream of samples."""
        num_inputs = self._linear_map.shape[1]
        for _ in range(len(self)):
            inputs = torch.randn(self.batch_size, num_inputs, generator=self._samples, device=self._linear_map.device)
            yield Batch(inputs, inputs @ self._linear_map.T)

    def _generators(self) -> dict[str, torch.Generator]:
        return {**super()._generators(), "samples": self._samples}
