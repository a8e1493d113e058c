"""The warning that a GPU would wait for its data: decoding images while training needs several CPUs per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cells import Cell
from harness.plan import Plan

if TYPE_CHECKING:
    from harness.request import Request


def gpu_input_warning(plan: Plan, request: Request) -> str | None:
    """A sentence if trials would decode images in the same process that uses a GPU, else None.

    A cluster is assumed to have GPUs, since they are unknown until it is joined.
    """
    streamed = dict.fromkeys(cell.task.dataset for cell in plan.running_cells if decodes_on_processors(plan, cell))
    if not streamed or request.execution.cpu_threads > 1 or not may_have_a_gpu(request):
        return None
    return (
        f"Images of {', '.join(streamed)} are decoded while they are read. With --cpus-per-trial 1 the trial itself "
        "decodes them, and a GPU waits meanwhile; with --cpus-per-trial 8, say, 8 worker processes do."
    )


def decodes_on_processors(plan: Plan, cell: Cell) -> bool:
    """Whether processors decode the images of a cell while it trains."""
    return cell.task.streams_data and not plan.switches_of(cell).device_decoding


def may_have_a_gpu(request: Request) -> bool:
    """Whether trials may run on a GPU."""
    asked = request.cluster.gpus_per_trial
    if asked is not None:
        return asked != 0
    if request.cluster.address is not None and not request.serial:
        return True
    import torch

    return torch.cuda.is_available()
