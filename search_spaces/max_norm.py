"""Max-norm."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "limit": Real(low=0.5, high=8.0, log=True, source="around 3 to 4 of Srivastava et al. 2014, 5.1"),
    "where": Choice(
        options=("all", "dense", "last"),
        source="every layer in Srivastava et al. 2014, 5.1; the hidden one in Mianjy and Arora 2020, algorithm 1",
    ),
}
