"""Whether trials on a GPU are fed: images that are decoded as they are read need processors of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.plan import Plan

if TYPE_CHECKING:
    from harness.request import Request


def gpu_input_warning(plan: Plan, request: Request) -> str | None:
    """A sentence where trials would decode images in the process that keeps a GPU busy, else None.

    Before a cluster is joined its GPUs are unknown; it is assumed to have some.
    """
    streamed = dict.fromkeys(cell.task.dataset for cell in plan.running_cells if cell.task.streams_data)
    if not streamed or request.execution.cpu_threads > 1 or not _may_have_a_gpu(request):
        return None
    return (
        f"Images of {', '.join(streamed)} are decoded as they are read, by worker processes where a trial has more "
        "than one processor. With --cpus-per-trial 1 the trial decodes them itself, and a GPU waits meanwhile: "
        "--cpus-per-trial 8, say, gives it 8 workers."
    )


def _may_have_a_gpu(request: Request) -> bool:
    asked = request.cluster.gpus_per_trial
    if asked is not None:
        return asked > 0
    if request.cluster.address is not None and not request.serial:
        return True
    import torch

    return torch.cuda.is_available()
