"""Small versions of regarena's tasks, on which laws can be checked in seconds, and trainings on them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from tasks.experiments import TASKS
from tasks.regularizers.base import Regularizer
from tasks.runtime.state import State
from tasks.runtime.trained import Trained
from tasks.sites import Site
from tasks.task import Setting, Task
from tasks.training import Training

SMALL_IMAGES = {"epochs": 3, "batch_size": 32, "max_train_samples": 128, "evaluate_every_epochs": 1}
SMALL_MATRICES = {"epochs": 2, "batch_size": 250, "evaluate_every_epochs": 2}


def tiny(name: str, **changes: object) -> Task:
    """The task of that name with a protocol of a few steps, further changed by `changes` (fields of the protocol).

    Periods in epochs are scaled to the short training; with `full_epochs=None` they are not.
    """
    task: Any = TASKS[name]
    small = SMALL_MATRICES if name.startswith("shallow-linear") else SMALL_IMAGES
    numbers = {"full_epochs": task.protocol.epochs, **small, **changes}
    made: Task = replace(task, protocol=replace(task.protocol, **numbers))
    return made


TINY_TASKS = {name: tiny(name) for name in ("digits-convnet", "digits-mlp", "shallow-linear-dropblock")}
_RATINGS: Any = tiny("synthetic-ratings-factors")
# Laws compare weights bit for bit, so all trainings must use the same kind of step.
TINY_TASKS["synthetic-ratings-factors"] = replace(_RATINGS, makes_own_steps=False)


def with_pins(regularizer: Regularizer, task: Task) -> Regularizer:
    """The regularizer with the values that the task pins."""
    fields = vars(regularizer)
    return type(regularizer)(**{name: task.pins.get(name, value) for name, value in fields.items()})


def tasks_for(regularizer: Regularizer) -> dict[str, Task]:
    """The tiny tasks that do not skip the regularizer."""
    return {name: task for name, task in TINY_TASKS.items() if task.skip_reason(regularizer) is None}


def prepared(
    task: Task, *regularizers: Regularizer | tuple[str, Regularizer], seed: int = 0, with_test: bool = True
) -> Training:
    """A training that has not begun. Regularizers without a name get that of their class."""
    named = [part if isinstance(part, tuple) else (type(part).__name__, part) for part in regularizers]
    setting = Setting(seed=seed, scale="paper", learning_rate=task.default_learning_rate("paper"), with_test=with_test)
    return task.prepare(named, setting)


def trained(
    task: Task, *regularizers: Regularizer | tuple[str, Regularizer], seed: int = 0
) -> tuple[Training, Trained]:
    """A training that has ended, and its results."""
    training = prepared(task, *regularizers, seed=seed)
    return training, training.run()


class CutOff(BaseException):
    """Raised to cut a training off."""


@dataclass
class CutAfter:
    """Checkpoints that keep the state after `epochs` epochs in memory, and cut the training off there, once."""

    epochs: int
    file: bytes = b""

    def load(self) -> State | None:
        """The state that was kept, or None."""
        return torch.load(io.BytesIO(self.file), weights_only=True) if self.file else None

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        """After `epochs` epochs keep the state and cut the training off, unless that has been done."""
        if epoch == self.epochs and not self.file:
            self.keep(epoch, state)
            raise CutOff

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        """Keep the state."""
        torch.save(state(), content := io.BytesIO())
        self.file = content.getvalue()


def trained_in_two_parts(prepare: Callable[[], Training], first_epochs: int = 1) -> tuple[Training, Trained]:
    """A training that is cut off after some epochs, and continued from its state by a new one, which is returned."""
    kept = CutAfter(first_epochs)
    try:
        prepare().run(kept)
    except CutOff:
        training = prepare()
        return training, training.run(kept)
    raise AssertionError("the training was not cut off")


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The network's own modules with weights, in order; modules that regularizers put into sites are left out."""
    brought = {id(m) for s in network.modules() if isinstance(s, Site) for f in s.fillings for m in f.modules()}
    return [
        module
        for module in network.modules()
        if id(module) not in brought and isinstance(getattr(module, "weight", None), Tensor)
    ]


def weights_of(network: nn.Module) -> Tensor:
    """All weights and biases of the network's own layers, in eval mode, as one vector."""
    network.eval()
    tensors = [getattr(layer, name, None) for layer in layers_of(network) for name in ("weight", "bias")]
    return torch.cat([tensor.detach().flatten() for tensor in tensors if tensor is not None])


def weights_after(task: Task, *regularizers: Regularizer | tuple[str, Regularizer], seed: int = 0) -> Tensor:
    """The weights at the end of a training that does not evaluate the test split."""
    training = prepared(task, *regularizers, seed=seed, with_test=False)
    training.run()
    return weights_of(training.network)
