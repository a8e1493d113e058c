"""The answer to a name that is in no table of regarena's, or that no row has.

It is not in `tasks.table`, because the code that tasks use, messages included, is part of the identity of their trials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.errors import BadInput
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


def check_stored_tasks(asked: Iterable[str], known: Collection[str]) -> None:
    """Make sure that the tasks of `--task` are among those of the rows.

    Raises:
        BadInput: if one is not.
    """
    for name in asked:
        if name not in known:
            raise BadInput(f"--task: {unknown_name('task in these folders called', name, known)}")
