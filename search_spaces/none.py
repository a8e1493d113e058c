"""The baseline has nothing of its own to tune; it tunes the shared settings."""

from search_spaces.space import Space

SPACE: Space = {}
