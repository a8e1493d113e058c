"""Switches for the execution of training steps: number formats, memory layout, compilation, determinism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Precision = Literal["fp32", "bf16", "fp16"]
_FLAGS = ("channels_last", "compile", "cuda_graphs", "tf32", "deterministic", "device_decoding")
_NEED_CUDA = ("cuda_graphs", "tf32", "device_decoding")


@dataclass(frozen=True, kw_only=True)
class Switches:
    """How steps are executed. By default all are off: exact 32-bit floats, channels first, no compiler.

    Args:
        precision: of the forward and backward pass; `bf16` and `fp16` use torch's autocast, weights stay 32-bit.
        channels_last: use this memory layout for images and conv layers.
        compile: compile the network with `torch.compile`.
        cuda_graphs: replay the compiled network as a CUDA graph; needs `compile` and a CUDA device.
        tf32: let tensor cores round the factors of 32-bit convolutions and matrix products to TF32, which has 10 bits
            of mantissa (relative error about 3e-4); needs a CUDA device. Without it all of them are exact to 32 bits.
        deterministic: use only algorithms that give the same bits in every run. A CPU has no others; on a GPU they are
            slower, and an operation without one raises.
        device_decoding: decode the JPEG files of streamed images on the device; needs a CUDA device. Pixels differ by a
            few levels from those that a CPU decodes.

    Raises:
        ValueError: for an unknown precision, or CUDA graphs without the compiler.
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    tf32: bool = False
    deterministic: bool = False
    device_decoding: bool = False

    def __post_init__(self) -> None:
        """Check the precision and the combination of switches."""
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}.")
        if self.cuda_graphs and not self.compile:
            raise ValueError("cuda_graphs replays compiled code: it needs compile as well.")

    @classmethod
    def of(cls, text: str) -> Switches:
        """The switches in a text, joined by "+"; `fp32` or an empty text: all off.

        Raises:
            ValueError: for an unknown word.

        >>> Switches.of("bf16+channels_last") == Switches(precision="bf16", channels_last=True)
        True
        """
        values: dict[str, Any] = {}
        for word in filter(None, text.split("+")):
            if word in get_args(Precision):
                values["precision"] = word
            elif word in _FLAGS:
                values[word] = True
            else:
                raise ValueError(f"Switches are {', '.join((*get_args(Precision), *_FLAGS))}, got {word!r}.")
        return cls(**values)

    @property
    def for_cuda(self) -> tuple[str, ...]:
        """The switches that are on and need a CUDA device."""
        return tuple(name for name in _NEED_CUDA if getattr(self, name))

    @property
    def text(self) -> str:
        """The switches that are on, joined by "+", as stored in rows; empty if all are off.

        >>> Switches().text, Switches(precision="bf16", channels_last=True).text
        ('', 'bf16+channels_last')
        """
        precision = [] if self.precision == "fp32" else [self.precision]
        flags = [name for name in _FLAGS if getattr(self, name)]
        return "+".join([*precision, *flags])
