"""Notes: sentences stored with a frame that say which rows were left out of it, and why.

They are stored in `frame.attrs["notes"]`; the commands and the report print them below the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

_KEY = "notes"


def notes_of(frame: pd.DataFrame) -> list[str]:
    """The notes of a frame in the order in which they were added; an empty list if it has none.

    >>> notes_of(pd.DataFrame())
    []
    """
    return list(frame.attrs.get(_KEY, []))


def with_notes(frame: pd.DataFrame, *groups: Iterable[str]) -> pd.DataFrame:
    """The same frame (not a copy) with these notes in place of any that it had; repeated sentences are kept once.

    >>> notes_of(with_notes(pd.DataFrame(), ["One row left out."], ["One row left out."]))
    ['One row left out.']
    """
    sentences = dict.fromkeys(sentence for group in groups for sentence in group)
    frame.attrs = {**frame.attrs, _KEY: list(sentences)}
    return frame


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a sentence; of more than `most` the first ones, and how many more there are.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
