"""CIFAR files as Python 2 wrote them, with few images."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np

PIXELS = 3 * 32 * 32


def python2_pickle(content: dict[str, np.ndarray | list[int] | str]) -> bytes:
    """Protocol 2 with byte strings, as cPickle of Python 2 dumped a dictionary; written opcode by opcode."""
    return b"\x80\x02}(" + b"".join(_text(key) + _value(value) for key, value in content.items()) + b"u."


def _text(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()  # SHORT_BINSTRING


def _value(value: np.ndarray | list[int] | str) -> bytes:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        numbers = np.array([(b"J"[0], number) for number in value], dtype=[("opcode", "u1"), ("number", "<i4")])
        return b"](" + numbers.tobytes() + b"e"
    rows, columns = value.shape
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + _text("b") + b"tR"
    dtype = b"cnumpy\ndtype\n(" + _text("u1") + b"K\x00K\x01tR(K\x03" + _text("|") + b"NNNJ\xff\xff\xff\xff"
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    shape = b"J" + struct.pack("<i", rows) + b"J" + struct.pack("<i", columns) + b"\x86"
    pixels = b"T" + struct.pack("<i", value.size) + value.tobytes()
    return made + b"(K\x01" + shape + dtype + b"\x89" + pixels + b"tb"


def write_cifar(path: Path, labels: dict[str, list[int]], first_pixels: bytes = b"") -> None:
    """A file of black images but for the first pixels, with labels of the given kinds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    num_images = len(next(iter(labels.values())))
    data = np.zeros((num_images, PIXELS), dtype=np.uint8)
    data.reshape(-1)[: len(first_pixels)] = np.frombuffer(first_pixels, np.uint8)
    path.write_bytes(python2_pickle({"batch_label": "a batch", **labels, "data": data}))


def write_cifar10(folder: Path, num_in_batch: int) -> Path:
    """The six files of CIFAR-10, the batches numbered by their first pixel."""
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for number, name in enumerate(names, start=1):
        labels = {"labels": [(number + place) % 10 for place in range(num_in_batch)]}
        write_cifar(folder / "cifar-10-batches-py" / name, labels, bytes([number]))
    return folder


def write_cifar100(folder: Path, num_train: int, num_test: int) -> Path:
    """The two files of CIFAR-100."""
    for name, number in (("train", num_train), ("test", num_test)):
        labels = {"coarse_labels": [0] * number, "fine_labels": [place % 100 for place in range(number)]}
        write_cifar(folder / "cifar-100-python" / name, labels, bytes([3, 1, 4]))
    return folder


class Calls:
    """Pickles as a call of a function, as a pickle that does harm would."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def harmful_pickle(function: object, *arguments: object) -> bytes:
    """A pickle whose reading would call `function`."""
    return pickle.dumps({"data": Calls(function, *arguments)})
