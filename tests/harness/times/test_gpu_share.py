"""Shares of a GPU by memory: measured where there are rows, calculated elsewhere; no trial on several GPUs."""

import os
from dataclasses import replace

import pytest
import torch
from test_plan import plan_of

from harness.cells import Cell
from harness.errors import BadInput
from harness.execution import AUTO, Execution, placed
from harness.records import TrialRecord
from harness.results.store import Store
from harness.times.gpu_share import CONTEXT_BYTES, MEASURED_MARGIN, Need, needs_of, refused_several, share_of_gpu
from harness.times.training_memory import calculated_bytes
from harness.workers.gpu_shares import gpu_memory_bytes
from tasks.experiments import TASKS
from tasks.task import Setting

GIB = 2**30


def need(gib, task="t"):
    return Need(task=task, num_bytes=int(gib * GIB), is_measured=True)


@pytest.mark.parametrize(
    ("gib", "gpu", "share"),
    [([9], 80, 1 / 8), ([9, 30], 80, 1 / 2), ([79], 80, 1), ([0.1], 80, 1 / 16), ([9], None, 1), ([], 80, 1)],
)
def test_as_many_trials_share_a_gpu_as_the_largest_of_them_lets_in(gib, gpu, share):
    assert share_of_gpu([need(each) for each in gib], gpu and gpu * GIB) == share


def test_a_trial_that_no_gpu_holds_is_told_with_its_memory():
    with pytest.raises(
        BadInput, match=r"trains on one GPU, and the smallest one here has 24\.0 GiB\. Too large: 30\.0 GiB for large"
    ):
        share_of_gpu([need(30, "large"), need(1)], 24 * GIB)
    said = str(refused_several(2, [need(30, "large")]))
    assert said.startswith("A trial trains on one GPU: --gpus-per-trial must be at most 1, got 2.")
    assert said.endswith("The largest trial takes 30.0 GiB for large (measured, with a margin).")


def test_the_memory_of_a_gpu_is_asked_of_nvidias_tool(monkeypatch, tmp_path):
    """The tool is a stand-in: there is no GPU here."""
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for text, told in (("echo 81920; echo 40960", 40960 * 2**20), ("exit 9", None), ("echo '[N/A]'", None)):
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)
        assert gpu_memory_bytes() == told


def test_rows_of_this_scale_on_a_gpu_tell_what_a_task_needs(tmp_path):
    store, plan = Store(tmp_path), plan_of(only=("digits-mlp", "none", "dropout"))
    store.prepare()
    spec = plan.spec(plan.running_cells[0], "default", 0)
    peaks = {
        (0, "cuda", "completed"): 3,
        (1, "cuda", "completed"): 5,
        (2, "cpu", "completed"): 50,
        (3, "cuda", "failed"): 70,
    }
    for (seed, device, status), gib in peaks.items():
        values = {"device": device, "peak_memory_bytes": gib * GIB}
        store.write(TrialRecord(spec=replace(spec, seed=seed), status=status, values=values))
    (measured,) = needs_of(plan, store, Execution())
    assert measured == Need(
        task="digits-mlp", num_bytes=int(5 * GIB * MEASURED_MARGIN + CONTEXT_BYTES), is_measured=True
    )


def test_without_rows_the_memory_is_calculated(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    (calculated,) = needs_of(plan_of(only=("digits-mlp", "none")), store, Execution())
    assert not calculated.is_measured
    assert calculated.num_bytes > CONTEXT_BYTES


def activations(network, inputs):
    """Bytes of the inputs and outputs of all layers with one sample, counted with hooks."""
    found = {}

    def note(module, given, made):
        for each in (*given, made):
            found[each.untyped_storage().data_ptr(), tuple(each.shape)] = each

    hooks = [m.register_forward_hook(note) for m in network.modules() if not list(m.children())]
    network(inputs)
    for hook in hooks:
        hook.remove()
    return sum(each.nbytes for each in found.values())


@pytest.mark.parametrize("name", ["digits-mlp", "digits-convnet"])
def test_the_calculated_memory_lies_between_the_weights_alone_and_all_that_the_layers_make(name):
    task = TASKS[name]
    found = calculated_bytes(Cell(task_name=name, regularizer="none", scale="smoke"), Execution())
    training = task.prepare((), Setting(seed=0, scale="smoke", learning_rate=0.1, device=torch.device("cpu")))
    network, shape = training.network, next(iter(training.batches.epoch())).inputs.shape[1:]
    weights = sum(each.nbytes for each in network.parameters())
    batch_size = task.workload("smoke").batch_size
    made = activations(network.train(), torch.zeros(2, *shape)) / 2 * batch_size
    assert 4 * weights < found
    assert 0.5 * made < found - 4 * weights < 3 * made


def test_without_ray_a_trial_has_the_whole_gpu_and_never_several(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert placed(Execution(), AUTO).gpu_fraction == 1.0
    with pytest.raises(BadInput, match="must be at most 1, got 2"):
        placed(Execution(), 2.0)
