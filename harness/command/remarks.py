"""Remarks on rows of a table, printed below it: each sentence once, after the names of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Records = Sequence[Mapping[Any, Any]]

MOST_NAMES = 6  # in front of a sentence; if there are more, the first few and the number of the others
MOST_CHARACTERS = 500  # of a sentence: messages of exceptions can be pages


def remarks(
    records: Records, sentences_of: Callable[[Mapping[Any, Any]], Sequence[str]], keys: Sequence[str]
) -> list[str]:
    """The sentences about the rows, each once; a sentence about all rows names none of them.

    Args:
        records: the rows.
        sentences_of: the sentences about one row.
        keys: columns that can name rows. Rows are named by the first column that tells them from all others.
    """
    said = [list(sentences_of(record)) for record in records]
    return [
        f"{_named(records, [sentence in each for each in said], keys)}{_shortened(sentence)}"
        for sentence in dict.fromkeys(sentence for each in said for sentence in each)
    ]


def split_sentences(text: str | None) -> list[str]:
    """The sentences of a note.

    >>> split_sentences("One is so. Two is not."), split_sentences(None)
    (['One is so.', 'Two is not.'], [])
    """
    return re.split(r"(?<=\.) (?=[A-Z])", text) if text else []


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(list("abcdefgh"))
    'a, b, c, d, e and 3 more'
    """
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


def _named(records: Records, is_meant: Sequence[bool], keys: Sequence[str]) -> str:
    """The names of the rows that are meant, by the first column that tells them from the others."""
    if all(is_meant):
        return ""
    for key in keys:
        names = list(zip((str(record[key]) for record in records), is_meant, strict=True))
        inside, outside = (
            list(dict.fromkeys(name for name, meant in names if meant == side)) for side in (True, False)
        )
        if not set(inside) & set(outside):
            return f"all but {listed(outside)}: " if len(outside) < len(inside) else f"{listed(inside)}: "
    rows = [" on ".join(filter(None, (str(record[key] or "") for key in keys)))
            for record, meant in zip(records, is_meant, strict=True) if meant]  # fmt: skip
    return f"{listed(rows)}: "


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= MOST_CHARACTERS else f"{sentence[:MOST_CHARACTERS]} …"
