"""Gaussian dropout."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.7, source="as for dropout, so that only the noise differs"),
    "where": Choice(options=("dense", "conv", "all", "last"), source="as for dropout, so that only the noise differs"),
}
