"""Cutout."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "side_fraction": Real(low=0.1, high=0.6, source="8 and 16 of 32 pixels in DeVries and Taylor 2017, section 4.1")
}
