"""Max-norm."""

from search_spaces.space import Real, Space

SPACE: Space = {"limit": Real(low=0.5, high=8.0, log=True, source="around 3 to 4 of Srivastava et al. 2014, 5.1")}
