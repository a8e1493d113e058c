"""Processes to measure in, with their memory handed out as in a trial's process, or as by default."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch

from harness.isolation import MALLOC_TUNABLES, MALLOC_VARIABLE


@contextmanager
def process(*, as_a_trial: bool = True) -> Iterator[ProcessPoolExecutor]:
    """One process with one thread, to submit calls to; what a call leaves in its module is there for the next one."""
    others = os.environ.pop(MALLOC_VARIABLE, None)
    try:
        if as_a_trial:
            os.environ[MALLOC_VARIABLE] = MALLOC_TUNABLES
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as executor:
            executor.submit(torch.set_num_threads, 1).result()  # the process starts, and reads the variable, by now
            yield executor
    finally:
        os.environ.pop(MALLOC_VARIABLE, None)
        if others is not None:
            os.environ[MALLOC_VARIABLE] = others
