"""Mixup."""

from search_spaces.space import Real, Space

SPACE: Space = {"alpha": Real(low=0.05, high=2.0, log=True, source="0.1 to 1 in Zhang et al. 2018, section 3")}
