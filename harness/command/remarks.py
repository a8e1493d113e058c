"""Sentences about rows of a table, for below it: each once, after the names of the rows that it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Records = Sequence[Mapping[Any, Any]]

MOST_NAMES = 6  # before a sentence; of more, the first few and how many there are
MOST_CHARACTERS = 500  # of a sentence: messages of exceptions can be pages


def remarks(
    records: Records, sentences_of: Callable[[Mapping[Any, Any]], Sequence[str]], keys: Sequence[str]
) -> list[str]:
    """What there is to say of some of the rows; what holds for all of them names none.

    Args:
        records: the rows.
        sentences_of: what there is to say of a row.
        keys: columns that name a row. A sentence names rows by the first that tells them from the others.
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
    """The rows by the first column that tells these from the others."""
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
