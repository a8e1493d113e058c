"""The weighted trace norm."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.02, high=0.7, log=True, source="around 0.1 to 0.4 of Mianjy's thesis, table 4-I (dropout)")
}
