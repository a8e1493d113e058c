"""Accuracies of 100 fixed sub-networks on 1,000 test digits: all at once, against one network after the other.

Run `python -m benchmarks subnetworks`. One thread; LeNet with a last hidden layer of some width, drop rate 0.8 there.
All at once computes the hidden layer once, which is part of its time. Both ways take turns, and the figure is the
median over turns of the ratio of CPU times; their accuracies are compared too.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from benchmarks.sizes import sized
from tasks.architectures import ARCHITECTURES
from tasks.runtime.streams import torch_stream
from tasks.theory.subnetworks import fixed_masks, subnetwork_accuracies

NUM_DIGITS, NUM_MASKS, ROUNDS = sized((1_000, 100, 5), (20, 3, 1))
KEEP_RATE = 0.2
GOALS = {100: 20.0, 1_000: 20.0}  # width of the last hidden layer: ratio to reach


def run() -> list[dict[str, object]]:
    """One row per width: the median seconds of all at once, the ratio, the one to reach, the greatest difference."""
    torch.set_num_threads(1)
    return [_row(width) for width in GOALS]


@torch.no_grad()
def _row(width: int) -> dict[str, object]:
    network = ARCHITECTURES["lenet"](num_classes=10, in_channels=1, image_size=28, width=width).eval()
    features, classifier = network.features, network.classifier
    assert isinstance(features, nn.Module)
    assert isinstance(classifier, nn.Sequential)
    top = classifier[-1]
    assert isinstance(top, nn.Linear)
    below = nn.Sequential(features, *classifier[:-1])
    generator = torch_stream(0, "digits")
    digits = torch.rand(NUM_DIGITS, 1, 28, 28, generator=generator)
    labels = torch.randint(10, (NUM_DIGITS,), generator=generator)
    masks = fixed_masks(NUM_MASKS, width, KEEP_RATE, seed=0)

    def alone() -> Tensor:
        scores = [top(below(digits) * mask / KEEP_RATE) for mask in masks]
        return torch.stack([(each.argmax(1) == labels).double().mean() for each in scores])

    def together() -> Tensor:
        return subnetwork_accuracies(below(digits), top.weight, masks, labels, top.bias, KEEP_RATE)

    ways = {"alone": alone, "together": together}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):  # the first one warms up
        for way, measure in ways.items():
            started = time.process_time()
            measure()
            if turn:
                seconds[way].append(time.process_time() - started)
    return {
        "benchmark": "subnetworks",
        "case": f"width {width}",
        "seconds": statistics.median(seconds["together"]),
        "ratio": statistics.median(slow / fast for slow, fast in zip(*seconds.values(), strict=True)),
        "difference": float((alone() - together()).abs().max()),
        "goal": GOALS[width],
        "num_rounds": ROUNDS,
    }
