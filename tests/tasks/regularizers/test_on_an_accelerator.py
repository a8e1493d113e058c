"""On an accelerator every contestant keeps to its device, and no training step asks it for a number."""

from __future__ import annotations

import pytest
import torch
from fake_accelerator import DEVICE, fake_accelerator
from slow_params import slow_but
from tiny_tasks import TINY_TASKS, tasks_for, with_pins

from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.runtime.kernel_devices import kernels_on
from tasks.runtime.sending import send
from tasks.runtime.switches import Switches
from tasks.task import Setting, Task
from tasks.training import Training

ALLOWED = (
    "checks.py: ",  # functions that users call too look at what they are given: the k-support norm, at a spectrum
)
DEEP = ("none", "dropblock", "localdrop", "block_feature_map_distortion", "shakedrop", "drop_path")
FUSED = (
    "dropout", "gaussian_dropout", "spatial_dropout", "dropblock", "dropblock_sample", "drop_path",
    "feature_map_distortion", "block_feature_map_distortion", "localdrop", "adaptive_dropout_rc", "concrete_dropout",
    "variational_dropout", "sparse_variational_dropout",
)  # fmt: skip
CELLS = {f"{name} on {task}": (task, name) for name in REGULARIZERS for task in tasks_for(REGULARIZERS[name]())}
SLOW = {"localdrop": pytest.mark.slow}  # it decomposes each of the 56 layers, which fake tensors make slow
FAST = Switches(precision="bf16", channels_last=True)


def training_of(task: Task, name: str, switches: Switches | None, device: torch.device = DEVICE) -> Training:
    """A training on the fake accelerator; on made-up data where the task has some."""
    learning_rate = task.default_learning_rate("paper")
    setting = Setting(seed=0, scale="paper", learning_rate=learning_rate, device=device, switches=switches)
    contestants = [(name, with_pins(REGULARIZERS[name](), task))]
    rehearsal = task.rehearse(contestants, setting, max_batch_size=8)
    return rehearsal.training if rehearsal else task.prepare(contestants, setting)


@pytest.mark.parametrize(
    ("task", "name"),
    slow_but(
        CELLS.values(), lambda cell: "reflected" not in cell[1] and cell != ("digits-convnet", "adversarial_training")
    ),
    ids=CELLS,
)
def test_a_step_keeps_to_its_device_and_never_waits_for_it(task: str, name: str) -> None:
    _look_at_steps(task, name, switches=None)


@pytest.mark.parametrize("name", slow_but(FUSED, ["dropout", "block_feature_map_distortion"]))
def test_so_does_a_step_without_fused_kernels(name: str) -> None:
    with kernels_on():
        for task in tasks_for(REGULARIZERS[name]()):
            _look_at_steps(task, name, switches=None)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_so_does_a_step_on_a_deep_network(name: str) -> None:
    _look_at_steps("cifar10-resnet56", name, switches=None)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in DEEP])
def test_so_does_a_step_on_a_deep_network_in_16_bits_with_channels_last(name: str) -> None:
    _look_at_steps("cifar10-resnet56", name, FAST)


def test_so_does_a_step_of_localdrop_in_16_bits_with_channels_last() -> None:
    _look_at_steps("digits-convnet", "localdrop", FAST)


def test_a_fake_accelerator_tells_who_mixes_devices_and_who_waits() -> None:
    """Without this the tests above could not fail."""
    with fake_accelerator() as waits:
        there = torch.ones(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        assert float(there.sum()) == 0.5
        there.to("cpu")
        torch.zeros(3).copy_(there)
        assert waits == ["elsewhere"] * 3
        waits.clear()
        there + torch.tensor(0.5, device=DEVICE) + torch.ones(3).to(DEVICE) + torch.as_tensor(0.5, device=DEVICE)
        assert waits == ["elsewhere"] * 3
        assert send(torch.ones(3), DEVICE).device.type == DEVICE.type
        torch.as_tensor(there, device=DEVICE)
        torch.full((), 0.5, device=DEVICE)
        assert waits == ["elsewhere"] * 3, "what is queued, there already or made there needs no wait"
        with torch.autocast(DEVICE.type, torch.bfloat16):
            assert (there[None] @ there[:, None]).dtype == torch.bfloat16


def _look_at_steps(task_name: str, name: str, switches: Switches | None) -> None:
    task, regularizer = TINY_TASKS.get(task_name) or TASKS[task_name], REGULARIZERS[name]
    own = f"{regularizer.__module__.rpartition('.')[2]}.py: "
    allowed = (*ALLOWED, own) if hasattr(regularizer, "host_waits") else ALLOWED
    training_of(task, name, switches, device=torch.device("cpu"))  # what tasks keep for later must hold real numbers
    with fake_accelerator() as waits:
        training = training_of(task, name, switches)
        batch = next(iter(training.batches.epoch()))
        training.network.train()
        for index in (0, 9, 10, 19):  # keep rates have every tenth step
            if index == 10:
                waits.clear()  # what is measured once, or once an epoch, may have waited
            training.seek(index)
            loss = training.step(batch, epoch=1)
        assert loss.device.type == DEVICE.type
        assert [place for place in waits if not place.startswith(allowed)] == []
        for epoch in (1, 10):
            training.hooks.after_epoch(epoch, training.network)
        training.network.eval()
        with torch.no_grad():
            outputs = training.network(training.batches.normalised(batch.inputs))
        computed_in = next(training.network.parameters()).dtype
        assert (outputs.device.type, outputs.dtype) == (DEVICE.type, computed_in)
