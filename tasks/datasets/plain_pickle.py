"""Pickles that hold plain values and numpy arrays, read without running what else a pickle may name.

The CIFAR files are pickles. A pickle may call any function that it names; these name three of numpy's, by which an
array of numbers is put together (and, rewritten by Python 3, one that makes bytes of text). Nothing else is looked up.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class _PlainUnpickler(pickle.Unpickler):
    """Styles up what arrays are made of; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """The one object of that name that is admitted."""
        found = _ADMITTED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which is no part of an array")
        return found


def _array(cls: type, shape: tuple[int, ...], kind: bytes | str) -> np.ndarray[Any, Any]:
    """An empty array, whose state follows; a stand-in for numpy's private function of the same purpose."""
    if cls is not np.ndarray:
        raise pickle.UnpicklingError(f"an array was to be made of {cls!r}")
    return np.ndarray(0, dtype=np.uint8)


def _dtype(code: bytes | str, align: bool = False, copy: bool = True) -> np.dtype[Any]:
    """A type of plain numbers: objects in an array would be further pickles' doing."""
    made = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
    if made.kind not in "biuf":
        raise pickle.UnpicklingError(f"an array of {made} was found, where numbers are expected")
    return made


def _bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in the format of Python 2."""
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _bytes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,  # as numpy 2 writes it
}


def read_plain_pickle(path: Path) -> Any:
    """The value in a pickle of dictionaries, lists, texts, numbers and arrays of numbers.

    Byte strings of Python 2 come as bytes, texts of Python 3 as str.

    Raises:
        pickle.UnpicklingError: for a pickle that names anything else.
    """
    return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
