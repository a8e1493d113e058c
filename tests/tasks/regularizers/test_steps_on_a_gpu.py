"""What only a GPU shows of training steps and of the fused kernels; left out where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from philox import philox, uniform
from test_on_an_accelerator import ALLOWED, CELLS, FAST, FUSED, training_of
from tiny_tasks import TINY_TASKS, tasks_for
from torch import Tensor, nn

from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Context, Regularizer
from tasks.regularizers.curriculum_dropout import CurriculumDropout
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.fused import operators
from tasks.runtime.forward import execute_by
from tasks.runtime.kernel_devices import is_available, kernels_on
from tasks.runtime.passes import Draw
from tasks.runtime.streams import Streams
from tasks.runtime.switches import Switches
from tasks.sites import Site, measure_sites

pytestmark = pytest.mark.cuda

DEVICE = torch.device("cuda")
CHECKS_VALUES = ("k_support_norm",)  # see ALLOWED of the same test on the fake accelerator
assert len(CHECKS_VALUES) == len(ALLOWED)
WAITING = (*CHECKS_VALUES, *(name for name in REGULARIZERS if hasattr(REGULARIZERS[name], "host_waits")))


@pytest.fixture(autouse=True)
def watched_again() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def look_at_steps(task_name: str, name: str, switches: Switches | None = None) -> None:
    """Steps with and without work on keep rates; the first two may compile kernels and choose algorithms."""
    training = training_of(TINY_TASKS.get(task_name) or TASKS[task_name], name, switches, DEVICE)
    batch = next(iter(training.batches.epoch()))
    training.network.train()
    for index in (0, 9, 10, 19):  # keep rates have every tenth step
        training.seek(index)
        torch.cuda.set_sync_debug_mode("error" if index >= 10 else "default")
        loss = training.step(batch, epoch=1)
    torch.cuda.set_sync_debug_mode("default")
    assert bool(loss.isfinite())


@pytest.mark.parametrize(("task", "name"), [cell for cell in CELLS.values() if cell[1] not in WAITING])
def test_no_step_waits_for_the_gpu(task: str, name: str) -> None:
    look_at_steps(task, name)


@pytest.mark.parametrize("name", FUSED)
def test_no_step_waits_in_16_bits_with_channels_last(name: str) -> None:
    for task in tasks_for(REGULARIZERS[name]()):
        look_at_steps(task, name, FAST)


@pytest.mark.parametrize("name", FUSED)
def test_no_step_waits_without_the_fused_kernels(name: str) -> None:
    with kernels_on():
        for task in tasks_for(REGULARIZERS[name]()):
            look_at_steps(task, name)


def draw(key: int) -> Draw:
    return Draw(key, torch.tensor(3, device=DEVICE), call=2)


COUNTER = [3, 2 * 256]  # what follows the index: the pass, and the call beside the purpose


@pytest.mark.skipif(not is_available(), reason="needs Triton")
@pytest.mark.parametrize("size", [1, 1000, 100_003])
def test_elements_are_kept_by_the_words_of_philox(size: int) -> None:
    kept = operators.mask_elements(torch.ones(size, device=DEVICE), None, None, *draw(2**62 + 5), 0.4, 1.0, False).cpu()
    block = min(operators.BLOCK, max(16, operators.power(-(-size // 4))))
    for i in range(0, size, max(1, size // 100)):
        program, group, column = i // (4 * block), i // block % 4, i % block
        word = philox([program * block + column, 0, *COUNTER], 2**62 + 5)[group]
        assert bool(kept[i]) == (uniform(word) < 0.4)


@pytest.mark.skipif(not is_available(), reason="needs Triton")
@pytest.mark.parametrize("shape", [(2, 16, 32, 32), (4, 3, 9, 12), (1, 2, 100, 65)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_blocks_are_the_portable_ones_of_the_same_seeds(
    shape: tuple[int, int, int, int], layout: torch.memory_format
) -> None:
    words = [philox([pixel, 0, *COUNTER], 99)[0] for pixel in range(math.prod(shape))]
    seeds = torch.tensor([float(uniform(word) < 0.03) for word in words], device=DEVICE).view(shape)
    inside = seeds[:, :, : shape[2] - 2, : shape[3] - 3]
    portable = F.max_pool2d(F.pad(inside, (3, 3, 2, 2)), (3, 4), stride=1) == 0
    x = torch.ones(shape, device=DEVICE).to(memory_format=layout)
    assert torch.equal(operators.mask_maps(x, None, None, *draw(99), 0.03, [3, 4], False, 1.0) != 0, portable)


@pytest.mark.skipif(not is_available(), reason="needs Triton")
@pytest.mark.parametrize(
    "regularizer",
    [Dropout(where="conv"), CurriculumDropout(where="conv", steepness=1.0), DropBlock(drop_rate=0.5, block_size=2)],
    ids=lambda regularizer: type(regularizer).__name__,
)
def test_cuda_graphs_draw_in_each_pass_what_eager_code_draws(regularizer: Regularizer) -> None:
    """The first passes of a CUDA graph warm it up and record it, the others replay it."""
    found: list[list[Tensor]] = []
    for switches in (Switches(), Switches(compile=True, cuda_graphs=True)):
        network, streams = nn.Sequential(Site("conv")).to(DEVICE).train(), Streams()
        measure_sites(network, torch.ones(1, 4, 8, 8, device=DEVICE))
        context = Context(
            seed=0, device=DEVICE, name="contestant", num_train_samples=10, num_epochs=1, num_steps=10,
            learning_rate=0.1, streams=streams,
        )  # fmt: skip
        hooks = regularizer.attach(network, context)
        streams.number_passes_of(network)
        execute_by(switches, network, DEVICE)
        found.append([])
        for step in range(8):
            hooks.progress(step / 8)
            x = torch.ones(16, 4, 8, 8, device=DEVICE, requires_grad=True)
            y = network(x)
            y.sum().backward()
            assert x.grad is not None
            assert torch.equal(x.grad, y.detach())
            found[-1].append(y.detach().clone())
    assert all(map(torch.equal, *found))
    assert not torch.equal(found[1][-1], found[1][-2])
