"""The flow penalty."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.005, high=0.75, log=True, source="0.25 to 0.75 in Mianjy's thesis, figure 4-2, and weaker"),
    "where": Choice(options=("dense", "last"), source="the only hidden layer in the thesis; as for dropout"),
}
