"""Temporary changes of environment variables, for processes and libraries that read them at their start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])  # the folder that holds our packages


def make_importable(folder: str) -> None:
    """Let this process import modules from a folder, after all other places: it cannot hide an installed package."""
    if folder not in sys.path:
        sys.path.append(folder)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """A context in which these variables are set, for this process and those that it starts; restored afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
