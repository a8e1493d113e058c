"""The baseline has no hyperparameters of its own; it tunes the shared settings only."""

from search_spaces.space import Space

SPACE: Space = {}
