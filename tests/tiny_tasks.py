"""Tasks of the table made tiny, and what tests ask of a training; `regarena check` has most of it."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.checks.tiny_tasks import (
    TINY_TASKS,
    layers_of,
    prepared,
    tasks_for,
    tiny,
    trained,
    weights_after,
    weights_of,
    with_pins,
)
from harness.checks.tiny_tasks import trained_in_two_parts as in_two_parts
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.runtime.trained import Trained
from tasks.task import Task
from tasks.training import Training

__all__ = [
    "IMAGE_TASK",
    "TINY_TASKS",
    "binomial_bound",
    "home_of",
    "layers_of",
    "prepared",
    "tasks_for",
    "tiny",
    "trained",
    "trained_in_two_parts",
    "weights_after",
    "weights_of",
    "with_pins",
]

IMAGE_TASK = TINY_TASKS["digits-convnet"]


def home_of(name: str) -> Task:
    """The first tiny task on which the regularizer of that name makes sense with its defaults."""
    tasks = tasks_for(REGULARIZERS[name]())
    assert tasks, f"No tiny task has what {name} needs; add one to harness/checks/tiny_tasks.py."
    return next(iter(tasks.values()))


def trained_in_two_parts(
    task: Task, *regularizers: Regularizer | tuple[str, Regularizer], first_epochs: int = 1
) -> tuple[Training, Trained]:
    """A training that was cut off after some epochs, and ended by another one that was made afresh."""
    return in_two_parts(lambda: prepared(task, *regularizers), first_epochs)


def binomial_bound(rates: Tensor | float, num_draws: int, sigmas: float = 5.0) -> Tensor:
    """How far a frequency over `num_draws` independent draws may lie from its rate: five standard errors.

    With a fixed seed a test passes always or never; 5 sigma says that a right law fails for one seed in 1.7 million
    only. The floor of one draw is for rates near 0 and 1, where the normal law is no guide.
    """
    rates = torch.as_tensor(rates, dtype=torch.float64)
    return sigmas * (rates * (1 - rates) / num_draws).sqrt() + 1 / num_draws
