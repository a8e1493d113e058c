"""The file campaign.json: the suite of a results folder, and the requests of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput
from harness.records.sources import CAMPAIGN_FILE

if TYPE_CHECKING:
    from harness.results.store import Store

__all__ = ["CAMPAIGN_FILE", "read_campaign"]

_ADVICE = "Remove it: the trials are kept, and the next run writes a new one."


def read_campaign(store: Store) -> dict[str, Any] | None:
    """`campaign_id`, `suite` and `requests` of the campaign, or None if there is no such file.

    Raises:
        BadInput: if the file is damaged, or lacks one of these.
    """
    known: Any = store.read_json(CAMPAIGN_FILE)
    if known is None:
        return None
    if not isinstance(known, Mapping):
        raise BadInput(f"{_where(store)} must hold an object, got {_brief(known)}. {_ADVICE}")
    for name in ("campaign_id", "suite"):
        if not isinstance(known.get(name), str) or not known[name]:
            raise BadInput(f"{_where(store)} must hold a text {name!r}, got {_brief(known.get(name))}. {_ADVICE}")
    requests = known.get("requests")
    if not isinstance(requests, list) or not all(isinstance(each, Mapping) for each in requests):
        raise BadInput(f"{_where(store)} must hold a list 'requests' of objects, got {_brief(requests)}. {_ADVICE}")
    return dict(known)


def _where(store: Store) -> str:
    return f"{store.location}/{CAMPAIGN_FILE}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
