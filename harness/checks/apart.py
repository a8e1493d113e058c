"""Checks laws in a process of their own, so that an entry that hangs or crashes becomes a finding."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

from harness.checks.law import Law, Subject, findings, in_words
from harness.workers.exit_codes import how_it_ended


def findings_apart(subject: Subject, laws: Sequence[Law[Subject]], seconds: float) -> Iterator[str]:
    """The `findings`, made in a forked process that is killed after `seconds`.

    So the entry's code cannot end, block or change this process. If a law hangs or ends the process, that is a finding,
    and the laws after it are not checked.
    """
    context = multiprocessing.get_context("fork")  # a fork has the entries that were added to this process's tables
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_ask, args=(subject, laws, sender))
    child.start()
    sender.close()
    latest, law = time.monotonic() + seconds, laws[0]
    try:
        while True:
            ready = wait([receiver, child.sentinel], timeout=max(0.0, latest - time.monotonic()))
            if not ready:
                yield f"The check whether it {in_words(law)} did not end within {seconds:g} seconds (--seconds)."
                return
            message = _next(receiver) if receiver.poll() else None
            if message is None:
                child.join()
                yield f"The check whether it {in_words(law)} ended its process: {how_it_ended(child.exitcode)}."
                return
            if isinstance(message, str):
                yield message
            elif message == len(laws):
                return
            else:
                law = laws[message]
    finally:
        child.kill()
        child.join()
        receiver.close()


def _ask(subject: Subject, laws: Sequence[Law[Subject]], sender: Connection) -> None:
    """Send the number of each law before it is checked, then its findings; at the end send the number of laws."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the parent decides
    for number, law in enumerate(laws):
        sender.send(number)
        for finding in findings(subject, [law]):
            sender.send(finding)
    sender.send(len(laws))


def _next(receiver: Connection) -> str | int | None:
    """A finding, or the number of a law; None when nothing more comes."""
    try:
        message: str | int = receiver.recv()
    except (EOFError, OSError):
        return None
    return message
