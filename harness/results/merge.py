"""Merging of results folders: the rows of several are copied into one, each trial once, with their requests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.errors import BadInput
from harness.records.duplicates import OnConflict
from harness.records.folders import CURVES, TRIALS
from harness.records.sources import KEY as FROM
from harness.records.sources import address_of, name_of, named_address, named_sources
from harness.results.campaign_file import CAMPAIGN_FILE, read_campaign
from harness.results.store import Store
from harness.unknown_names import check_stored_tasks

_Campaign = tuple[Store, Mapping[str, Any]]  # a folder with its campaign.json


def merge_folders(
    folders: Sequence[str], into: str, on_conflict: OnConflict = "raise", tasks: Sequence[str] = ()
) -> str:
    """Copy the rows and curves of `folders` into `into`; returns sentences on what was done.

    If all rows and the campaign of `into` are of one suite, and all searches of one width, with halving or without,
    the requests of the campaigns are joined in the campaign.json of `into`, so that runs can go on there; otherwise
    that file stays as it is.

    Args:
        folders: results folders or URIs; they are not changed.
        into: a new or existing results folder, and none of `folders`.
        on_conflict: "raise" an error for contradicting rows, or take those of the "first" or "last" folder, where
            `into` is the first.
        tasks: copy only the trials of these tasks, without requests for others; empty for all.

    Raises:
        BadInput: if a file is damaged or was edited, a folder holds no trials, no folder has one of the tasks, or rows
            contradict each other.
        CampaignLocked: if a run works on `into`.
    """
    sources, target = [Store(folder) for folder in folders], Store(into)
    if any(source.root == target.root for source in sources):
        raise BadInput(f"--into must not be one of the merged folders, got {into}.")
    for store in (*sources, target):
        _check_files(store)
    if lacking := [source.location for source in sources if not source.files(TRIALS)]:
        raise BadInput(f"There are no trials in {', '.join(lacking)}; a results folder has trials/*.parquet.")
    if tasks:
        check_stored_tasks(tasks, {name for source in sources for name in source.values("task")})
    target.check_mergeable(sources, on_conflict, tasks)
    added = [(source, _of_tasks(known, tasks, source)) for source in sources if (known := read_campaign(source))]
    target.prepare()
    with target.lock():
        its_own = read_campaign(target)
        target.compact(sources, on_conflict, tasks)
        number = sum(done.status != "skipped" for done in target.finished().values())
        campaigns = [*([(target, its_own)] if its_own else []), *added]
        about_campaigns = _join(campaigns, target, [address_of(store.folder) for store in (target, *sources)])
    said = f"{number:,} trials are in {into} now, after merging {len(folders)} folder(s)."
    return " ".join(filter(None, [said, about_campaigns]))


def _check_files(store: Store) -> None:
    for kind in (TRIALS, CURVES):
        for path in store.files(kind):
            if wrong := store.check(path):
                raise BadInput(f"{path} {wrong}; `regarena verify {shlex.quote(store.location)}` lists all such files.")


def _of_tasks(campaign: Mapping[str, Any], tasks: Sequence[str], source: Store) -> Mapping[str, Any]:
    """The campaign without the requests whose `only` names tasks, but none of these."""
    contestants = source.values("regularizer") if tasks else set()

    def counts(request: Mapping[str, Any]) -> bool:
        named = set(request.get("only") or ()) - contestants
        return not tasks or not named or not named.isdisjoint(tasks)

    return {**campaign, "requests": [each for each in campaign["requests"] if counts(each)]}


def _join(campaigns: Sequence[_Campaign], target: Store, merged: Sequence[str]) -> str | None:
    """Write the campaign.json of `target`, if it has one suite and one kind of search; returns what is to be said."""
    its_own = {campaign["suite"] for store, campaign in campaigns if store is target}
    suites = sorted(target.values("suite") | its_own)
    if len(suites) > 1:
        return _not_joined(f"Rows and campaigns are of the suites {' and '.join(suites)}", target)
    fitting = [(store, campaign) for store, campaign in campaigns if suites in ([], [campaign["suite"]])]
    if not fitting:
        return None
    searches = {kind for _, campaign in fitting for kind in _kinds_of_search(campaign)}
    if len(searches) > 1:
        return _not_joined(f"The searches differ: {' and '.join(sorted(searches))}", target)
    used = {named_address(name, store.folder): None for store, campaign in fitting for name in named_sources(campaign)}
    left = [name_of(address, target.folder) for address in used if address not in merged]
    requests = sorted(_once(each for _, campaign in fitting for each in campaign["requests"]), key=_time)
    if requests and left:
        requests[-1] = {**requests[-1], FROM: left}
    target.write_json(CAMPAIGN_FILE, {**fitting[0][1], "requests": requests})
    return f"It uses rows of {' and '.join(left)}, too, which are not copied." if requests and left else None


def _not_joined(why: str, target: Store) -> str:
    known = read_campaign(target)
    what = f"keeps its {CAMPAIGN_FILE}" if known else f"has no {CAMPAIGN_FILE}: a run there would begin other searches"
    return f"{why}; so {target.location} {what}."


def _kinds_of_search(campaign: Mapping[str, Any]) -> set[str]:
    """Width and halving of the searches of a campaign, in words."""
    tuned = [each for each in campaign["requests"] if each.get("tune_trials") or each.get("tune_epochs")]
    return {
        f"width {each.get('tune_width', 1)} {'with' if each.get('halving') else 'without'} halving" for each in tuned
    }


def _once(requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """These requests without the folders that they use, each once."""
    plain = [{name: value for name, value in each.items() if name != FROM} for each in requests]
    return list({json.dumps(each, sort_keys=True): each for each in plain}.values())


def _time(request: Mapping[str, Any]) -> str:
    return str(request.get("at", ""))
