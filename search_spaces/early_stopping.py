"""Early stopping."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "patience_fraction": Real(low=0.02, high=0.5, log=True, source="regarena; Lu et al. 2021 do not give a patience")
}
