"""L1."""

from search_spaces.space import Real, Space

SPACE: Space = {"rate": Real(low=1e-7, high=1e-3, log=True, source="regarena; 0.01 to 100 times its default of 1e-5")}
