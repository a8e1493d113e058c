"""Bring the rows of several results folders together in one; a trial that stands in several is taken once."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import BadInput
from harness.records.duplicates import OnConflict
from harness.records.folders import CURVES, TRIALS
from harness.results.store import Store


def merge_folders(folders: Sequence[str], into: str, on_conflict: OnConflict = "raise") -> str:
    """Copy the rows and curves of `folders` into `into`, and say what was done.

    Raises:
        BadInput: when a file is damaged, there is nothing to merge, or rows contradict each other and `on_conflict`
            does not say whose count (of `into` first, then of the folders in their order).
    """
    sources, target = [Store(folder) for folder in folders], Store(into)
    if any(source.root == target.root for source in sources):
        raise BadInput(f"--into must be another folder than those that are merged, got {into}.")
    for source in sources:
        for kind in (TRIALS, CURVES):
            for path in source.files(kind):
                if wrong := source.check(path):
                    raise BadInput(f"{path} {wrong}; `regarena verify {source.location}` tells more.")
    if not any(source.files(TRIALS) for source in sources):
        raise BadInput(f"There are no trials in {', '.join(folders)}.")
    target.check_mergeable(sources, on_conflict)
    target.prepare()
    with target.lock():
        target.compact(sources, on_conflict)
        return f"{len(target.finished())} trials of {len(folders)} folder(s) stand in {into} now."
