"""DropPath."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.02, high=0.6, source="0.5 in Huang et al. 2016, 0.1 in Ghiasi et al. 2018, table 1"),
    "growth": Choice(options=("linear", "constant"), source="both in Huang et al. 2016, section 5"),
}
