"""What a contestant puts into a site keeps number format and memory layout: the layers behind it run as without it."""

from __future__ import annotations

import pytest
from tiny_tasks import TINY_TASKS, tasks_for, with_pins
from torch import Tensor, nn

from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.runtime.switches import Switches
from tasks.sites import Site
from tasks.task import Setting

CELLS = {
    f"{name} on {task}": (task, name)
    for name in REGULARIZERS
    for task in tasks_for(REGULARIZERS[name]())
    if "adversarial" not in name and task.startswith("digits")
}


@pytest.mark.parametrize("precision", [pytest.param("bf16", marks=pytest.mark.slow), "fp16"])
@pytest.mark.parametrize(("task_name", "name"), CELLS.values(), ids=CELLS)
def test_sites_keep_the_number_format_and_the_memory_layout(task_name: str, name: str, precision: str) -> None:
    task = TINY_TASKS.get(task_name) or TASKS[task_name]
    switches = Switches(precision=precision, channels_last=True)
    setting = Setting(seed=0, scale="smoke", learning_rate=0.01, switches=switches)
    training = task.prepare([(name, with_pins(REGULARIZERS[name](), task))], setting)
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def look(site: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[str(site.name)] = inputs[0], output

    for site in training.network.modules():
        if isinstance(site, Site):
            site.register_forward_hook(look)
    losses = [training.step(batch, epoch=1) for batch in list(training.batches.epoch())[:2]]
    assert all(loss.isfinite() for loss in losses)
    assert seen
    for where, (before, after) in seen.items():
        assert after.dtype == before.dtype, where
        if before.dim() == 4:
            assert after.stride() == before.stride(), where
    for parameter in training.network.parameters():
        assert parameter.isfinite().all()
