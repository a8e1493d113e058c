"""An accelerator without the hardware: torch's fake tensors have shapes and devices, and no numbers.

An operation on tensors of two devices is an error there as on a GPU. Whatever asks for a number (`float(x)`, `if x:`)
makes a GPU's processor wait; each such place is noted, and answered by a made-up number. So is each copy of a tensor of
the processor's to the device, since it waits for all work that is queued there. Nothing is differentiated,
since torch's engine needs the hardware: gradients are made up as well, and no weight moves.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import tasks.attacks.attack
import tasks.datasets.batches
import tasks.regularizers.base
import tasks.runtime.streams
from tasks.datasets.augmentation import Moves
from tasks.optimizer import Descent

DEVICE = torch.device("cuda")
ROOT = Path(__file__).parents[1]


def made_up(tensor: Tensor) -> bool | int | float:
    """True, 0 or 0.5: all is well, nothing is counted, and a rate is a rate."""
    if tensor.dtype == torch.bool:
        return True
    return 0.5 if tensor.dtype.is_floating_point else 0


ASK_FOR_NUMBERS = {
    "item": made_up,
    "__bool__": lambda tensor: bool(made_up(tensor)),
    "__int__": lambda tensor: int(made_up(tensor)),
    "__float__": lambda tensor: float(made_up(tensor)),
    "tolist": lambda tensor: [made_up(tensor)] * tensor.numel(),
    "nonzero": lambda tensor: torch.zeros(0, tensor.dim(), dtype=torch.int64, device=tensor.device),
    "cpu": lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype),
}


class ThereGenerator(torch.Generator):
    """A generator that says that it is on the device; its draws are fake tensors."""

    device = DEVICE


@contextmanager
def fake_accelerator() -> Iterator[list[str]]:
    """Within it, `DEVICE` can be trained on; gives the list of places that asked for a number there."""
    waits: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, answer in ASK_FOR_NUMBERS.items():
            patch.setattr(Tensor, name, _noted(name, answer, waits))
        for name in ("to", "copy_"):
            patch.setattr(Tensor, name, _noted_on_moving(name, waits))
        for name in ("tensor", "as_tensor"):
            patch.setattr(torch, name, _noted_on_making(name, waits))
        patch.setattr(Tensor, "pin_memory", lambda tensor: tensor)  # needs the hardware
        patch.setattr(Tensor, "backward", _make_up_gradients)
        patch.setattr(torch.autograd, "grad", lambda _, variables, **__: [torch.empty_like(v) for v in variables])
        patch.setattr(Descent, "step", lambda _: None)
        patch.setattr(nn.Module, "to", _moved)
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        stream = tasks.runtime.streams.torch_stream  # generators of a device exist with the device alone
        for module in (tasks.runtime.streams, tasks.datasets.batches):
            patch.setattr(module, "torch_stream", lambda seed, name, *_: stream(seed, name))
        patch.setattr(tasks.regularizers.base, "torch_stream", lambda seed, name, *_: ThereGenerator())
        patch.setattr(tasks.attacks.attack, "own_stream", lambda *_: nullcontext())  # its states are the device's
        draw = tasks.datasets.batches.draw_moves  # type: ignore[attr-defined]  # on the device of its generator
        patch.setattr(tasks.datasets.batches, "draw_moves", lambda *drawn_by: _there(draw(*drawn_by)))
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield waits


def _noted(name: str, answer: Any, waits: list[str]) -> Any:
    real = getattr(Tensor, name)

    def ask(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(tensor, FakeTensor):
            return real(tensor, *args, **kwargs)
        if tensor.device.type == DEVICE.type:
            waits.append(_place())
        return answer(tensor)

    return ask


def _noted_on_moving(name: str, waits: list[str]) -> Any:
    """`x.to(device)` and `y.copy_(x)`, which are carried out, and noted where numbers leave or reach the device."""
    real = getattr(Tensor, name)

    def move(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = real(tensor, *args, **kwargs)
        if kwargs.get("non_blocking") and _is_sent():
            return result
        source = args[0] if name == "copy_" else tensor
        if (source.device.type == DEVICE.type) != (result.device.type == DEVICE.type):
            waits.append(_place())
        return result

    return move


def _noted_on_making(name: str, waits: list[str]) -> Any:
    """`torch.tensor(number, device=device)`: a copy to the device, unless it is of a tensor there."""
    real = getattr(torch, name)

    def make(data: Any, *args: Any, **kwargs: Any) -> Any:
        made = real(data, *args, **kwargs)
        is_there = isinstance(data, Tensor) and data.device.type == DEVICE.type
        if made.device.type == DEVICE.type and not is_there:
            waits.append(_place())
        return made

    return make


def _is_sent() -> bool:
    """Whether `send` is at work, whose copies are from page-locked memory and wait for nothing."""
    return any(frame.name == "send" for frame in traceback.extract_stack())


def _place() -> str:
    """The line of ours that is at work."""
    ours = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(ROOT / "tasks")]
    return f"{Path(ours[-1].filename).name}: {ours[-1].line}" if ours else "elsewhere"


def _there(moves: Moves) -> Moves:
    return Moves(*(None if part is None else part.to(DEVICE) for part in moves))


def _make_up_gradients(loss: Tensor, *_: object) -> None:
    """For every leaf of the graph below `loss`."""
    assert loss.device.type == DEVICE.type
    seen, below = set(), [loss.grad_fn]
    while below:
        node = below.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        below += [following for following, _ in node.next_functions]
        if (leaf := getattr(node, "variable", None)) is not None:
            leaf.grad = torch.empty_like(leaf)


def _moved(
    network: nn.Module, device: torch.device | None = None, memory_format: torch.memory_format | None = None
) -> nn.Module:
    """`network.to(device)` and `network.to(memory_format=...)` with new tensors: fake ones do not change in place."""

    def there(tensor: Tensor) -> Tensor:
        layout = {"memory_format": memory_format} if memory_format and tensor.dim() == 4 else {}
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device or tensor.device, **layout)

    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(there(parameter), requires_grad=parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, there(buffer))
    return network
