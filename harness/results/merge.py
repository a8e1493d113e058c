"""Merging of results folders: the rows of several are copied into one, each trial once, with their requests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from harness.errors import BadInput
from harness.records.duplicates import OnConflict
from harness.records.folders import CURVES, TRIALS
from harness.records.sources import KEY as FROM
from harness.records.sources import as_written, named_sources, renamed
from harness.results.campaign_file import CAMPAIGN_FILE, read_campaign
from harness.results.store import Store
from harness.unknown_names import unknown_name


def merge_folders(
    folders: Sequence[str], into: str, on_conflict: OnConflict = "raise", tasks: Sequence[str] = ()
) -> str:
    """Copy the rows and curves of `folders` into `into`; returns sentences on what was done.

    If the campaigns in all these folders are of one suite, their requests are joined in the campaign.json of `into`, so
    that runs can go on there; otherwise that file stays as it is.

    Args:
        folders: results folders or URIs; they are not changed.
        into: a new or existing results folder, and none of `folders`.
        on_conflict: "raise" an error for contradicting rows, or take those of the "first" or "last" folder, where
            `into` is the first.
        tasks: copy only the trials of these tasks; empty for all.

    Raises:
        BadInput: if a file is damaged, there is nothing to merge, no folder has one of the tasks, or rows contradict
            each other.
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
    _check_tasks(tasks, sources)
    target.check_mergeable(sources, on_conflict, tasks)
    known = [(store, campaign) for store in (target, *sources) if (campaign := read_campaign(store))]
    target.prepare()
    with target.lock():
        target.compact(sources, on_conflict, tasks)
        suites = sorted({campaign["suite"] for _, campaign in known})
        if len(suites) == 1:
            merged = {as_written(target.folder, store.folder) for store in (target, *sources)}
            target.write_json(CAMPAIGN_FILE, _joined(known, target, merged))
        said = f"{len(target.finished())} trials are in {into} now, after merging {len(folders)} folder(s)."
    if len(suites) > 1:
        what = "keeps its" if known[0][0] is target else "has no"
        said += f" They are of the suites {' and '.join(suites)}, so {into} {what} {CAMPAIGN_FILE}."
    return said


def _check_tasks(tasks: Sequence[str], sources: Sequence[Store]) -> None:
    known = {name for source in sources for name in source.tasks()} if tasks else set()
    for name in tasks:
        if name not in known:
            raise BadInput(f"--task: {unknown_name('task in these folders called', name, known)}")


def _joined(known: Sequence[tuple[Store, Mapping[str, Any]]], target: Store, merged: Container[str]) -> dict[str, Any]:
    """The campaign.json of `target`: the first campaign, with the requests of all, each once, the latest last.

    The last request names the folders whose rows the campaigns use without owning them, except `merged` ones.
    """
    requests = sorted(_once(each for _, campaign in known for each in campaign["requests"]), key=_time)
    used = [renamed(name, store.folder, target.folder) for store, campaign in known for name in named_sources(campaign)]
    left = [name for name in dict.fromkeys(used) if name not in merged]
    if requests and left:
        requests[-1] = {**requests[-1], FROM: left}
    return {**known[0][1], "requests": requests}


def _once(requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """These requests without the folders that they use, each once."""
    plain = [{name: value for name, value in each.items() if name != FROM} for each in requests]
    return list({json.dumps(each, sort_keys=True): each for each in plain}.values())


def _time(request: Mapping[str, Any]) -> str:
    return str(request.get("at", ""))
