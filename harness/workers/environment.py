"""Temporary changes of environment variables, for processes and libraries that read them at their start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])  # the folder that holds our packages


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
