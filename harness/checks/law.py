"""Laws, and what is found where they are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tasks.table import described

Subject = TypeVar("Subject")
Law = Callable[[Subject], Iterable[str]]


def in_words(law: Law[Subject]) -> str:
    """What holds where the law is kept.

    >>> def gives_the_same_twice(subject): return []
    >>> in_words(gives_the_same_twice)
    'gives the same twice'
    """
    return law.__name__.replace("_", " ")


def findings(subject: Subject, laws: Sequence[Law[Subject]]) -> Iterator[str]:
    """A sentence for each way in which a law is broken; what is raised on the way breaks the law as well."""
    for law in laws:
        try:
            yield from law(subject)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # such as SystemExit
            yield f"Asked whether it {in_words(law)}, it raises {described(error)}."
