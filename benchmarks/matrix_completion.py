"""A step of matrix completion with dropout, against nn.Embedding, F.dropout and SGD.

Run `python -m benchmarks matrix_completion`. One thread, single precision, batch 2,000, width 70, drop rate 0.2. The
entries are made up: as many rows and columns as MovieLens-100K and -1M have, and chances that fall with the rank. All
ways take turns, in shuffled order; the figure is the median over turns of the ratio of CPU times.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.processes import process
from benchmarks.sizes import sized
from tasks.runtime import compiled
from tasks.runtime.streams import MaskStream, numpy_stream, torch_stream
from tasks.theory.completion_kernels import completion_step, completion_step_portably

Entries = tuple[Tensor, Tensor, Tensor]
Epoch = Callable[[list[Entries]], object]

BATCH_SIZE, WIDTH, DROP_RATE, LEARNING_RATE = 2_000, 70, 0.2, 1.0
NUM_STEPS, ROUNDS = sized((50, 15), (2, 1))
SIZES = {"100K": (943, 1_682), "1M": (6_040, 3_706)}  # users, films
GOALS = {  # ratios to reach
    "100K": {"portable": 4.0, "compiled": 8.0},
    "1M": {"portable": 4.0, "compiled": 4.5},
}
WAYS = {"portable": completion_step_portably, "compiled": completion_step}


def run() -> list[dict[str, object]]:
    """One row per size and way: the median seconds of a step, its ratio to torch's layers, and the one to reach."""
    with process() as executor:
        return [row for size in SIZES for row in executor.submit(_rows, size).result()]


def _rows(size: str) -> list[dict[str, object]]:
    ways = [way for way in WAYS if way == "portable" or compiled.is_available()]
    epochs: dict[str, Epoch] = {"layers": _layers(size)} | {way: _kernel(size, way) for way in ways}
    batches = _batches(size)
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    order = random.Random(0)
    for turn in range(ROUNDS + 1):  # the first one warms up
        for name in order.sample(sorted(epochs), len(epochs)):
            started = time.process_time()
            epochs[name](batches)
            if turn:
                seconds[name].append((time.process_time() - started) / NUM_STEPS)
    return [_row(size, way, seconds[way], seconds["layers"]) for way in ways]


def _row(size: str, way: str, values: list[float], layers: list[float]) -> dict[str, object]:
    return {
        "benchmark": "matrix_completion",
        "case": f"{size}, {way}",
        "seconds": statistics.median(values),
        "ratio": statistics.median(slow / fast for slow, fast in zip(layers, values, strict=True)),
        "goal": GOALS[size][way],
        "num_rounds": ROUNDS,
    }


def _batches(size: str) -> list[Entries]:
    rng = numpy_stream(0, "entries")

    def places(count: int) -> Tensor:
        weights = 1 / (np.arange(count) + 10.0)
        return torch.from_numpy(rng.choice(count, (NUM_STEPS, BATCH_SIZE), p=weights / weights.sum()))

    rows, columns = (places(count) for count in SIZES[size])
    values = torch.from_numpy(rng.integers(1, 6, (NUM_STEPS, BATCH_SIZE))).float()
    return list(zip(rows, columns, values, strict=True))


def _factors(size: str) -> list[Tensor]:
    generator = torch_stream(0, "weights")
    return [torch.randn(count, WIDTH, generator=generator) * (2 / WIDTH) ** 0.5 for count in SIZES[size]]


def _layers(size: str) -> Epoch:
    """Torch's layers, with a mask for each entry."""
    U, V = (nn.Embedding(len(factor), WIDTH, _weight=factor) for factor in _factors(size))
    optimizer = torch.optim.SGD([U.weight, V.weight], lr=LEARNING_RATE)

    def epoch(batches: list[Entries]) -> None:
        for rows, columns, values in batches:
            optimizer.zero_grad(set_to_none=True)
            predictions = F.dropout(U(rows) * V(columns), DROP_RATE).sum(1)
            F.mse_loss(predictions, values).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimizer.step()

    return epoch


def _kernel(size: str, way: str) -> Epoch:
    """Steps of ours, with a mask that each batch shares; drawing the masks is part of the time."""
    (U, V), stream = _factors(size), MaskStream(0, "masks", "cpu")

    def epoch(batches: list[Entries]) -> None:
        masks = stream.bernoulli((len(batches), WIDTH), 1 - DROP_RATE)
        for mask, entries in zip(masks, batches, strict=True):
            WAYS[way](U, V, *entries, LEARNING_RATE, mask, 1 - DROP_RATE)

    return epoch
