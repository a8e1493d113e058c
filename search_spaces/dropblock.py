"""DropBlock."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.02, high=0.3, source="0.05 to 0.25 in Ghiasi et al. 2018, section 4.1"),
    "block_size": Integer(low=1, high=11, source="1 to 11 in Lu et al. 2021, table 6; cut to the map"),
}
