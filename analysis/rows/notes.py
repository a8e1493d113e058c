"""Notes are sentences that travel with a frame: what was left out of it, and why.

They live in `frame.attrs["notes"]`; whoever prints the frame prints them below it.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

_KEY = "notes"


def notes_of(frame: pd.DataFrame) -> list[str]:
    """The sentences that belong to a frame, oldest first.

    >>> notes_of(pd.DataFrame())
    []
    """
    return list(frame.attrs.get(_KEY, []))


def with_notes(frame: pd.DataFrame, *groups: Iterable[str]) -> pd.DataFrame:
    """The same frame carrying these sentences, each once, in place of any it had.

    >>> notes_of(with_notes(pd.DataFrame(), ["One row left out."], ["One row left out."]))
    ['One row left out.']
    """
    sentences = dict.fromkeys(sentence for group in groups for sentence in group)
    frame.attrs = {**frame.attrs, _KEY: list(sentences)}
    return frame
