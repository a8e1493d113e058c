"""What a law is, and the findings where laws are violated."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tasks.table import described

Subject = TypeVar("Subject")
Law = Callable[[Subject], Iterable[str]]


def in_words(law: Law[Subject]) -> str:
    """The statement that holds if the law is kept: its function's name in words.

    >>> def gives_the_same_twice(subject): return []
    >>> in_words(gives_the_same_twice)
    'gives the same twice'
    """
    return law.__name__.replace("_", " ")


def findings(subject: Subject, laws: Sequence[Law[Subject]]) -> Iterator[str]:
    """A sentence for each violation of a law; an exception while a law is checked is one, too."""
    for law in laws:
        try:
            yield from law(subject)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # such as SystemExit
            where = "".join(f", {note}" for note in getattr(error, "__notes__", []))
            yield f"The check whether it {in_words(law)} raises {described(error)}{where}."


@contextlib.contextmanager
def noting(place: str) -> Iterator[None]:
    """Have a finding on an exception in this block name where it was raised, such as "on digits-mlp"."""
    try:
        yield
    except Exception as error:
        error.add_note(place)
        raise
