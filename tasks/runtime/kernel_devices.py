"""The types of devices on which masks are made by the fused kernels of `tasks.regularizers.fused`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

INTERPRETER = "TRITON_INTERPRET"  # 1: kernels run on a CPU, slowly, to test them


def is_available() -> bool:
    """Whether Triton is installed; torch's packages for CUDA bring it."""
    return importlib.util.find_spec("triton") is not None


def types_here() -> frozenset[str]:
    """CUDA devices, and in Triton's interpreter the CPU; none without Triton."""
    if not is_available():
        return frozenset()
    return frozenset({"cuda", "cpu"} if os.environ.get(INTERPRETER) == "1" else {"cuda"})


_types = types_here()  # read once: a look at the environment at every site would take longer than a small mask


def has_kernels(device: torch.device) -> bool:
    """Whether masks on this device are made by fused kernels."""
    return device.type in _types


@contextmanager
def kernels_on(*types: str) -> Iterator[None]:
    """A context in which devices of these types have kernels, and no others: `meta`, to count kernels without a GPU."""
    global _types
    before, _types = _types, frozenset(types)
    try:
        yield
    finally:
        _types = before
