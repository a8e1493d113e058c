"""Separable points with new draws at every step: independent examples, each used once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from tasks.datasets.batches import Batches, Split
from tasks.datasets.separable import draw_points
from tasks.regularizers.base import Batch
from tasks.runtime.streams import torch_stream


class SeparableStream(Batches):
    """`num_steps` batches of new points in each epoch; both classes are equally likely.

    Args:
        dimension, margin: of the points, as in `tasks.datasets.separable`.
        batch_size: points per step.
        num_steps: steps per epoch.
        seed: of the points.
        device: the device of the batches.
    """

    def __init__(
        self, dimension: int, margin: float, batch_size: int, num_steps: int, seed: int, device: torch.device
    ) -> None:
        num_samples = batch_size * num_steps
        # One zero, expanded to the number of points: the split only holds their number and device.
        zero = torch.zeros(1, 1, device=device)
        inputs = zero.view(1, 1, 1, 1).expand(num_samples, dimension, 1, 1)
        super().__init__(Split(inputs=inputs, targets=zero.expand(num_samples, 2)), batch_size, seed)
        self._dimension, self._margin = dimension, margin
        self._samples = torch_stream(seed, "samples")

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch, drawn at once."""
        labels = torch.randint(2, (self.num_samples,), generator=self._samples)
        points = draw_points(labels, self._dimension, self._margin, self._samples)
        inputs = points.float().view(-1, self._dimension, 1, 1).to(self.device)
        targets = F.one_hot(labels, 2).float().to(self.device)
        for start in range(0, self.num_samples, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield Batch(inputs[part], targets[part])

    def _generators(self) -> dict[str, torch.Generator]:
        return {**super()._generators(), "samples": self._samples}
