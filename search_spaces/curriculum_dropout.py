"""Curriculum dropout."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.7, source="as for dropout, so that only the schedule differs"),
    "steepness": Real(low=2.0, high=50.0, log=True, source="around 10 of Morerio et al. 2017, section 3"),
    "where": Choice(
        options=("dense", "conv", "all", "last"), source="as for dropout, so that only the schedule differs"
    ),
}
