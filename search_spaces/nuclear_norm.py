"""The squared nuclear norm."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.9, source="keep 0.5 in Pal et al. 2020, section 5.1, more in its appendix")
}
