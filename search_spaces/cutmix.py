"""CutMix."""

from search_spaces.space import Real, Space

SPACE: Space = {"alpha": Real(low=0.1, high=4.0, log=True, source="0.1 to 4 in Yun et al. 2019, section 4.1")}
