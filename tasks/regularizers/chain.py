"""Several regularizers on one network: their hooks as those of one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor, nn

from tasks.regularizers.base import Batch, Context, History, Hooks, OptimizerSettings, Regularizer, Step, overrides
from tasks.runtime.streams import numpy_stream


@dataclass(frozen=True)
class Chain(Hooks):
    """Several attached regularizers as one: each hook goes through the parts in order, each with its own stream."""

    parts: Sequence[Hooks]
    rngs: Sequence[np.random.Generator] = field(repr=False)
    names: Sequence[str] = field(default=(), repr=False)  # of the parts

    @classmethod
    def attach(cls, regularizers: Iterable[tuple[str, Regularizer]], network: nn.Module, context: Context) -> Chain:
        """Attach (name, regularizer) pairs to `network` one after the other."""
        pairs = [(name, part.attach(network, replace(context, name=name))) for name, part in regularizers]
        rngs = [numpy_stream(context.seed, f"{name}/batch") for name, _ in pairs]
        return cls([part for _, part in pairs], rngs, [name for name, _ in pairs])

    @property
    def leaves_gradients_alone(self) -> bool:
        """Whether no part adds to the loss or changes the gradient step: then a step needs no graph of the loss."""
        return not self.listen_to("penalty", "compute_gradients")

    def listen_to(self, *names: str) -> bool:
        """Whether any part has its own form of one of these hooks."""
        return any(overrides(part, name) for part in self.parts for name in names)

    def optimizer_settings(self, settings: OptimizerSettings) -> OptimizerSettings:
        """Each part sees what the one before it returned."""
        for part in self.parts:
            settings = part.optimizer_settings(settings)
        return settings

    def progress(self, fraction: float) -> None:
        """Call it on every part."""
        for part in self.parts:
            part.progress(fraction)

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        """Each part transforms what the one before it returned."""
        for part, rng in zip(self.parts, self.rngs, strict=True):
            if overrides(part, "transform_raw"):
                inputs = part.transform_raw(inputs, replace(step, rng=rng))
        return inputs

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """Each part transforms what the one before it returned."""
        for part, rng in zip(self.parts, self.rngs, strict=True):
            if overrides(part, "transform_batch"):
                batch = part.transform_batch(batch, replace(step, rng=rng))
        return batch

    def penalty(self, step: Step) -> Tensor | None:
        """The sum of the parts' penalties."""
        penalties = [penalty for part in self.parts if (penalty := part.penalty(step)) is not None]
        return sum(penalties[1:], penalties[0]) if penalties else None

    def compute_gradients(self, backward: Callable[[], Tensor], step: Step) -> Tensor:
        """The first part wraps the second, and so on."""
        for part in reversed(self.parts):
            if overrides(part, "compute_gradients"):
                backward = _wrapped(part, backward, step)
        return backward()

    def after_step(self, step: Step) -> None:
        """Call it on every part."""
        for part in self.parts:
            part.after_step(step)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """The values that the parts report, under unique keys.

        With several parts, the part's name is put before a key that has none ("rate" becomes "concrete_dropout.rate"),
        and before a key that two parts report.
        """
        reports = [part.after_epoch(epoch, network) for part in self.parts]
        if len(reports) == 1:
            return reports[0]
        counts = Counter(key for report in reports for key in report)
        return {
            key if key == name or (_names_owner(key) and counts[key] == 1) else f"{name}.{key}": value
            for name, report in zip(self.names, reports, strict=True)
            for key, value in report.items()
        }

    def period_epochs(self) -> int:
        """The least common multiple of the parts' periods."""
        return math.lcm(*(part.period_epochs() for part in self.parts))

    def period_steps(self) -> int:
        """The least common multiple of the parts' periods."""
        return math.lcm(*(part.period_steps() for part in self.parts))

    def should_stop(self, history: History) -> bool:
        """Whether any part wants to stop; every part is asked, since a part may count evaluations."""
        return any([part.should_stop(history) for part in self.parts])

    def finish(self, network: nn.Module) -> bool:
        """Whether any part changed the weights."""
        return any([part.finish(network) for part in self.parts])


def _names_owner(key: str) -> bool:
    """Whether a key has the form "owner.what/where"; the part after the slash is a site's name, which has dots too."""
    return "." in key.partition("/")[0]


def _wrapped(part: Hooks, backward: Callable[[], Tensor], step: Step) -> Callable[[], Tensor]:
    """`backward` as changed by one part."""
    return lambda: part.compute_gradients(backward, step)
