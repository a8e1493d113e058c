"""The path norm."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.7, source="as for dropout, whose penalty it is"),
    "block_size": Integer(low=1, high=8, source="5 in Pal et al. 2020, section 5.2"),
}
