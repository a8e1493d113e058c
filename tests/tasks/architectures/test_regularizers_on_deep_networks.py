"""Every regularizer trains a step on the networks of the papers, or says why not."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.architectures import ARCHITECTURES
from tasks.input_space import InputSpace
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch, Context, Step
from tasks.sites import SITE_KINDS, measure_sites

NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "zhai_cnn": (16, {"width": 16, "channel_divisor": 16}),
    "resnet56": (8, {"pooled_site": True}),
}


@cache
def network_of(name: str) -> nn.Module:
    size, options = NETWORKS[name]
    torch.manual_seed(0)
    network = ARCHITECTURES[name](num_classes=3, in_channels=3, image_size=size, **options)
    measure_sites(network, torch.zeros(1, 3, size, size))
    return network


@pytest.mark.parametrize("regularizer_name", sorted(REGULARIZERS))
@pytest.mark.parametrize("network_name", NETWORKS)
def test_it_trains_a_step_or_says_why_not(network_name: str, regularizer_name: str) -> None:
    network = copy.deepcopy(network_of(network_name))
    regularizer = REGULARIZERS[regularizer_name]()
    reason = regularizer.skip_reason(network)
    if reason is not None:
        assert reason.startswith(type(regularizer).__name__)
        assert " needs " in reason or any(kind in reason for kind in SITE_KINDS)
        return
    hooks = regularizer.attach(network, context(regularizer_name))
    hooks.progress(0.5)
    step = Step(network=network, loss=loss_of(network), rng=np.random.default_rng(0), index=0, epoch=1, progress=0.5)
    size = NETWORKS[network_name][0]
    raw = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inputs = hooks.transform_raw(raw, step).float() / 255
    batch = hooks.transform_batch(Batch(inputs, torch.eye(3)[:2]), step)
    step = replace(step, batch=batch)

    def backward() -> Tensor:
        network.zero_grad()
        loss, penalty = step.loss(batch), hooks.penalty(step)
        total = loss if penalty is None else loss + penalty
        total.backward()
        return total

    loss = float(hooks.compute_gradients(backward, step).detach())
    hooks.after_step(step)
    hooks.after_epoch(10, network)  # the period of the methods that work on weights between epochs
    assert math.isfinite(loss)
    for name, parameter in network.named_parameters():
        assert parameter.isfinite().all(), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def context(name: str) -> Context:
    return Context(
        seed=0,
        device=torch.device("cpu"),
        name=name,
        num_train_samples=100,
        num_epochs=20,
        num_steps=1000,
        learning_rate=0.1,
        input_space=InputSpace(low=0.0, high=1.0),
    )


def loss_of(network: nn.Module) -> Any:
    return lambda batch: F.cross_entropy(network(batch.inputs), batch.targets)
