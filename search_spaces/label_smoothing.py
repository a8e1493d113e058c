"""Label smoothing."""

from search_spaces.space import Real, Space

SPACE: Space = {"amount": Real(low=0.01, high=0.3, log=True, source="around 0.1 of Szegedy et al. 2016, section 7")}
