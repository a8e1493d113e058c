"""Generalized dropout."""

from search_spaces.space import Choice, Integer, Real, Space

SPACE: Space = {
    "law": Choice(options=("independent", "block", "exponential"), source="Pal et al. 2020, section 3, leaves it free"),
    "values": Choice(options=("binary", "gaussian"), source="regarena"),
    "deviation": Real(low=0.1, high=0.8, source="at mean 0.5, the strength of dropout rates 0.04 to 0.7"),
    "block_size": Integer(low=2, high=8, source="5 in Pal et al. 2020, section 5.2"),
    "correlation": Real(low=0.1, high=0.9, source="regarena"),
}
