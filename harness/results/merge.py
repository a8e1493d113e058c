"""Merging of results folders: the rows of several are copied into one, each trial once."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.errors import BadInput
from harness.records.duplicates import OnConflict
from harness.records.folders import CURVES, TRIALS
from harness.results.store import Store


def merge_folders(folders: Sequence[str], into: str, on_conflict: OnConflict = "raise") -> str:
    """Copy the rows and curves of `folders` into `into`; returns a sentence on what was done.

    Args:
        folders: results folders or URIs; they are not changed.
        into: a new or existing results folder, and none of `folders`.
        on_conflict: "raise" an error for contradicting rows, or take those of the "first" or "last" folder, where
            `into` is the first.

    Raises:
        BadInput: if a file is damaged, there is nothing to merge, or rows contradict each other.
        CampaignLocked: if a run works on `into`.
    """
    sources, target = [Store(folder) for folder in folders], Store(into)
    if any(source.root == target.root for source in sources):
        raise BadInput(f"--into must not be one of the merged folders, got {into}.")
    for source in sources:
        for kind in (TRIALS, CURVES):
            for path in source.files(kind):
                if wrong := source.check(path):
                    raise BadInput(
                        f"{path} {wrong}; `regarena verify {shlex.quote(source.location)}` lists all such files."
                    )
    if not any(source.files(TRIALS) for source in sources):
        raise BadInput(f"There are no trials in {', '.join(folders)}.")
    target.check_mergeable(sources, on_conflict)
    target.prepare()
    with target.lock():
        target.compact(sources, on_conflict)
        return f"{len(target.finished())} trials are in {into} now, after merging {len(folders)} folder(s)."
