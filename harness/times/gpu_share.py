"""The share of a GPU that a trial gets by its memory: `--gpus-per-trial auto`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import BadInput
from harness.execution import Execution
from harness.plan import Plan
from harness.records import SUCCESSES
from harness.results.store import Store
from harness.times.training_memory import calculated_bytes

MOST_PER_GPU = 16
CONTEXT_BYTES = 2**30  # CUDA's context and libraries, which no row counts
MEASURED_MARGIN, CALCULATED_MARGIN = 1.2, 1.5  # other hyperparameters may take more; a calculation omits workspaces
_COLUMNS = ("task", "regularizer", "scale", "role", "status", "device", "peak_memory_bytes")


@dataclass(frozen=True, kw_only=True)
class Need:
    """The memory that the largest trial of a task takes, with a margin."""

    task: str
    num_bytes: int
    is_measured: bool

    @property
    def text(self) -> str:
        """The need in words."""
        how = "measured" if self.is_measured else "calculated"
        return f"{in_gib(self.num_bytes)} for {self.task} ({how}, with a margin)"


def needs_of(plan: Plan, store: Store, execution: Execution) -> list[Need]:
    """What the trials of each task need, the largest first.

    The need is the largest peak memory in rows of this campaign. Without such rows it is calculated for the first
    contestant of the task. A task whose trainings cannot be rehearsed is left out.
    """
    measured: dict[str, int] = {}
    for row in store.rows(_COLUMNS):
        known = row["peak_memory_bytes"] if str(row["device"]).startswith("cuda") else None
        if known and row["status"] in SUCCESSES and row["scale"] == plan.budget.scale:
            measured[row["task"]] = max(measured.get(row["task"], 0), int(known))
    needs = {}
    for cell in plan.running_cells:
        name = cell.task_name
        if name in measured:
            size = measured[name] * MEASURED_MARGIN + CONTEXT_BYTES
            needs[name] = Need(task=name, num_bytes=int(size), is_measured=True)
        elif name not in needs:
            known = calculated_bytes(cell, execution, plan.switches_of(cell))
            if known is not None:
                size = known * CALCULATED_MARGIN + CONTEXT_BYTES
                needs[name] = Need(task=name, num_bytes=int(size), is_measured=False)
    return sorted(needs.values(), key=lambda need: -need.num_bytes)


def share_of_gpu(needs: Sequence[Need], gpu_bytes: int | None) -> float:
    """1/n of a GPU, n as large as the trials of all tasks allow; a whole GPU if its memory is unknown.

    Raises:
        BadInput: if a trial does not fit on one GPU.

    >>> gib = 2**30
    >>> share_of_gpu([Need(task="t", num_bytes=9 * gib, is_measured=True)], 80 * gib)
    0.125
    """
    if gpu_bytes is None or not needs:
        return 1.0
    check_fits(needs, gpu_bytes)
    largest = max(need.num_bytes for need in needs)
    return 1 / max(1, min(MOST_PER_GPU, math.floor(gpu_bytes / largest)))


def check_fits(needs: Sequence[Need], gpu_bytes: int) -> None:
    """Check that the trials of each task fit on one GPU.

    Raises:
        BadInput: if not; a trial trains on one GPU only.
    """
    large = [need.text for need in needs if need.num_bytes > gpu_bytes]
    if large:
        raise BadInput(
            f"A trial trains on one GPU, and the smallest one here has {in_gib(gpu_bytes)}. Too large: "
            f"{'; '.join(large)}. Leave these tasks out with --skip, or halve the activations with --precision bf16."
        )


def refused_several(number: float, needs: Sequence[Need]) -> BadInput:
    """The error for a trial on several GPUs, which says what a trial takes."""
    takes = f" The largest trial takes {needs[0].text}." if needs else ""
    return BadInput(f"A trial trains on one GPU: --gpus-per-trial must be at most 1, got {number:g}.{takes}")


def in_gib(num_bytes: int) -> str:
    """Bytes in words."""
    return f"{num_bytes / 2**30:.1f} GiB"


def smallest(known: Mapping[str, int | None]) -> int | None:
    """The smallest memory of a GPU, by node; None if a node does not tell."""
    sizes = list(known.values())
    return None if not sizes or None in sizes else min(size for size in sizes if size is not None)
