"""The path norm."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.005, high=0.7, log=True, source="as for dropout, and weaker: cross-entropy is less curved"),
    "block_size": Integer(low=1, high=8, source="5 in Pal et al. 2020, section 5.2"),
}
