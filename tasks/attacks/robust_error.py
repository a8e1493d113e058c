"""Robust error: the fraction of samples that a network classifies wrongly under attack."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import nn

from tasks.attacks.attack import AttackSettings, attack
from tasks.attacks.natural_units import natural_gradients
from tasks.datasets.batches import Samples
from tasks.input_space import InputSpace
from tasks.metrics import accuracy
from tasks.runtime.streams import torch_stream

ROBUST_ERROR = "robust_error"
BATCH_SIZE = 100  # raw steps on the mean loss depend on it; 100 in the "Adversarial ML Tutorial", see `presets`


def robust_errors(
    network: nn.Module,
    samples: Samples,
    attacks: Mapping[str, AttackSettings],
    space: InputSpace,
    seed: int,
    device: torch.device,
) -> dict[str, float]:
    """The error under each attack, in [0, 1], as `robust_error/<name>`, and the time of all attacks.

    Args:
        network: in eval mode.
        samples: attacked in batches of 100.
        attacks: by name; radius and steps are in natural units.
        space: the natural units of the inputs.
        seed: of random starts.
        device: of the samples' batches.

    Returns:
        The errors, and `attack_seconds`, the total time.
    """
    started, measured = time.perf_counter(), {}
    for name, settings in attacks.items():
        generator, right, total = torch_stream(seed, f"attacks/{name}", device), 0.0, 0
        for batch in samples.in_order(BATCH_SIZE):
            inputs, labels = space.natural(batch.inputs), batch.targets.argmax(1)
            gradients = natural_gradients(network, space)
            points = attack(network, inputs, labels, settings, generator=generator, gradients=gradients)
            with torch.no_grad():
                right += float(accuracy(network(space.seen(points)), batch.targets)) * len(labels)
            total += len(labels)
        measured[f"{ROBUST_ERROR}/{name}"] = 1 - right / total
    return {**measured, "attack_seconds": time.perf_counter() - started}
