"""The answer to a name that is in no table of regarena's.

It is not in `tasks.table`, because the code that tasks use, messages included, is part of the identity of their trials.
"""

from __future__ import annotations

from collections.abc import Iterable

from tasks.table import unknown_name_message

_LONGEST = 500  # characters; hundreds of names are for `regarena list`


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """One or two sentences: the name received, and the nearest names, or all if they are few, or where to find them.

    >>> unknown_name("task", "digit-mlp", ["digits-mlp"])
    "There is no task 'digit-mlp'; did you mean 'digits-mlp'?"
    """
    names = sorted(set(known))
    message = unknown_name_message(kind, name, names)
    if len(message) <= _LONGEST:
        return message
    return (
        f"There is no {kind} {name!r}; `regarena list` shows the {len(names)} names. What a package of your own adds "
        "is known once the package is installed (`pip install -e FOLDER`)."
    )
