"""The counter of kernels counts what it says."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from benchmarks.launches import (
    MASKS,
    NETWORKS,
    KernelCounter,
    Phase,
    code_of,
    kernels_of,
    num_sites,
    training_of,
)
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.runtime.kernel_devices import kernels_on

META = torch.device("meta")


def counted(function) -> int:
    with KernelCounter() as counter:
        function()
    return counter.counts.total()


def test_operators_count_and_views_and_allocations_do_not() -> None:
    x = torch.empty(4, 6, device=META)
    assert counted(lambda: x.view(6, 4).t()[1:].unsqueeze(0)) == 0
    assert counted(lambda: torch.empty_like(x)) == 0
    assert counted(lambda: x.relu() + x) == 2
    assert counted(lambda: torch.zeros(3, device=META).add_(1)) == 2


@pytest.mark.parametrize(("num_tensors", "kernels"), [(1, 1), (64, 1), (65, 2)])
def test_a_list_of_tensors_takes_a_kernel_for_as_many_as_fit(num_tensors: int, kernels: int) -> None:
    lists = [[torch.empty(2, device=META) for _ in range(num_tensors)] for _ in range(2)]
    assert counted(lambda: torch._foreach_add_(*lists)) == kernels


def test_directions_are_counted_apart() -> None:
    """Two dense layers with a ReLU between; the input needs no gradient."""
    kernels = kernels_of(training_of("digits-mlp", "none"))
    num_layers = 3
    assert kernels["forward products"] == num_layers
    assert kernels["forward"] == num_layers - 1  # relu
    assert kernels["backward products"] == 2 * num_layers - 1
    loss = 2  # of softmax and of its product with the targets, at least
    assert kernels["backward"] >= loss + num_layers + (num_layers - 1)  # biases, relu


def assert_few_kernels(task: str, name: str, twin: Counter[Phase]) -> None:
    training = training_of(task, name)
    sites = num_sites(training.network)
    more = kernels_of(training)
    more.subtract(twin)
    goal = MASKS[name]
    assert sites > 0
    assert 0 < more["forward"] <= goal.forward * sites
    assert 0 < more["backward"] <= goal.backward * sites + goal.a_step
    assert more["forward products"] <= goal.products[0] * sites
    assert more["backward products"] <= goal.products[1] * sites
    assert 0 < more["rest"] <= goal.rest


@pytest.mark.parametrize("name", MASKS)
def test_fused_masks_add_no_more_kernels_than_their_goal(name: str) -> None:
    regularizer = REGULARIZERS[name]()
    task = next(task for task in ("cifar10-lenet", "cifar10-resnet56") if not TASKS[task].skip_reason(regularizer))
    with kernels_on("meta"):
        assert_few_kernels(task, name, kernels_of(training_of(task, "none")))


@pytest.mark.slow
@pytest.mark.parametrize("task", NETWORKS)
def test_fused_masks_do_so_on_every_network(task: str) -> None:
    names = [name for name in MASKS if not TASKS[task].skip_reason(REGULARIZERS[name]())]
    assert len(names) >= 7
    with kernels_on("meta"):
        twin = kernels_of(training_of(task, "none"))
        for name in names:
            assert_few_kernels(task, name, twin)


@pytest.mark.parametrize(
    ("name", "changed"),
    [("l1", False), ("mixup", False), ("dropout", True), ("dropconnect", True), ("path_norm", True)],
)
def test_a_contestant_changes_passes_if_it_changes_modules_their_classes_or_hooks(name: str, changed: bool) -> None:
    twin, training = training_of("digits-mlp", "none"), training_of("digits-mlp", name)
    assert (code_of(training.network) != code_of(twin.network)) == changed
