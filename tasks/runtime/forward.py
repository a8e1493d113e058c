"""How a network's passes are executed: number format, memory layout, compiler and CUDA graphs, by its switches.

They apply to every call of the network (by the training loop, an evaluation or a regularizer). Outputs are always
32-bit floats, so that losses and metrics are computed in 32 bits. Activations inside the network have the number format
of the switches, also those that penalties read at sites.
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tasks.runtime.switches import Switches

Forward = Callable[[Tensor], Tensor]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def execute_by(switches: Switches, network: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Execute every call of `network`, whose sites are filled, as `switches` say.

    Args:
        switches: number format, memory layout, compiler.
        network: changed in place: its memory format and its `forward`.
        device: of the network.
        backend: of `torch.compile`.

    Raises:
        ValueError: for CUDA graphs or TF32 on a device other than CUDA.
    """
    if switches.for_cuda and device.type != "cuda":
        raise ValueError(f"The switches {', '.join(switches.for_cuda)} need a CUDA device, got {device.type}.")
    _set_arithmetic(switches)
    if switches.channels_last:
        network.to(memory_format=torch.channels_last)
    if replace(switches, tf32=False, deterministic=False, device_decoding=False).text:
        network.forward = _Forward(network.forward, switches, device, backend)


def plain_forward(network: nn.Module) -> Forward:
    """The forward pass of `network` as the architecture has it, without number format, memory layout or compiler."""
    forward = network.forward
    return forward.plain if isinstance(forward, _Forward) else forward


def _set_arithmetic(switches: Switches) -> None:
    """Set torch's process-wide flags: TF32 (which torch allows in convolutions by default) and determinism."""
    torch.backends.cudnn.allow_tf32 = switches.tf32
    torch.backends.cuda.matmul.allow_tf32 = switches.tf32
    if switches.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    torch.use_deterministic_algorithms(switches.deterministic)


class _Forward:
    """Replaces a network's `forward`."""

    def __init__(
        self, plain: Callable[[Tensor], Tensor], switches: Switches, device: torch.device, backend: str
    ) -> None:
        self.plain, self._switches, self._device, self._backend = plain, switches, device, backend
        self._forward = _compiled(plain, switches, backend) if switches.compile else plain

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._switches.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        dtype = DTYPES[self._switches.precision]
        with torch.autocast(self._device.type, dtype, enabled=dtype is not torch.float32):
            outputs = self._forward(inputs)
        outputs = outputs if dtype is torch.float32 else outputs.float()
        return outputs.clone() if self._switches.cuda_graphs else outputs  # the next replay overwrites this memory

    def __deepcopy__(self, memo: dict[int, Any]) -> _Forward:
        """The `forward` of a copied network, without compilation: compiled code belongs to one network."""
        switches = replace(self._switches, compile=False, cuda_graphs=False)
        return _Forward(copy.deepcopy(self.plain, memo), switches, self._device, self._backend)


def _compiled(forward: Forward, switches: Switches, backend: str) -> Forward:
    from torch._inductor import config  # imports the compiler, which takes seconds

    use_thread_lock_for_progress_bars()
    config.compile_threads = torch.get_num_threads()  # number of compiler processes: at most the trial's processors
    compiled: Forward = torch.compile(
        forward, backend=backend, mode="reduce-overhead" if switches.cuda_graphs else None
    )
    return compiled


def use_thread_lock_for_progress_bars() -> None:
    """Let the compiler's progress bars use a thread lock: a system semaphore would remain if the trial is killed."""
    with contextlib.suppress(ImportError):  # tqdm is optional for torch
        import tqdm

        tqdm.tqdm.set_lock(threading.RLock())
