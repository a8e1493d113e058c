"""Search spaces: one module per regularizer, each range with its source. Nothing here imports torch or Optuna."""

from __future__ import annotations

from importlib.metadata import entry_points

from search_spaces import (
    cutout,
    dropblock,
    dropblock_sample,
    dropout,
    early_stopping,
    label_smoothing,
    localdrop,
    localdrop_fc_only,
    localdrop_no_dropblock,
    localdrop_no_dropout,
    max_norm,
    none,
    weight_decay,
)
from search_spaces.space import Space

SPACES: dict[str, Space] = {
    "none": none.SPACE,
    "weight_decay": weight_decay.SPACE,
    "early_stopping": early_stopping.SPACE,
    "max_norm": max_norm.SPACE,
    "label_smoothing": label_smoothing.SPACE,
    "cutout": cutout.SPACE,
    "dropout": dropout.SPACE,
    "dropblock": dropblock.SPACE,
    "dropblock_sample": dropblock_sample.SPACE,
    "localdrop": localdrop.SPACE,
    "localdrop_fc_only": localdrop_fc_only.SPACE,
    "localdrop_no_dropout": localdrop_no_dropout.SPACE,
    "localdrop_no_dropblock": localdrop_no_dropblock.SPACE,
}


def space_of(name: str) -> Space:
    """The space of one regularizer; other packages add theirs by the entry-point group `regarena.search_spaces`.

    A regularizer without a space has nothing of its own to tune.
    """
    if name in SPACES:
        return SPACES[name]
    for point in entry_points(group="regarena.search_spaces"):
        if point.name == name:
            space: Space = point.load()
            return space
    return {}
