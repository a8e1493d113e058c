"""The data of Pal et al. 2020, section 5.1: random inputs, and targets that are linear in them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tasks.runtime.streams import torch_stream

NUM_SAMPLES, NUM_INPUTS, NUM_OUTPUTS, NUM_HIDDEN = 1000, 100, 80, 50


def linear_samples(inputs_of: Callable[[Tensor], Tensor] = lambda drawn: drawn) -> tuple[Tensor, Tensor]:
    """Inputs X (samples x inputs), made of draws from N(0, 1), and targets Y = X M^T; the same for every seed.

    M = U_true V_true^T with entries of both factors from N(0, 1), of rank NUM_HIDDEN.
    """
    generator = torch_stream(0, "data/synthetic_linear")
    inputs = torch.randn(NUM_SAMPLES, NUM_INPUTS, generator=generator)
    left = torch.randn(NUM_OUTPUTS, NUM_HIDDEN, generator=generator)
    right = torch.randn(NUM_INPUTS, NUM_HIDDEN, generator=generator)
    inputs = inputs_of(inputs)
    return inputs, inputs @ right @ left.T
