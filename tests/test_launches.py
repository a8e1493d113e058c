"""The counter of kernels counts what it says."""

from __future__ import annotations

import pytest
import torch

from benchmarks.launches import KernelCounter, kernels_of, training_of

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
    assert kernels["forward"] == num_layers + (num_layers - 1)  # addmm, relu
    loss = 2  # of softmax and of its product with the targets, at least
    assert kernels["backward"] >= loss + 3 * num_layers - 1 + (num_layers - 1)
