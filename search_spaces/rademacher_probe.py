"""The Rademacher probe: it changes nothing, so there is nothing to tune."""

from search_spaces.space import Space

SPACE: Space = {}
