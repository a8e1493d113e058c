"""Processes to measure in, with their memory handed out as in a trial's process, or as by default."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager

import torch

from harness.workers.environment import environment
from harness.workers.isolation import MALLOC_VARIABLE, malloc_tunables


@contextmanager
def process(*, as_a_trial: bool = True) -> Iterator[ProcessPoolExecutor]:
    """One process with one thread, to submit calls to; what a call leaves in its module is there for the next one."""
    with ExitStack() as stack:
        with environment({MALLOC_VARIABLE: malloc_tunables() if as_a_trial else ""}):
            context = multiprocessing.get_context("spawn")
            executor = stack.enter_context(ProcessPoolExecutor(max_workers=1, mp_context=context))
            executor.submit(torch.set_num_threads, 1).result()  # the process starts, and reads the variable, by now
        yield executor
