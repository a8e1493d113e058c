"""Trials on a GPU, on stand-ins: shares, memory limits, and rows whatever the GPU does.

The machines that run the tests have no GPU, so what CUDA would raise is raised by the tests. The slots are real.
"""

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import torch
from arena import await_that

from harness import provenance
from harness.contestants import Contestant
from harness.execution import Execution
from harness.records import TrialRecord, TrialSpec
from harness.trial import base_values, run_trial
from harness.workers import gpu_shares, host_memory, isolation
from harness.workers.gpu_shares import all_slots, num_slots, one_slot
from tasks.experiments import TASKS

SHORT, LONG = 0.3, 60.0  # seconds to see that somebody waits, and to wait for somebody
ON_GPU = Execution(device="cuda", gpu_fraction=0.25)
GIB = 2**30


@pytest.fixture(autouse=True)
def one_gpu(monkeypatch, tmp_path):
    """Slots of a GPU that no other test uses."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", tmp_path.name)
    monkeypatch.setattr(gpu_shares, "_POLL_SECONDS", 0.01)


class Holder(threading.Thread):
    """Holds slots in a thread of its own, from when it gets them until it is told to leave."""

    def __init__(self, slots):
        super().__init__(daemon=True)
        self.slots, self.has_them, self.may_leave = slots, threading.Event(), threading.Event()
        self.start()

    def run(self):
        with self.slots:
            self.has_them.set()
            self.may_leave.wait(LONG)

    def leave(self):
        self.may_leave.set()
        self.join(LONG)


def someone_stands_at_the_door():
    with contextlib.ExitStack() as taken:
        return not gpu_shares._hold(gpu_shares._DOOR, taken)


@pytest.mark.parametrize(
    ("fraction", "number"), [(0, 1), (0.1, 10), (0.25, 4), (0.3, 3), (0.5, 2), (0.6, 1), (1, 1), (2, 1)]
)
def test_a_gpu_has_as_many_slots_as_shares_fit(fraction, number):
    assert num_slots(fraction) == number


def test_a_trial_that_needs_all_slots_waits_for_the_others_and_is_not_overtaken():
    holders = [Holder(one_slot(0.5)) for _ in range(2)]
    assert all(holder.has_them.wait(LONG) for holder in holders)
    alone = Holder(all_slots(0.5))
    await_that(someone_stands_at_the_door, "it waits for both slots")
    assert not alone.has_them.wait(SHORT), "both slots are taken"
    holders[0].leave()
    later = Holder(one_slot(0.5))
    assert not later.has_them.wait(SHORT), "a later trial overtook the one that waits"
    assert not alone.has_them.is_set(), "it did not wait for the last of the others"
    holders[1].leave()
    assert alone.has_them.wait(LONG)
    assert not later.has_them.wait(SHORT), "a trial began beside the one that needs the whole GPU"
    alone.leave()
    assert later.has_them.wait(LONG)
    later.leave()


def test_slots_are_told_apart_however_long_the_list_of_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(f"GPU-{number:036d}" for number in range(8)))
    alone = Holder(all_slots(0.25))
    assert alone.has_them.wait(LONG)
    alone.leave()


def test_a_killed_process_leaves_its_slots_to_others():
    script = "from harness.workers.gpu_shares import all_slots\nwith all_slots(0.5): print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        later = Holder(one_slot(0.5))
        assert not later.has_them.wait(SHORT)
        process.kill()
        assert later.has_them.wait(LONG)
    later.leave()


def test_without_a_gpu_and_with_a_whole_one_nothing_is_held():
    with all_slots(0.5), one_slot(0), one_slot(1):
        pass


def spec_of(name="none", task="digits-mlp"):
    values = Contestant(name).resolve(TASKS[task], "smoke")
    return TrialSpec(
        task=task, regularizer=name, hyperparameters=values, seed=0, role="default", scale="smoke", code_hash=""
    )


@pytest.mark.parametrize(("fraction", "fractions"), [(0.25, [0.25, 1.0]), (1.0, [1.0]), (0.0, [0.0])])
def test_a_trial_that_runs_out_of_memory_on_a_shared_gpu_runs_again_alone(monkeypatch, fraction, fractions):
    seen = []

    def attempt(pack, execution):
        seen.append(execution.gpu_fraction)
        status = "completed" if len(seen) > 1 else "out_of_memory"
        return [TrialRecord(spec=pack[0], status=status, values={"gpu_fraction": execution.gpu_fraction})]

    monkeypatch.setattr(isolation, "_attempt", attempt)
    record = isolation.run_isolated(spec_of(), replace(ON_GPU, gpu_fraction=fraction))
    assert seen == fractions
    assert (record.status, record.values["attempts"]) == (
        "completed" if len(fractions) > 1 else "out_of_memory",
        len(seen),
    )
    assert record.values["gpu_fraction"] == fractions[-1]


@pytest.mark.parametrize(("fraction", "limits"), [(0.25, [0.25]), (1.0, [])])
def test_a_trial_takes_no_more_of_the_memory_than_its_share_and_has_a_row_whatever_the_gpu_does(
    monkeypatch, fraction, limits
):
    seen = []

    def broken(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", seen.append)
    for name in ("get_device_properties", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, broken)
    record = run_trial(spec_of(), replace(ON_GPU, gpu_fraction=fraction))
    assert seen == limits
    assert record.values["tf32"] is False
    assert (record.status, record.values["peak_memory_bytes"]) == ("failed", None)
    assert record.values["hardware_key"].startswith("a GPU that does not answer |")
    assert provenance.is_of_gpu(record.values["hardware_key"])


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
        "CUDA out of memory. Tried to allocate 20.00 MiB",
    ],
)
def test_libraries_without_memory_are_out_of_memory(monkeypatch, message):
    def fail(*_):
        raise RuntimeError(message)

    monkeypatch.setattr(TASKS["digits-mlp"].__class__, "prepare", fail)
    assert run_trial(spec_of(), Execution()).status == "out_of_memory"


@pytest.mark.parametrize(
    ("execution", "share"),
    [
        (Execution(), 85 / 16),
        (Execution(cpus_per_trial=4), 85 / 4),
        (Execution(most_at_once=2), 85 / 2),
        (Execution().alone(), 85),
        (Execution(memory_bytes=3 * GIB), 3),
        (replace(ON_GPU, gpu_fraction=0.5), 85 / 4),  # two GPUs hold four such trials, though there are 16 processors
        (replace(ON_GPU, cpus_per_trial=8), 85 / 2),  # the processors hold two of the eight that the GPUs hold
        (replace(ON_GPU, gpu_fraction=0.01), 85 / 16),
        (Execution(trials_at_once=40), 85 / 40),  # as many as Ray's node counts, whatever the processors
        (replace(ON_GPU, trials_at_once=3), 85 / 3),
        (Execution(trials_at_once=40).alone(), 85),
    ],
)
def test_the_memory_of_a_machine_is_shared_by_the_trials_that_it_holds(monkeypatch, execution, share):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 100 * GIB // 4096}
    monkeypatch.setattr(os, "sysconf", pages.get)
    monkeypatch.setattr(host_memory, "cgroup_limits", list)
    monkeypatch.setattr(host_memory, "num_gpus", lambda: 2)
    monkeypatch.setattr("harness.workers.processors.usable_cpus", lambda: 16)
    assert host_memory.memory_limit(execution) == pytest.approx(share * GIB, rel=1e-9)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"job": "max"}, []),
        ({"job": str(8 * GIB)}, [8 * GIB]),
        ({"job": str(8 * GIB), "job/step": "max", ".": str(9 * GIB)}, [8 * GIB, 9 * GIB]),
        ({"elsewhere": "1"}, []),
    ],
)
def test_a_container_or_a_job_limits_the_memory_of_the_machine(monkeypatch, tmp_path, limits, expected):
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for folder, text in limits.items():
        (tmp_path / folder / "memory.max").write_text(f"{text}\n")
    (tmp_path / "own").write_text("0::/job/step\n")
    monkeypatch.setattr(host_memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(host_memory, "OWN_CGROUP", tmp_path / "own")
    assert host_memory.cgroup_limits() == expected
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 100 * GIB // 4096}.get)
    share = host_memory.memory_limit(Execution(trials_at_once=2))
    assert share == pytest.approx(0.85 * min([100 * GIB, *expected]) / 2)


def test_on_a_gpu_the_share_of_memory_holds_cudas_libraries(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**16}.get)
    monkeypatch.setattr(host_memory, "cgroup_limits", list)
    assert host_memory.memory_limit(ON_GPU) >= 3 * GIB
    assert host_memory.memory_limit(Execution()) <= 2**28


def test_a_row_tells_whether_a_gpu_rounds_to_tf32():
    spec = spec_of()
    assert base_values(spec, Execution())["tf32"] is None
    assert base_values(spec, ON_GPU)["tf32"] is False
    assert base_values(replace(spec, switches="tf32"), ON_GPU)["tf32"] is True


def test_a_timing_trial_says_that_it_has_a_whole_gpu():
    assert (ON_GPU.alone().gpu_fraction, ON_GPU.alone().exclusive) == (1.0, True)
    assert (Execution().alone().gpu_fraction, Execution().alone().exclusive) == (0.0, True)
    assert replace(ON_GPU, gpu_fraction=2.0).alone().gpu_fraction == 2.0
