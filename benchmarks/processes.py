"""Processes to measure in, which end with the benchmark, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch

from harness.workers.environment import environment
from harness.workers.isolation import MALLOC_VARIABLE, malloc_tunables


@contextmanager
def processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes to submit calls to. An exception in the context, such as Ctrl-C, ends them at once."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(number, mp_context=context, initializer=_end_with_parent)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.kill()
        raise
    executor.shutdown()


@contextmanager
def process(*, as_a_trial: bool = True) -> Iterator[ProcessPoolExecutor]:
    """One process with one thread, with its memory handed out as in a trial's process, or as by default.

    What a call leaves in its module is there for the next one.
    """
    with processes(1) as executor:
        with environment({MALLOC_VARIABLE: malloc_tunables() if as_a_trial else ""}):
            executor.submit(torch.set_num_threads, 1).result()  # the process starts, and reads the variable, by now
        yield executor


def _end_with_parent() -> None:
    """Have this process end when its parent does: it would wait for calls for ever if the parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
