"""Dropout."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(
        low=0.05, high=0.7, source="0.1 to 0.5 per layer in Zhai and Wang 2018, section 4, and around it"
    ),
    "where": Choice(options=("dense", "conv", "all", "last"), source="both placements of Zhai and Wang 2018, table 2"),
}
