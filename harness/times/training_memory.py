"""The memory that a training takes on a GPU, calculated on a processor from small batches."""

from __future__ import annotations

from itertools import chain, count, islice

import torch
from torch import Tensor

from harness.cells import Cell
from harness.execution import Execution
from tasks.runtime.switches import Switches
from tasks.task import Setting
from tasks.training import Training

_BATCHES = (4, 8)  # samples; what a step keeps is linear in their number
_WEIGHTS_COPIES = 4  # weights, their gradients, and the two moments that Adam keeps (SGD keeps one)


def calculated_bytes(cell: Cell, execution: Execution, switches: Switches | None = None) -> int | None:
    """Bytes of one training of the cell: weights with gradients and optimizer, and what the backward pass needs.

    What a step keeps for its backward pass is counted at two small batch sizes and extrapolated to the protocol's, as
    `a + b * batch_size`. Libraries, their workspaces and the CUDA context are not included. None for a task that cannot
    be rehearsed.
    """
    workload = cell.task.workload(cell.scale, execution.data_folder_of(cell.task_name))
    if workload is None:
        return None
    kept: dict[int, int] = {}  # bytes by batch size
    weights = 0
    for batch_size in _BATCHES:
        training = _rehearsed(cell, switches, batch_size)
        if training is None:
            return None
        weights = sum(each.nbytes for each in training.network.parameters())
        kept[training.batches.batch_size] = kept_bytes(training)
    smallest, largest = min(kept), max(kept)
    each = (kept[largest] - kept[smallest]) / (largest - smallest) if largest > smallest else 0.0
    step = kept[largest] + max(0.0, each) * max(0, workload.batch_size - largest)
    return int(_WEIGHTS_COPIES * weights + step)


def kept_bytes(training: Training) -> int:
    """Bytes of all tensors that one training step keeps for its backward pass, without the weights."""
    own = {each.untyped_storage().data_ptr() for each in training.network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batches = chain.from_iterable(training.batches.epoch() for _ in count())
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        training.run_steps(islice(batches, 1), 1)
    return sum(kept.values())


def _rehearsed(cell: Cell, switches: Switches | None, batch_size: int) -> Training | None:
    hyperparameters = cell.contestant.resolve(cell.task, cell.scale, cell.points[0])
    setting = Setting(seed=0, scale=cell.scale, learning_rate=1e-8, device=torch.device("cpu"), switches=switches)
    rehearsal = cell.task.rehearse(cell.contestant.build(hyperparameters), setting, batch_size)
    return None if rehearsal is None else rehearsal.training
