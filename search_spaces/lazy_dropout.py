"""Dropout without rescaling in training."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.9, source="0.1 to 0.9 in Mianjy and Arora 2020, section 6, and around it"),
    "where": Choice(
        options=("last", "dense", "conv", "all"), source="the top hidden layer in the paper; as for dropout"
    ),
}
