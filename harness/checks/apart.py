"""Laws asked of an entry in a process of its own: one that hangs or crashes is a finding, and the others go on."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

from harness.checks.law import Law, Subject, findings, in_words


def findings_apart(subject: Subject, laws: Sequence[Law[Subject]], seconds: float) -> Iterator[str]:
    """What `findings` says, from a forked process that is killed after `seconds`.

    The entry's own code then cannot end, stop or change this process. Laws after one that hangs or ends the process are
    not asked.
    """
    context = multiprocessing.get_context("fork")  # it knows what was added to the tables of this process
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_ask, args=(subject, laws, sender))
    child.start()
    sender.close()
    latest, law = time.monotonic() + seconds, laws[0]
    try:
        while True:
            ready = wait([receiver, child.sentinel], timeout=max(0.0, latest - time.monotonic()))
            if not ready:
                over = f"its {seconds:g} seconds are over (--seconds)"
                yield f"Asked whether it {in_words(law)}, it has no answer: {over}."
                return
            message = _next(receiver) if receiver.poll() else None
            if message is None:
                child.join()
                yield f"Asked whether it {in_words(law)}, its process ends: {_how(child.exitcode)}."
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
    """Send the number of each law before it is asked, then its findings, and the number of laws at the end."""
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


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
