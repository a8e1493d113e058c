"""What training many seeds at once saves: fifty linear pairs 100-50-80 under DropBlock, together and one by one.

Run `python -m benchmarks.many_seeds`. One thread. Both ways take turns, and the figure is the ratio of the medians of
the process's CPU time, which other work on the machine disturbs little. One by one means plain autograd: a module, its
loss, `backward`, and `torch.optim.SGD`, without the training loop's hooks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from tasks.metrics import squared_error
from tasks.regularizers.base import Context
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.sites import measure_sites
from tasks.streams import torch_stream
from tasks.theory.many_seeds import Stack
from tasks.theory.shallow_linear import LinearPair

NUM_SEEDS, ROUNDS, GOAL = 50, 7, 3.0
NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS = 100, 50, 80
CASES = {"one sample a step": (1, 40), "20 samples a step": (20, 20), "50 samples a step": (50, 10)}
LEARNING_RATE = 1e-6  # so small that no round diverges: only time counts here


def run() -> list[dict[str, object]]:
    """One row per batch size: how many times faster all seeds together are than one after the other."""
    torch.set_num_threads(1)
    return [_compare(name, *case) for name, case in CASES.items()]


def _compare(name: str, batch_size: int, num_steps: int) -> dict[str, object]:
    ways = {"alone": _alone(batch_size), "together": _together(batch_size)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):  # the first one warms up
        for way, step in ways.items():
            started = time.process_time()
            for _ in range(num_steps):
                step()
            if turn:
                seconds[way].append(time.process_time() - started)
    medians = {way: statistics.median(values) / num_steps for way, values in seconds.items()}
    return {
        "benchmark": "many_seeds",
        "case": name,
        "seconds": medians["together"],
        "ratio": medians["alone"] / medians["together"],
        "goal": GOAL,
        "num_rounds": ROUNDS,
    }


def _networks() -> list[LinearPair]:
    networks = []
    for seed in range(NUM_SEEDS):
        network = LinearPair(NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS, torch_stream(seed, "weights"))
        measure_sites(network, torch.zeros(1, NUM_INPUTS))
        context = Context(
            seed=seed,
            device=torch.device("cpu"),
            name="dropblock_sample",
            num_train_samples=1,
            num_epochs=1,
            num_steps=1,
            learning_rate=LEARNING_RATE,
        )
        DropBlockSample(drop_rate=0.5, block_size=5).attach(network, context)
        networks.append(network.train())
    return networks


def _data(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_stream(0, "benchmark")
    return tuple(torch.randn(NUM_SEEDS, batch_size, size, generator=generator) for size in (NUM_INPUTS, NUM_OUTPUTS))  # type: ignore[return-value]


def _alone(batch_size: int) -> Callable[[], None]:
    networks, (inputs, targets) = _networks(), _data(batch_size)
    optimizers = [torch.optim.SGD(network.parameters(), lr=LEARNING_RATE) for network in networks]

    def step() -> None:
        for network, optimizer, x, y in zip(networks, optimizers, inputs, targets, strict=True):
            optimizer.zero_grad(set_to_none=True)
            squared_error(network(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return step


def _together(batch_size: int) -> Callable[[], None]:
    stack, (inputs, targets) = Stack(_networks()), _data(batch_size)

    @torch.no_grad()
    def step() -> None:
        stack.step(inputs, targets, stack.multipliers(batch_size), LEARNING_RATE)

    return step


if __name__ == "__main__":
    for row in run():
        print("{case:24s} {ratio:6.2f} x (goal {goal:.1f})  {seconds:.5f} s a step of all seeds".format(**row))
