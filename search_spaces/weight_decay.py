"""Weight decay."""

from search_spaces.space import Real, Space

SPACE: Space = {"rate": Real(low=1e-5, high=1e-2, log=True, source="around 1e-4 and 5e-4 of Tang et al. 2020")}
