"""Attacks: the grid of 800^3 perturbations by columns against all points, and an attack step against loss.backward().

The first goals are for the top 1,000 of the thesis's grid (section 6.5.1), the second ones for a network 784-100-1 with
ReLU, a batch of 64 and single precision: a step of PGD with all that belongs to it, by closed-form gradients and by
gradients of the inputs alone, against the same step by the gradients that loss.backward() computes for inputs and
parameters. One thread, in a process whose memory is kept between steps as in a trial's; the ways take turns in shuffled
order, and the figure is the median over turns of the ratio of CPU times.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.processes import process
from benchmarks.sizes import sized
from tasks.attacks import grid
from tasks.attacks.attack import AttackSettings, attack
from tasks.attacks.loss import LOSS_NAMES
from tasks.attacks.two_layer import TwoLayer
from tasks.runtime import compiled

GRID_ROUNDS, STEP_ROUNDS = sized((3, 15), (1, 1))
GRID_GOALS = {"numpy": 10.0, "compiled": 50.0}
STEP_GOALS = {"closed form": 1.9, "gradients of the inputs alone": 1.3}
NUM_TOP, NUM_STEPS, BATCH_SIZE = sized((1000, 200, 64), (10, 2, 4))
POINTS_PER_AXIS = sized(800, 20)
SETTINGS = AttackSettings(radius=0.1, step="raw", step_size=1.0, num_steps=NUM_STEPS, loss="margin", keep="last")


def run() -> Iterable[Mapping[str, object]]:
    """One row for each way: the median seconds, the ratio to the slow way, and the one to reach."""
    with process() as executor:
        if compiled.is_available():
            yield from executor.submit(_grid_rows).result()
        else:
            yield {
                "case": "grid: not measured; the measure is numba's search of all points, and numba is not installed"
            }
        yield from executor.submit(_step_rows).result()


def _grid_rows() -> list[dict[str, object]]:
    from tasks.attacks import grid_compiled

    rows = []
    for loss in LOSS_NAMES:
        problem = grid.grid_problem([3.0, 2.0, 1.0], 0.51, 0.7078, POINTS_PER_AXIS, loss)
        ways = {
            "all points": lambda problem=problem: grid_compiled.exhaust(problem, NUM_TOP),
            "numpy": lambda problem=problem: grid.columns(problem, NUM_TOP),
            "compiled": lambda problem=problem: grid_compiled.columns(problem, NUM_TOP),
        }
        seconds = _in_turns(ways, GRID_ROUNDS)
        rows += [_row(f"grid, {loss}", way, seconds, "all points", goal) for way, goal in GRID_GOALS.items()]
    return rows


def _step_rows() -> list[dict[str, object]]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 1)).eval()
    inputs, labels = torch.rand(BATCH_SIZE, 1, 28, 28), torch.randint(2, (BATCH_SIZE,))
    closed = TwoLayer.of(network)
    ways: dict[str, Callable[[], Tensor]] = {
        "loss.backward()": lambda: _by_backward(network, inputs, labels),
        "closed form": lambda: attack(network, inputs, labels, SETTINGS, gradients=closed),
        "gradients of the inputs alone": lambda: attack(network, inputs, labels, SETTINGS),
    }
    points = [way() for way in ways.values()]
    assert all(torch.allclose(found, points[0], atol=1e-5) for found in points)
    seconds = _in_turns(ways, STEP_ROUNDS)
    return [_row("step, 784-100-1", way, seconds, "loss.backward()", goal) for way, goal in STEP_GOALS.items()]


def _by_backward(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The attack as it is commonly written."""
    points, signs = inputs, (2 * labels - 1).float()
    low, high = inputs - SETTINGS.radius, inputs + SETTINGS.radius
    for _ in range(SETTINGS.num_steps):
        points = points.detach().requires_grad_()
        network.zero_grad()
        loss = -F.softplus(signs * network(points).squeeze(-1)).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        assert points.grad is not None
        points = (points.detach() + SETTINGS.step_size * points.grad).clamp(low, high)
    return points


def _in_turns(ways: Mapping[str, Callable[[], object]], num_rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    order = random.Random(0)
    for turn in range(num_rounds + 1):  # the first one compiles and warms up
        for name in order.sample(sorted(ways), len(ways)):
            started = time.process_time()
            ways[name]()
            if turn:
                seconds[name].append(time.process_time() - started)
    return seconds


def _row(case: str, way: str, seconds: Mapping[str, list[float]], slow: str, goal: float) -> dict[str, object]:
    return {
        "benchmark": "attacks",
        "case": f"{case}, {way}",
        "seconds": statistics.median(seconds[way]),
        "ratio": statistics.median(other / own for other, own in zip(seconds[slow], seconds[way], strict=True)),
        "goal": goal,
        "num_rounds": len(seconds[way]),
    }
