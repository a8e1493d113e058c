"""Folders whose rows a campaign uses without owning them: those of `regarena run --from`.

The last request in campaign.json names them, each by its URI or by its path relative to the results folder. Every
reader of the campaign's rows reads their rows too; nothing is written to them.
"""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from harness.errors import BadInput
from harness.records.folders import TRIALS, Folder, open_folder, uniform_uri

CAMPAIGN_FILE = "campaign.json"
KEY = "from"  # of a request in campaign.json


def named_sources(campaign: Mapping[str, Any] | None) -> list[str]:
    """The folders that the last request of a campaign.json names, as written there; none if it names none."""
    requests = campaign.get("requests") if campaign else None
    last = requests[-1] if isinstance(requests, list) and requests else None
    named = last.get(KEY) if isinstance(last, Mapping) else None
    return [name for name in named if isinstance(name, str) and name] if isinstance(named, list) else []


def opened_sources(folder: Folder, names: Iterable[str]) -> list[Folder]:
    """The folders that `folder` names in its campaign.json.

    Raises:
        BadInput: if one holds no trials, or is a URI: a file must not decide which server a program connects to.
    """
    found = []
    for name in names:
        if "://" in name or not folder.is_local:
            raise BadInput(
                f"{folder.name} uses rows of {name}, which is opened only if you name it: give both folders, or to "
                f"`regarena run` the option --from {shlex.quote(name)}."
            )
        source = open_folder(os.path.relpath(posixpath.join(folder.path, name)))
        if not source.parquet_files(TRIALS):
            raise BadInput(
                f"{folder.name} uses rows of {source.name}, where there are none (any more). Put that folder back, or "
                f"correct the last {KEY!r} in {folder.name}/{CAMPAIGN_FILE}."
            )
        found.append(source)
    return found


def has_sources(folder: Folder) -> bool:
    """Whether the campaign of a folder uses rows of other folders, so that it may hold none of its own."""
    return bool(named_sources(_campaign(folder)))


def with_sources(folders: Sequence[Folder]) -> list[Folder]:
    """These folders, then their sources, then the sources of these, and so on; each folder once.

    Raises:
        BadInput: as `opened_sources`, but a URI that is among `folders` is allowed.
    """
    found, waiting = {address_of(folder): folder for folder in folders}, list(folders)
    given = {folder.name for folder in folders}
    while waiting:
        folder = waiting.pop(0)
        names = [name for name in named_sources(_campaign(folder)) if name not in given]
        new = {address_of(source): source for source in opened_sources(folder, names)}
        new = {address: source for address, source in new.items() if address not in found}
        found |= new
        waiting += new.values()
    return list(found.values())


def as_written(folder: Folder, source: Folder) -> str:
    """The name of a source in campaign.json: a relative path, so that it holds no user's name and both can be moved."""
    if source.is_local and folder.is_local:
        return os.path.relpath(source.path, folder.path).replace(os.sep, "/")
    return source.name


def named_address(name: str, folder: Folder) -> str:
    """The absolute path or the URI of a source that `folder` names in its campaign.json.

    Beside an object store a local source is named as its user typed it, so it is looked for from here.
    """
    if "://" in name:
        return uniform_uri(name)
    return os.path.realpath(posixpath.normpath(posixpath.join(folder.path, name)) if folder.is_local else name)


def name_of(address: str, target: Folder) -> str:
    """How the campaign.json of `target` names a source at this address."""
    if "://" in address:
        return address
    return os.path.relpath(address, target.path if target.is_local else None).replace(os.sep, "/")


def address_of(folder: Folder) -> str:
    """The absolute path or the URI of a folder, the same for all names of it."""
    return os.path.realpath(folder.path) if folder.is_local else uniform_uri(folder.name)


def _campaign(folder: Folder) -> Mapping[str, Any] | None:
    """The content of campaign.json; None if there is none, or none that can be read: `regarena verify` says so."""
    try:
        content = json.loads(folder.read(posixpath.join(folder.path, CAMPAIGN_FILE)).to_pybytes())
    except (OSError, ValueError, RecursionError, pa.ArrowException):
        return None
    return content if isinstance(content, Mapping) else None
