"""Sharpness-aware minimisation."""

from search_spaces.space import Real, Space

SPACE: Space = {"rho": Real(low=0.01, high=0.5, log=True, source="0.01 to 0.5 in Foret et al. 2021, section 3.1")}
