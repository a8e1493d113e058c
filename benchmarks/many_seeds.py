"""What training many seeds at once saves: linear nets under DropBlock or dropout, together and one by one.

Run `python -m benchmarks many_seeds`. One thread. Both ways take turns, and the figure is the ratio of the medians of
the process's CPU time, which other work on the machine disturbs little. One by one means plain autograd: a module, its
loss, `backward`, and `torch.optim.SGD`, without the training loop's hooks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from benchmarks.sizes import IS_TINY, sized
from tasks.linear.many_seeds import Stack
from tasks.linear.networks import DeepLinear
from tasks.metrics import squared_error
from tasks.regularizers.base import Context, Regularizer
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropout import Dropout
from tasks.runtime.streams import torch_stream
from tasks.sites import measure_sites

ROUNDS = sized(7, 1)
LEARNING_RATE = 1e-6  # so small that no round diverges: only time counts here


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: a linear net of these widths, and how many steps of how many seeds are one round."""

    widths: tuple[int, ...] = (100, 50, 80)
    contestant: Regularizer
    num_seeds: int = 50
    batch_size: int
    num_steps: int
    goal: float = 3.0

    def networks(self) -> list[nn.Module]:
        """The network of every seed, under the contestant."""
        return [self._network(seed) for seed in range(self.num_seeds)]

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch for every seed."""
        generator, ends = torch_stream(0, "benchmark"), (self.widths[0], self.widths[-1])
        inputs, targets = (torch.randn(self.num_seeds, self.batch_size, end, generator=generator) for end in ends)
        return inputs, targets

    def _network(self, seed: int) -> nn.Module:
        network = DeepLinear(self.widths, 1.0, torch_stream(seed, "weights"))
        measure_sites(network, torch.zeros(1, self.widths[0]))
        context = Context(
            seed=seed,
            device=torch.device("cpu"),
            name="contestant",
            num_train_samples=1,
            num_epochs=1,
            num_steps=1,
            learning_rate=LEARNING_RATE,
        )
        self.contestant.attach(network, context)
        return network.train()


_BLOCKS, _DEEP = DropBlockSample(drop_rate=0.5, block_size=5), Dropout(drop_rate=0.3)
CASES = {
    "one sample a step": Case(contestant=_BLOCKS, batch_size=1, num_steps=40),
    "20 samples a step": Case(contestant=_BLOCKS, batch_size=20, num_steps=20),
    "50 samples a step": Case(contestant=_BLOCKS, batch_size=50, num_steps=10),
    # Figures 3-3 and 3-2 of Mianjy's thesis, with as many seeds as train at once there: products and masks cost most.
    "deep, width 5": Case(
        widths=(5, 5, 5, 5, 5, 5, 1), contestant=_DEEP, num_seeds=10, batch_size=1000, num_steps=10, goal=1.5
    ),
    "deep, width 20": Case(
        widths=(20, 20, 20, 20, 20, 20), contestant=_DEEP, num_seeds=5, batch_size=1000, num_steps=10, goal=1.0
    ),
}


def run() -> list[dict[str, object]]:
    """One row per case: how many times faster all seeds together are than one after the other."""
    torch.set_num_threads(1)
    cases = {name: replace(case, num_seeds=2, num_steps=1) if IS_TINY else case for name, case in CASES.items()}
    return [_compare(name, case) for name, case in cases.items()]


def _compare(name: str, case: Case) -> dict[str, object]:
    ways = {"alone": _alone(case), "together": _together(case)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):  # the first one warms up
        for way, step in ways.items():
            started = time.process_time()
            for _ in range(case.num_steps):
                step()
            if turn:
                seconds[way].append(time.process_time() - started)
    medians = {way: statistics.median(values) / case.num_steps for way, values in seconds.items()}
    return {
        "benchmark": "many_seeds",
        "case": name,
        "seconds": medians["together"],
        "ratio": medians["alone"] / medians["together"],
        "goal": case.goal,
        "num_rounds": ROUNDS,
    }


def _alone(case: Case) -> Callable[[], None]:
    networks, (inputs, targets) = case.networks(), case.data()
    optimizers = [torch.optim.SGD(network.parameters(), lr=LEARNING_RATE) for network in networks]

    def step() -> None:
        for network, optimizer, x, y in zip(networks, optimizers, inputs, targets, strict=True):
            optimizer.zero_grad(set_to_none=True)
            squared_error(network(x), y).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimizer.step()

    return step


def _together(case: Case) -> Callable[[], None]:
    stack, (inputs, targets) = Stack(case.networks()), case.data()

    @torch.no_grad()
    def step() -> None:
        stack.step(inputs, targets, stack.multipliers(case.batch_size), LEARNING_RATE)

    return step
