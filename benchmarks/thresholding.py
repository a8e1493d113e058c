"""Shrinking singular values by the spectrum that changes, against the full decomposition.

Run `python -m benchmarks thresholding`. One thread; both ways take turns, and the figure is the median over turns of
the ratio of their CPU times. The error is that of what is taken away, relative to itself, against float64.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.sizes import sized
from tasks.regularizers.spectra import small as small_spectra
from tasks.regularizers.spectra.thresholding import shrink_small_singular_values
from tasks.runtime import compiled

Shrink = Callable[[Tensor, int, float], small_spectra.Shrunk]
ROUNDS = sized(5, 1)
SHRUNK = sized(1, 32)  # by how much rows, columns and values kept are fewer
KERNELS = "512x512 kernels 3x3, h = 1"
CASES = {  # name: (shape, h, C as a share of sigma_(h+1), the ratio to reach)
    "2048x2048, 48 values change": ((2048, 2048), 2000, 1.0, 5.0),
    "2048x2304, 48 values change": ((2048, 2304), 2000, 1.0, 2.5),
    "2048x2048, all but 200 change": ((2048, 2048), 200, 0.9, 1.5),
    KERNELS: ((512, 512, 3, 3), 1, 0.5, 15.0),
    "256x128 kernels 5x5, h = 4": ((256, 128, 5, 5), 4, 0.5, 5.0),
}
COMPILED_GOAL = 60.0


def run() -> list[dict[str, object]]:
    """One row per case: the ratio, the median seconds of the quick way, the error, and the ratio to reach."""
    torch.set_num_threads(1)
    rows = [_row(name, *case, _portably) for name, case in CASES.items()]
    if compiled.is_available():
        rows.append(_row(f"{KERNELS}, compiled", *CASES[KERNELS][:3], COMPILED_GOAL, shrink_small_singular_values))
    return rows


def _row(
    name: str, shape: tuple[int, ...], num_kept: int, share: float, goal: float, shrink: Shrink
) -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    shape = (shape[0] // SHRUNK, shape[1] // SHRUNK, *shape[2:])
    num_kept = num_kept if len(shape) > 2 else num_kept // SHRUNK
    weight = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
    limit = share * float(torch.linalg.svdvals(weight)[..., num_kept].mean())
    full, quick = [], []
    shrink(weight, num_kept, limit)  # compiles, where that is needed
    for _ in range(ROUNDS):
        full.append(_seconds(lambda: _fully(weight, num_kept, limit)))
        quick.append(_seconds(lambda: shrink(weight, num_kept, limit)))
    update = weight.double() - _fully(weight.double(), num_kept, limit)
    shrunk = shrink(weight, num_kept, limit).weight.double()
    return {
        "benchmark": "thresholding",
        "case": name,
        "seconds": statistics.median(quick),
        "ratio": statistics.median(slow / fast for slow, fast in zip(full, quick, strict=True)),
        "error": float((weight - shrunk - update).norm() / update.norm()),
        "goal": goal,
        "num_rounds": ROUNDS,
    }


def _portably(weight: Tensor, num_kept: int, limit: float) -> small_spectra.Shrunk:
    """Without compiled loops."""
    if weight.dim() == 2:
        return shrink_small_singular_values(weight, num_kept, limit)
    kernels = weight.flatten(0, 1)
    shrunk = small_spectra.shrink_portably(kernels, num_kept, torch.full((len(kernels),), limit))
    return shrunk._replace(weight=shrunk.weight.view_as(weight))


def _fully(weight: Tensor, num_kept: int, limit: float) -> Tensor:
    """By the decomposition: U diag(s) V^T with the tail of s shrunk."""
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    values[..., num_kept:] = (values[..., num_kept:] - limit).clamp(min=0)
    shrunk: Tensor = (left * values[..., None, :]) @ right
    return shrunk


def _seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started
