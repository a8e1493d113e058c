"""A safe reader of pickles that hold plain values and numpy arrays.

The CIFAR files are pickles. A pickle can call any function that it names. Those of CIFAR name three of numpy, which
construct an array of numbers, and, if rewritten by Python 3, one that encodes text as bytes. No others are called.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class _PlainUnpickler(pickle.Unpickler):
    """Looks up the functions of which arrays are made; raises an error for every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The replacement of an allowed function."""
        found = _ADMITTED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which is not part of an array")
        return found


def _array(cls: type, shape: tuple[int, ...], kind: bytes | str) -> np.ndarray[Any, Any]:
    """An empty array, whose state follows in the pickle; replaces numpy's private `_reconstruct`."""
    if cls is not np.ndarray:
        raise pickle.UnpicklingError(f"an array was to be made of {cls!r}")
    return np.ndarray(0, dtype=np.uint8)


def _dtype(code: bytes | str, align: bool = False, copy: bool = True) -> np.dtype[Any]:
    """A numeric dtype; arrays of objects would contain pickles of their own."""
    made = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
    if made.kind not in "biuf":
        raise pickle.UnpicklingError(f"an array of {made} was found, where numbers are expected")
    return made


def _bytes(text: str, encoding: str) -> bytes:
    """The bytes of a text, which is how Python 3 pickles bytes in the protocol of Python 2."""
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _bytes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,  # as numpy 2 writes it
}


def read_plain_pickle(path: Path) -> Any:
    """The value in a pickle of dictionaries, lists, strings, numbers and arrays of numbers.

    Strings of Python 2 are returned as bytes, strings of Python 3 as str.

    Raises:
        pickle.UnpicklingError: for a pickle that names anything else.
    """
    return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
