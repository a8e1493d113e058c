"""SpatialDropout."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.02, high=0.5, source="0.1 in Ghiasi et al. 2018, table 1, and more for small networks")
}
